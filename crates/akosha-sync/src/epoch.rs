//! Epochs: how often a system id was taken over by another store.

/// Highest epoch: the largest integer that every JSON reader holds exactly.
pub(crate) const MAX: i64 = (1 << 53) - 1;

/// Returns the epoch where it is one: nobody takes over an id from a writer under any other.
pub(crate) fn checked(epoch: i64) -> Option<i64> {
    (0..=MAX).contains(&epoch).then_some(epoch)
}

/// Returns the epoch under which an id is taken over from a writer under `epoch`; `None` where
/// there is none.
pub(crate) fn after(epoch: i64) -> Option<i64> {
    checked(epoch)?.checked_add(1).and_then(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_leads_beyond_the_highest() {
        assert_eq!((after(0), after(MAX - 1)), (Some(1), Some(MAX)));
        for epoch in [-1, MAX, MAX + 1, i64::MAX, i64::MIN] {
            assert_eq!(after(epoch), None, "{epoch}");
        }
        assert_eq!((checked(MAX), checked(MAX + 1)), (Some(MAX), None));
    }
}
