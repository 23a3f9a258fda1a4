//! The secret of a token: how it is made, written and recognised. Only its hash is ever kept.

use akosha_core::ErrorKind;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// What every secret starts with, so that scanners and people know it for what it is.
const PREFIX: &str = "akosha_";

/// Makes a secret of 32 random bytes of the operating system.
pub(crate) fn make() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| {
        Failure::new(
            ErrorKind::Storage,
            "the operating system gives no random numbers",
            "repeat the command; where it fails again, restart the machine",
        )
    })?;
    let digits = Zeroizing::new(hex::encode(*bytes));
    Ok(Zeroizing::new(format!("{PREFIX}{}", *digits)))
}

/// Returns the hash under which a secret is kept.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    // 256 random bits cannot be guessed, so a plain hash does.
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use akosha_core::redact::Redactor;

    use super::*;

    #[test]
    fn secrets_differ_and_are_taken_out_of_memories() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 64);
        assert_ne!(hash(&one), hash(&other));
        let mut count = 0;
        let text = Redactor::built_in().redact(format!("use {} there", *one), &mut count);
        assert_eq!(
            (text.as_str(), count),
            ("use [redacted:akosha-token] there", 1)
        );
    }
}
