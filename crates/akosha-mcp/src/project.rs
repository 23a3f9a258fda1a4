//! The project that a folder belongs to.

use std::path::Path;

/// Returns the project of a folder: the name of the repository around it, else its own name.
///
/// Reads nothing but whether `.git` exists in the folder and those above it.
pub fn project_of(folder: &Path) -> Option<String> {
    repository_of(folder).or_else(|| last_component(&folder.to_string_lossy()))
}

/// Returns the name of the repository around a folder.
pub(crate) fn repository_of(folder: &Path) -> Option<String> {
    let root = folder
        .ancestors()
        .find(|above| above.join(".git").exists())?;
    last_component(&root.to_string_lossy())
}

/// Returns the last component of a path of any system; touches no disk.
pub(crate) fn last_component(path: &str) -> Option<String> {
    let name = path
        .trim()
        .trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()?;
    let is_name = !name.is_empty() && name != "." && name != ".." && !name.ends_with(':');
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_names_the_project() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("shop/src/deep");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(project_of(&inner).as_deref(), Some("deep"));
        std::fs::create_dir(home.path().join("shop/.git")).unwrap();
        assert_eq!(project_of(&inner).as_deref(), Some("shop"));
    }

    #[test]
    fn paths_of_any_system_have_a_last_component() {
        for (path, name) in [
            ("/home/user/akosha", Some("akosha")),
            ("/home/user/akosha/", Some("akosha")),
            ("C:\\code\\shop", Some("shop")),
            ("C:\\", None),
            ("/", None),
            ("..", None),
            (" ", None),
        ] {
            assert_eq!(last_component(path).as_deref(), name, "{path:?}");
        }
    }
}
