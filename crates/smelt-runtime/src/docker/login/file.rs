//! What Docker's `config.json` says of logins (docker/cli: `cli/config/configfile`).

use super::error::LoginError;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bollard::auth::DockerCredentials;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Docker Hub, as images name it.
const HUB: &str = "docker.io";

/// Docker Hub, as logins name it.
pub(super) const HUB_LOGIN: &str = "https://index.docker.io/v1/";

/// The part of Docker's `config.json` that is about logins.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LoginFile {
    #[serde(deserialize_with = "or_default")]
    pub(super) auths: BTreeMap<String, Login>,
    #[serde(deserialize_with = "or_default")]
    pub(super) creds_store: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) cred_helpers: BTreeMap<String, String>,
}

/// `null`, for Docker, is as good as nothing.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A login kept in the file itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Login {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl LoginFile {
    /// Who knows the login of `registry`; `None`: the file itself.
    pub(super) fn helper_of(&self, registry: &str) -> Option<&str> {
        // Helpers of Docker Hub may stand under either of its names.
        let own = self.cred_helpers.get(registry);
        let hub = || self.cred_helpers.get(HUB).filter(|_| registry == HUB_LOGIN);
        let helper = own.or_else(hub).unwrap_or(&self.creds_store);
        Some(helper.as_str()).filter(|helper| !helper.is_empty())
    }

    /// The login of `registry` in the file, with the name it stands under: with a scheme and a path,
    /// perhaps, as older versions wrote it.
    pub(super) fn kept(&self, registry: &str) -> Option<(&str, &Login)> {
        let exact = self.auths.get_key_value(registry);
        let alike = || self.auths.iter().find(|(key, _)| host_of(key) == registry);
        let (key, login) = exact.or_else(alike)?;
        (!login.is_empty()).then_some((key, login))
    }
}

impl Login {
    /// An entry without a login: what it stands for is with a helper.
    pub(super) fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.identitytoken, &self.registrytoken]
            .iter()
            .all(|text| text.is_empty())
    }

    pub(super) fn credentials(&self, registry: &str) -> Result<DockerCredentials, LoginError> {
        let damaged = || LoginError::Damaged { registry: host_of(registry).to_owned() };
        let (username, password) = match self.auth.as_str() {
            "" => (self.username.clone(), self.password.clone()),
            auth => decode(auth).ok_or_else(damaged)?,
        };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(DockerCredentials {
            username: some(&username),
            password: some(&password),
            identitytoken: some(&self.identitytoken),
            registrytoken: some(&self.registrytoken),
            serveraddress: some(registry),
            ..DockerCredentials::default()
        })
    }
}

/// User and password of an `auth`.
fn decode(auth: &str) -> Option<(String, String)> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// The registry that `image` comes from (distribution/reference: what stands before the first slash
/// is one if nothing else could look like it).
pub(in crate::docker) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some(("index.docker.io", _)) | None => HUB,
        Some((first, _)) => {
            let is_host = first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase);
            if is_host { first } else { HUB }
        }
    }
}

/// The name that a registry's login stands under.
pub(super) fn login_name(registry: &str) -> &str {
    if registry == HUB { HUB_LOGIN } else { registry }
}

/// The host of a login's name.
fn host_of(name: &str) -> &str {
    let name =
        ["https://", "http://"].iter().find_map(|scheme| name.strip_prefix(scheme)).unwrap_or(name);
    name.split('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_an_image() {
        for (image, registry) in [
            ("debian", HUB),
            ("debian:12", HUB),
            ("acme/app:1", HUB),
            ("docker.io/acme/app", HUB),
            ("index.docker.io/acme/app", HUB),
            ("localhost:5000", HUB),
            ("localhost/app", "localhost"),
            ("localhost:5000/app", "localhost:5000"),
            ("build/app@sha256:00", HUB),
            ("build:5000/a/b/c", "build:5000"),
            ("Build/app", "Build"),
            ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000"),
            ("ghcr.io/acme/app@sha256:00", "ghcr.io"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }
}
