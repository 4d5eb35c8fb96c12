//! Values of a manifest that are more than text or a number.

use crate::newtype::checked_text;
use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A whole number of seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seconds(NonZeroU32);

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Duration::from_secs(seconds.0.get().into())
    }
}

/// A share of processor time, in thousandths of a core: `2`, `"0.5"` or `"500m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "f64")]
pub struct Cpu(NonZeroU32);

impl Cpu {
    /// `cores` whole cores.
    pub const fn cores(cores: NonZeroU32) -> Self {
        Self(cores.saturating_mul(NonZeroU32::new(1000).expect("1000 is not zero")))
    }

    /// In thousandths of a core.
    pub fn millis(self) -> u32 {
        self.0.get()
    }

    fn from_cores(cores: f64) -> Option<Self> {
        let millis = (cores * 1000.0).round();
        let fits = (1.0..=1_000_000.0).contains(&millis);
        // In range by the line above.
        fits.then(|| NonZeroU32::new(millis as u32).map(Self)).flatten()
    }
}

impl From<Cpu> for f64 {
    fn from(cpu: Cpu) -> f64 {
        f64::from(cpu.millis()) / 1000.0
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(*self))
    }
}

impl std::str::FromStr for Cpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cores = match text.strip_suffix('m') {
            Some(millis) => millis.parse::<f64>().map(|m| m / 1000.0),
            None => text.parse::<f64>(),
        };
        cores.ok().and_then(Self::from_cores).ok_or_else(|| {
            "expected a number of cores between 0.001 and 1000, such as 2, \"0.5\" or \"500m\""
                .into()
        })
    }
}

/// A size in bytes: `4000000000`, `"4G"` (10⁹) or `"4GiB"` (2³⁰).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Size(NonZeroU64);

impl Size {
    /// `bytes` bytes.
    pub const fn of(bytes: NonZeroU64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ByteSize(self.bytes()).display().si().fmt(f)
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.parse::<ByteSize>().ok().and_then(|size| NonZeroU64::new(size.as_u64()));
        size.map(Self).ok_or_else(|| {
            "expected a size above zero, such as 512000000, \"512M\" or \"4GiB\"".into()
        })
    }
}

/// Reads a value that may be written as a string or as a number.
struct TextOrNumber<T> {
    what: &'static str,
    from_number: fn(f64) -> Option<T>,
}

impl<T: std::str::FromStr<Err = String>> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.trim().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.from_number)(number).ok_or_else(|| E::custom(format!("expected {}", self.what)))
    }
}

fn text_or_number(description: &str, pattern: &str) -> Schema {
    json_schema!({
        "description": description,
        "anyOf": [{ "type": "string", "pattern": pattern }, { "type": "number", "exclusiveMinimum": 0 }]
    })
}

impl<'de> Deserialize<'de> for Cpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            what: "a number of cores, such as 2, \"0.5\" or \"500m\"",
            from_number: Cpu::from_cores,
        })
    }
}

impl JsonSchema for Cpu {
    fn schema_name() -> Cow<'static, str> {
        "Cpu".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_or_number("Cores: 2, \"0.5\" or \"500m\".", "^[0-9.]+m?$")
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            what: "a size, such as 512000000, \"512M\" or \"4GiB\"",
            from_number: |_| None,
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_or_number(
            "Bytes: 512000000, \"512M\" (10⁶) or \"4GiB\" (2³⁰).",
            "^[0-9.]+ ?[KMGTPkmgtp]?i?[Bb]?$",
        )
    }
}

/// How many of something there may be, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Count(pub NonZeroU32);

impl std::str::FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "expected a whole number above zero".into())
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            what: "a whole number above zero",
            from_number: |_| None,
        })
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_or_number("A whole number above zero.", "^[0-9]+$")
    }
}

/// The value of a plain environment variable; numbers and booleans are taken as their text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlainValue(pub String);

impl<'de> Deserialize<'de> for PlainValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;

        impl Visitor<'_> for AnyScalar {
            type Value = PlainValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PlainValue, E> {
                if text.contains('\0') {
                    return Err(E::custom("an environment variable can't hold a NUL character"));
                }
                Ok(PlainValue(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<PlainValue, E> {
                Ok(PlainValue(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<PlainValue, E> {
                Ok(PlainValue(number.to_string()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<PlainValue, E> {
                Ok(PlainValue(value.to_string()))
            }
        }

        deserializer.deserialize_any(AnyScalar)
    }
}

impl JsonSchema for PlainValue {
    fn schema_name() -> Cow<'static, str> {
        "PlainValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

checked_text! {
    /// A path inside the sandbox: absolute, or `~/…` below its home.
    SandboxPath, check = check_sandbox_path,
    schema = json_schema!({ "type": "string", "pattern": "^(/|~/)." })
}

impl SandboxPath {
    /// The path with `~` standing for `home`.
    pub fn below(&self, home: &Path) -> PathBuf {
        match self.as_str().strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => PathBuf::from(self.as_str()),
        }
    }
}

fn check_sandbox_path(path: &str) -> Result<(), String> {
    let rest = path.strip_prefix("~/").or_else(|| path.strip_prefix('/')).unwrap_or("");
    if rest.is_empty() {
        return Err("expected a path inside the sandbox: absolute, or starting with `~/`".into());
    }
    if path.contains(|c: char| c.is_control()) || rest.split('/').any(|part| part == "..") {
        return Err("a path inside the sandbox can't hold `..` or control characters".into());
    }
    Ok(())
}

checked_text! {
    /// `owner/name` of a repository on a forge.
    RepoSlug, check = check_slug,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$" })
}

fn check_slug(slug: &str) -> Result<(), String> {
    let part_ok = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    match slug.split_once('/') {
        Some((owner, name)) if part_ok(owner) && part_ok(name) => Ok(()),
        _ => Err("expected `owner/name`, such as `acme/app`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_cores_are_read_as_people_write_them() {
        assert_eq!("4G".parse::<Size>().unwrap().bytes(), 4_000_000_000);
        assert_eq!("4GiB".parse::<Size>().unwrap().bytes(), 4 << 30);
        assert_eq!("500m".parse::<Cpu>().unwrap().millis(), 500);
        assert_eq!("2".parse::<Cpu>().unwrap().millis(), 2000);
        assert_eq!("1.5".parse::<Cpu>().unwrap().to_string(), "1.5");
        for bad in ["", "0", "-1", "NaN", "inf", "two", "1e9"] {
            assert!(bad.parse::<Cpu>().is_err(), "{bad:?}");
        }
        for bad in ["", "0", "-1", "4 bananas"] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sandbox_paths_stay_where_they_say() {
        assert_eq!(
            "~/.config/x".parse::<SandboxPath>().unwrap().below(Path::new("/home/a")),
            Path::new("/home/a/.config/x")
        );
        for bad in ["", "~", "/", "x", "~/../x", "/a/../b", "/a\n"] {
            assert!(bad.parse::<SandboxPath>().is_err(), "{bad:?}");
        }
    }
}
