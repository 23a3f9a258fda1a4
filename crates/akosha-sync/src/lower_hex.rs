//! Hex as ids and hashes are written: lower-case, and of one length.

/// Returns the `N` bytes that `text` stands for, `None` where it has another length or form.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_alone_is_read() {
        assert_eq!(decode("00ff"), Some([0, 255]));
        for text in ["", "00", "00f", "00FF", "00ff00", "0xff", "00ff\n"] {
            assert_eq!(decode::<2>(text), None, "{text:?}");
        }
    }
}
