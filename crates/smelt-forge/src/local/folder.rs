//! The folder of the local pull requests: `<n>.md` to be read, `<n>.patch` to be applied,
//! `<n>.toml` to be known by. The last one is written last, so that half a pull request is none.

use super::record::Record;
use smelt_core::port::ForgeError;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// The file that people read.
    pub(super) fn text(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number}.md"))
    }

    fn patch(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number}.patch"))
    }

    fn record(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number}.toml"))
    }

    /// Numbers of the files that end in `.toml`, or of all files; the highest first.
    fn numbers(&self, all: bool) -> Result<Vec<u64>, ForgeError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(bad(&self.0, error)),
        };
        let mut numbers: Vec<u64> = Vec::new();
        for entry in entries {
            let name = PathBuf::from(entry.map_err(|error| bad(&self.0, error))?.file_name());
            let wanted = name
                .extension()
                .is_some_and(|end| end == "toml" || (all && (end == "md" || end == "patch")));
            let number = name.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            numbers.extend(number.filter(|_| wanted));
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers.dedup();
        Ok(numbers)
    }

    /// All pull requests, the newest first.
    pub(super) fn read_all(&self) -> Result<Vec<Record>, ForgeError> {
        self.numbers(false)?.into_iter().map(|number| self.read(number)).collect()
    }

    /// One pull request.
    pub(super) fn read(&self, number: u64) -> Result<Record, ForgeError> {
        let path = self.record(number);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (forge, what) = (super::NAME.into(), format!("pull request #{number}"));
                return Err(ForgeError::NotFound { forge, what });
            }
            Err(error) => return Err(bad(&path, error)),
        };
        Record::read(number, &text).map_err(|why| bad(&path, wrong(why)))
    }

    /// The body: what is in the text below its heading. Empty where somebody removed the file.
    pub(super) fn body(&self, number: u64) -> Result<String, ForgeError> {
        let path = self.text(number);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(bad(&path, error)),
        };
        let body = match text.strip_prefix("# ") {
            Some(rest) => rest.split_once('\n').map_or("", |(_, body)| body),
            None => &text,
        };
        Ok(body.strip_prefix('\n').unwrap_or(body).trim_end_matches('\n').to_owned())
    }

    /// Takes the next number for this process alone.
    pub(super) fn claim(&self) -> Result<u64, ForgeError> {
        fs::create_dir_all(&self.0).map_err(|error| bad(&self.0, error))?;
        let mut number = self.numbers(true)?.first().copied().unwrap_or(0);
        loop {
            number = number.saturating_add(1);
            let path = self.text(number);
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(number),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < u64::MAX => {
                }
                Err(error) => return Err(bad(&path, error)),
            }
        }
    }

    /// Writes a pull request, each file whole or not at all.
    pub(super) fn write(
        &self,
        record: &Record,
        body: &str,
        patch: &[u8],
    ) -> Result<(), ForgeError> {
        self.replace(&self.patch(record.number), patch)?;
        let text = format!("# {}\n\n{}\n", record.title, body.trim_end_matches('\n'));
        self.replace(&self.text(record.number), text.as_bytes())?;
        self.write_record(record)
    }

    /// Writes what it is known by.
    pub(super) fn write_record(&self, record: &Record) -> Result<(), ForgeError> {
        let path = self.record(record.number);
        let text = record.write().map_err(|why| bad(&path, wrong(why)))?;
        self.replace(&path, text.as_bytes())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> Result<(), ForgeError> {
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| bad(path, error))
    }
}

fn wrong(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

pub(super) fn bad(path: &Path, source: io::Error) -> ForgeError {
    ForgeError::Io { path: path.to_owned(), source }
}
