use crate::newtype::checked_text;
use schemars::json_schema;

checked_text! {
    /// The full id of a git object: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    Oid, check = check_oid,
    schema = json_schema!({ "type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$" })
}

impl Oid {
    /// Its first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.as_str()[..10]
    }
}

fn check_oid(text: &str) -> Result<(), String> {
    let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match hex && matches!(text.len(), 40 | 64) {
        true => Ok(()),
        false => Err("not the full id of a git object".into()),
    }
}

/// How a repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 digits.
    Sha1,
    /// 64 digits.
    Sha256,
}

impl ObjectFormat {
    /// The name git uses for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Length of a raw id, in bytes.
    pub fn raw_length(self) -> u64 {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The id that stands for "no object".
    pub fn zero(self) -> String {
        "0".repeat(match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        })
    }
}

impl std::str::FromStr for ObjectFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            other => Err(format!("object format `{other}` is not known")),
        }
    }
}
