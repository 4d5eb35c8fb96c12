//! A new, empty repository as files (gitrepository-layout(5)): no template, no setting of anybody's,
//! and no process to be waited for.

use super::oid::ObjectFormat;
use super::refs;
use std::fs;
use std::io;
use std::path::Path;

/// Makes one in `folder`, which becomes its git folder; HEAD names `branch`.
pub(super) fn create(
    folder: &Path,
    bare: bool,
    format: ObjectFormat,
    branch: &str,
) -> io::Result<()> {
    for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        fs::create_dir_all(folder.join(below))?;
    }
    fs::write(folder.join("HEAD"), format!("ref: {}\n", refs::branch(branch)))?;
    let (version, extensions) = match format {
        ObjectFormat::Sha1 => (0, ""),
        ObjectFormat::Sha256 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
    };
    let config = format!(
        "[core]\n\trepositoryFormatVersion = {version}\n\tfileMode = true\n\tbare = {bare}\n\
         \tlogAllRefUpdates = {}\n{extensions}",
        !bare
    );
    fs::write(folder.join("config"), config)
}
