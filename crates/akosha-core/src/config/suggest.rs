//! Finds the name that was probably meant.

/// Shortest text that is looked for inside names: shorter ones are in too many.
const WORTH_SEARCHING: usize = 4;

/// Returns the name nearest to `word`, where one is near enough to be meant: few edits away for
/// its length, else the first that contains it. Case and `-` for `_` do not count.
pub(super) fn nearest<'a>(
    word: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    if word.len() > 100 {
        return None;
    }
    let few = (word.len() / 4).clamp(1, 3);
    let by_edits = names
        .clone()
        .map(|name| {
            let edits = strsim::damerau_levenshtein(&word, &name.to_ascii_lowercase());
            (edits, name)
        })
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= few)
        .map(|(_, name)| name);
    by_edits.or_else(|| {
        let mut names = names;
        (word.len() >= WORTH_SEARCHING)
            .then(|| names.find(|name| name.to_ascii_lowercase().contains(&word)))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["cloud_bucket", "cloud_region", "system_id", "akosha_token"];
        for (word, meant) in [
            ("cloud_bukcet", Some("cloud_bucket")),
            ("cloud-region", Some("cloud_region")),
            ("SYSTEM_ID", Some("system_id")),
            ("systemid", Some("system_id")),
            ("token", Some("akosha_token")),
            ("x", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names.into_iter()), meant, "{word}");
        }
        assert_eq!(nearest(&"c".repeat(10_000), names.into_iter()), None);
    }
}
