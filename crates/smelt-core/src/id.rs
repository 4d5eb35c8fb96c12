//! Identities: of a run, and of the state folder that owns what a run makes.

use crate::newtype::checked_text;
use jiff::Timestamp;
use schemars::json_schema;

checked_text! {
    /// One execution of a job: its start in UTC and six random characters, such as
    /// `20261123t141502-k3f9qz`. Sorts by time; fit for branch, pod and file names.
    RunId, check = check_run,
    schema = json_schema!({ "type": "string", "pattern": "^[0-9]{8}t[0-9]{6}-[0-9a-z]{6}$" })
}

checked_text! {
    /// A state folder, as it labels the sandboxes it makes: sixteen random characters.
    OwnerId, check = check_owner,
    schema = json_schema!({ "type": "string", "pattern": "^[0-9a-z]{16}$" })
}

impl RunId {
    /// A new id for a run that starts at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(format!("{}-{}", now.strftime("%Y%m%dt%H%M%S"), random_text(6)))
    }

    /// When it was made, to the second.
    pub fn made_at(&self) -> Timestamp {
        let made = jiff::civil::DateTime::strptime("%Y%m%dt%H%M%S", self.second());
        let made = made.and_then(|made| made.in_tz("UTC"));
        made.map_or(Timestamp::UNIX_EPOCH, |made| made.timestamp())
    }

    /// The second it was made in.
    pub(crate) fn second(&self) -> &str {
        self.as_str().split('-').next().unwrap_or_default()
    }
}

impl OwnerId {
    /// A new id.
    pub fn random() -> Self {
        Self(random_text(16))
    }
}

/// `length` characters out of 32 that can't be mistaken for one another; at most 22.
fn random_text(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // Byte 6 and 8 of a version 4 UUID hold its version and variant.
    let bits = uuid::Uuid::new_v4().as_u128();
    (0..length).map(|i| char::from(ALPHABET[usize::from((bits >> (i * 5)) as u8 & 31)])).collect()
}

fn check_run(text: &str) -> Result<(), String> {
    let (date, time, random) = match text
        .split_once('t')
        .and_then(|(date, rest)| rest.split_once('-').map(|(time, random)| (date, time, random)))
    {
        Some(parts) => parts,
        None => return Err(not_a_run(text)),
    };
    let digits = |part: &str, n: usize| part.len() == n && part.bytes().all(|b| b.is_ascii_digit());
    match digits(date, 8) && digits(time, 6) && is_random(random, 6) {
        true => Ok(()),
        false => Err(not_a_run(text)),
    }
}

fn not_a_run(text: &str) -> String {
    format!(
        "`{}` is not the id of a run, such as 20261123t141502-k3f9qz",
        crate::text::clean_line(text)
    )
}

fn check_owner(text: &str) -> Result<(), String> {
    match is_random(text, 16) {
        true => Ok(()),
        false => Err("not the id of a state folder: sixteen letters and digits".into()),
    }
}

fn is_random(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_sort_by_time_and_read_back() {
        let early = RunId::new("2026-11-23T14:15:02Z".parse().unwrap());
        let late = RunId::new("2026-11-23T14:15:03Z".parse().unwrap());
        assert!(early.as_str().starts_with("20261123t141502-") && early < late);
        assert_eq!(early.as_str().parse::<RunId>().unwrap(), early);
        assert_ne!(RunId::new(Timestamp::UNIX_EPOCH), RunId::new(Timestamp::UNIX_EPOCH));
        assert_eq!(OwnerId::random().as_str().parse::<OwnerId>().unwrap().as_str().len(), 16);
        for bad in ["", "../x", "20261123t141502-k3f9q", "20261123T141502-k3f9qz", "x-y"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }
}
