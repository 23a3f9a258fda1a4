//! Facts of a target are kept until they are dropped, apart from those of others.

use akosha_store::{Target, TargetNote};

use crate::support::store;

fn note(name: &str, value: &str) -> TargetNote {
    TargetNote {
        name: name.into(),
        value: value.into(),
    }
}

#[test]
fn facts_are_kept_by_target_kind_and_name() {
    let store = store();
    let (here, there) = (
        Target::new("cloud", "s3://a"),
        Target::new("cloud", "s3://a/b"),
    );
    for (target, kind, name) in [
        (&here, "parts", "y"),
        (&here, "parts", "x"),
        (&here, "conditions", ""),
        (&there, "parts", "z"),
    ] {
        store
            .keep_target_note(target, kind, &note(name, "1"))
            .unwrap();
    }
    store
        .keep_target_note(&here, "parts", &note("x", "2"))
        .unwrap();
    let parts = [note("x", "2"), note("y", "1")];
    assert_eq!(store.target_notes(&here, "parts").unwrap(), parts);
    let again = store.again();
    assert_eq!(again.target_notes(&here, "parts").unwrap(), parts);
    assert_eq!(
        again.target_notes(&here, "conditions").unwrap(),
        [note("", "1")]
    );

    store.drop_target_note(&here, "parts", "x").unwrap();
    store.drop_target_note(&here, "parts", "x").unwrap();
    assert_eq!(
        store.target_notes(&here, "parts").unwrap(),
        [note("y", "1")]
    );
    assert_eq!(
        store.target_notes(&there, "parts").unwrap(),
        [note("z", "1")]
    );
}
