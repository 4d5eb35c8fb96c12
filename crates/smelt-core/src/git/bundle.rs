//! The head of a git bundle (gitformat-bundle): which commits it needs and which it brings.

use super::oid::Oid;
use std::io::{self, BufRead};

/// Longest head that is read, in bytes: a few refs are asked for.
const HEAD_MAX: u64 = 1 << 20;

/// Why something is not a bundle that can be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It could not be read.
    #[error("the bundle can't be read")]
    Io(#[from] io::Error),
    /// It is something else, or cut off.
    #[error("what came out of the sandbox is not a git bundle: {0}")]
    Malformed(&'static str),
}

/// What a bundle says of itself before its pack. Nothing of it is to be believed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BundleHeader {
    /// Commits that must be there already.
    pub prerequisites: Vec<Oid>,
    /// Refs and what they point to.
    pub refs: Vec<(String, Oid)>,
    /// Length of the head in bytes: where the pack starts.
    pub length: u64,
}

impl BundleHeader {
    /// Reads the head of a bundle, up to where its pack starts.
    ///
    /// # Errors
    /// Where it is no bundle of version 2 or 3, or its head is longer than 1 MiB.
    pub fn read(source: impl BufRead) -> Result<Self, BundleError> {
        let mut header = Self::default();
        let mut source = source.take(HEAD_MAX);
        let mut line = Vec::new();
        let mut next = |header: &mut Self| -> Result<String, BundleError> {
            line.clear();
            source.read_until(b'\n', &mut line)?;
            header.length += line.len() as u64;
            match line.strip_suffix(b"\n") {
                Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                None if header.length >= HEAD_MAX => {
                    Err(BundleError::Malformed("its head is too long"))
                }
                None => Err(BundleError::Malformed("its head is cut off")),
            }
        };
        match next(&mut header)?.as_str() {
            "# v2 git bundle" | "# v3 git bundle" => {}
            _ => return Err(BundleError::Malformed("it starts with something else")),
        }
        loop {
            let line = next(&mut header)?;
            if line.is_empty() {
                return Ok(header);
            }
            if let Some(capability) = line.strip_prefix('@') {
                match capability.split_once('=') {
                    Some(("object-format", _)) => continue,
                    _ => return Err(BundleError::Malformed("it wants an unknown capability")),
                }
            }
            let (needed, rest) = match line.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, line.as_str()),
            };
            let (oid, name) = rest.split_once(' ').unwrap_or((rest, ""));
            let oid = oid.parse().map_err(|_| BundleError::Malformed("it names no object"))?;
            match needed {
                true => header.prerequisites.push(oid),
                false => header.refs.push((name.to_owned(), oid)),
            }
        }
    }

    /// What the ref `name` points to.
    pub fn get(&self, name: &str) -> Option<&Oid> {
        self.refs.iter().find(|(reference, _)| reference == name).map(|(_, oid)| oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn the_head_ends_where_the_pack_starts() {
        let text =
            format!("# v3 git bundle\n@object-format=sha1\n-{A} first\n{B} refs/heads/x\n\nPACK");
        let header = BundleHeader::read(text.as_bytes()).unwrap();
        assert_eq!(header.prerequisites, [A.parse().unwrap()]);
        assert_eq!(header.get("refs/heads/x"), Some(&B.parse().unwrap()));
        assert_eq!(&text[usize::try_from(header.length).unwrap()..], "PACK");
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for bad in [
            "",
            "PACK",
            "# v2 git bundle\n",
            "# v2 git bundle\nzzz refs/heads/x\n\n",
            "# v3 git bundle\n@filter=blob:none\n\n",
            "# v9 git bundle\n\n",
        ] {
            assert!(BundleHeader::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let endless =
            "# v2 git bundle\n".to_owned() + &format!("{A} refs/heads/x\n").repeat(40_000);
        assert!(matches!(
            BundleHeader::read(endless.as_bytes()),
            Err(BundleError::Malformed("its head is too long"))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
            let mut input = if start { b"# v2 git bundle\n".to_vec() } else { Vec::new() };
            input.extend(bytes);
            if let Ok(header) = BundleHeader::read(input.as_slice()) {
                prop_assert!(header.length <= input.len() as u64);
            }
        }
    }
}
