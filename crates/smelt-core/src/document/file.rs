use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Why a file that a person names can't be read as a text; what follows "it can't be read: ".
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The system does not give it.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a device or a socket, which may never end.
    #[error("it is a device or a socket, not a file")]
    Device,
    /// It is larger than such a file may be.
    #[error("it is larger than {}", bytesize::ByteSize(*max).display().iec())]
    TooLarge {
        /// The most, in bytes.
        max: u64,
    },
    /// It holds bytes that are no text.
    #[error("it is not UTF-8 text: line {line} holds other bytes")]
    NotText {
        /// The first such line, counted from 1.
        line: usize,
    },
}

impl TextError {
    /// How to mend it, where the error knows.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => match error.kind() {
                io::ErrorKind::NotFound => "check the path",
                io::ErrorKind::PermissionDenied => "make the file readable for you (chmod)",
                _ => "check that this is the file you mean",
            },
            Self::Folder => "name the file in it",
            Self::Device | Self::TooLarge { .. } => "check that this is the file you mean",
            Self::NotText { .. } => "save it as UTF-8",
        }
    }
}

/// The text of the file or pipe at `path`, at most `max` bytes of it.
///
/// # Errors
/// Where there is no such text; never reads more than `max` and one byte.
pub fn read_text(path: &Path, max: u64) -> Result<String, TextError> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(TextError::Folder);
    }
    // A pipe can be a shell's `<(…)`.
    if !kind.is_file() && !kind.is_fifo() {
        return Err(TextError::Device);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(TextError::TooLarge { max });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        TextError::NotText { line: valid.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_end_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "1234");
        assert!(matches!(read_text(&path, 3), Err(TextError::TooLarge { max: 3 })));
        assert!(matches!(read_text(folder.path(), 3), Err(TextError::Folder)));
        assert!(matches!(read_text(Path::new("/dev/zero"), 3), Err(TextError::Device)));
        std::fs::write(&path, b"a\nb\xff").unwrap();
        assert!(matches!(read_text(&path, 9), Err(TextError::NotText { line: 2 })));
    }

    #[test]
    fn a_pipe_is_read_as_far_as_a_file_may_be_long() {
        for (printed, fits) in [("printf 1234", true), ("yes", false)] {
            let mut child = std::process::Command::new("sh")
                .args(["-c", printed])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pipe = child.stdout.take().unwrap();
            let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&pipe));
            let read = read_text(Path::new(&path), 1 << 16);
            assert_eq!(read.ok().as_deref(), fits.then_some("1234"));
            drop(pipe);
            child.wait().unwrap();
        }
    }
}
