//! Folders that somebody else has filled.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Removes the folder `path`, if it is there, and everything below it: however deep that is, and also where a sandbox took away
/// the right to do so. Follows no links.
///
/// Instead of descending, it moves what lies deeper up into `path`: paths stay short, and neither
/// stack nor open files grow with the depth.
///
/// # Errors
/// Where something is left.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let is_folder = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?.is_dir(),
    };
    if !is_folder {
        return Err(ErrorKind::NotADirectory.into());
    }
    make_writable(path);
    let mut folders = Vec::new();
    empty(path, |folder| {
        folders.push(folder);
        Ok(())
    })?;
    let mut moved = 0_u64;
    while let Some(folder) = folders.pop() {
        make_writable(&folder);
        let mut deeper = Vec::new();
        empty(&folder, |below| {
            make_writable(&below);
            let place = path.join(format!(".smelt-removes-{}-{moved}", std::process::id()));
            moved += 1;
            fs::rename(&below, &place)?;
            deeper.push(place);
            Ok(())
        })?;
        folders.append(&mut deeper);
        fs::remove_dir(&folder)?;
    }
    fs::remove_dir(path)
}

/// Removes the files of `folder`; its folders are for `each` to deal with.
fn empty(folder: &Path, mut each: impl FnMut(PathBuf) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => each(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Where that is not ours to do it may not be needed either.
fn make_writable(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_deeper_than_any_path() {
        let top = tempfile::tempdir().unwrap();
        let tree = top.path().join("tree");
        fs::create_dir(&tree).unwrap();
        // Made from its end: each folder is put into a new one.
        for n in 0..5000 {
            fs::create_dir(top.path().join("new")).unwrap();
            fs::rename(&tree, top.path().join("new/d")).unwrap();
            fs::write(top.path().join("new/file"), n.to_string()).unwrap();
            fs::rename(top.path().join("new"), &tree).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_without_rights_links_and_files() {
        let top = tempfile::tempdir().unwrap();
        let (tree, victim) = (top.path().join("tree"), top.path().join("victim"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&victim, tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", tree.join("dangling")).unwrap();
        for folder in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && victim.join("kept").exists());
        remove_tree(&tree).unwrap();
        remove_tree(&victim.join("kept")).unwrap_err();
    }
}
