//! The logins of whoever runs Smelt.

use super::error::LoginError;
use super::file::{LoginFile, login_name, registry_of};
use super::helper::{HELPER_DEADLINE, Helper};
use crate::docker::endpoint::{EngineConfig, read};
use bollard::auth::DockerCredentials;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::time::Duration;

/// The logins of whoever runs Smelt. They hold secrets: there is no way to print them.
pub(in crate::docker) struct Logins {
    file: LoginFile,
    /// Where helpers are looked up.
    path: OsString,
    deadline: Duration,
}

impl Logins {
    /// Those of Docker's folder. No helper is asked yet.
    pub(in crate::docker) fn read(config: &EngineConfig) -> Result<Self, LoginError> {
        let file = read(&config.config_dir.join("config.json"))?.unwrap_or_default();
        Ok(Self { file, path: config.path.clone(), deadline: HELPER_DEADLINE })
    }

    /// The login for pulling `image`; `None` where there is none, which is enough for what is
    /// public. So it may be for a helper that fails: Docker's own command goes on without.
    pub(in crate::docker) async fn for_image(
        &self,
        image: &str,
    ) -> Result<Option<DockerCredentials>, LoginError> {
        let registry = login_name(registry_of(image));
        match self.file.helper_of(registry) {
            Some(helper) => self.helper(helper).get(registry).await,
            None => self.file.kept(registry).map(|(key, login)| login.credentials(key)).transpose(),
        }
    }

    /// Every login, by registry, for a build that may pull from any. A login that can't be had is
    /// left out with a warning: the build may well do without.
    pub(in crate::docker) async fn all(&self) -> HashMap<String, DockerCredentials> {
        let mut all = HashMap::new();
        let mut keep =
            |registry: &str, login: Result<Option<DockerCredentials>, LoginError>| match login {
                Ok(Some(login)) => {
                    all.insert(registry.to_owned(), login);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(registry, %error, "a registry's login is left out of the build");
                }
            };
        let file = &self.file;
        if file.creds_store.is_empty() {
            let logins = file.auths.iter().filter(|(_, login)| !login.is_empty());
            logins.for_each(|(key, login)| keep(key, login.credentials(key).map(Some)));
        } else {
            // What a store holds stands in the file, too, without the secrets.
            let mut known: BTreeSet<_> = file.auths.keys().cloned().collect();
            match self.helper(&file.creds_store).list().await {
                Ok(listed) => known.extend(listed.into_keys()),
                Err(error) => tracing::warn!(%error, "a store of logins is left out of the build"),
            }
            for registry in known.iter().filter(|name| !file.cred_helpers.contains_key(*name)) {
                keep(registry, self.helper(&file.creds_store).get(registry).await);
            }
        }
        for (registry, helper) in &file.cred_helpers {
            let registry = login_name(registry);
            keep(registry, self.helper(helper).get(registry).await);
        }
        all
    }

    fn helper<'a>(&'a self, name: &'a str) -> Helper<'a> {
        Helper { name, path: &self.path, deadline: self.deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::HUB_LOGIN;
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    /// Docker's folder with this configuration, and the helper `docker-credential-test`, a script.
    fn logins(config: &str, helper: &str) -> (TempDir, Logins) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        let program = folder.path().join("docker-credential-test");
        fs::write(&program, format!("#!/bin/sh\n{helper}\n")).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let config = EngineConfig {
            config_dir: folder.path().to_owned(),
            path: format!("{}:/usr/bin:/bin", folder.path().display()).into(),
            ..EngineConfig::default()
        };
        let logins = Logins::read(&config).unwrap();
        (folder, logins)
    }

    async fn user_of(logins: &Logins, image: &str) -> Option<(String, String)> {
        let found = logins.for_image(image).await.unwrap()?;
        Some((found.username?, found.password?))
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.into(), password.into()))
    }

    /// A helper that knows a login of the one registry.
    const HELPER: &str = r#"
        case $1 in
        list) echo '{"https://store.example":"sam"}'; exit;;
        esac
        read -r server || true
        case $server in
        *store.example|https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"sam","Secret":"s:1"}';;
        token.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}';;
        odd.example) echo 'the-secret';;
        locked.example) echo 'the keychain is locked'; exit 1;;
        leaky.example) echo '{"Secret":"the-secret"}'; exit 1;;
        slow.example) exec sleep 60;;
        *) echo 'credentials not found in native keychain'; exit 1;;
        esac"#;

    #[tokio::test]
    async fn logins_of_the_file_itself() {
        // "me:pass:word", without its padding.
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6cGFzczp3b3Jk"},
            "https://old.example/v2/": {"username": "u", "password": "p"},
            "token.example": {"auth": "bWU6", "identitytoken": "t"},
            "empty.example": {},
            "damaged.example": {"auth": "%%"}
        }}"#;
        let (_folder, logins) = logins(config, "exit 1");
        assert_eq!(user_of(&logins, "debian").await, pair("me", "pass:word"));
        assert_eq!(user_of(&logins, "old.example/app").await, pair("u", "p"));
        assert_eq!(user_of(&logins, "other.example/app").await, None);
        assert!(logins.for_image("empty.example/app").await.unwrap().is_none());
        let token = logins.for_image("token.example/app").await.unwrap().unwrap();
        assert_eq!(token.identitytoken.as_deref(), Some("t"));
        let error = logins.for_image("damaged.example/app").await.unwrap_err().to_string();
        assert!(error.contains("docker login damaged.example"), "{error}");
        let mut all: Vec<_> = logins.all().await.into_keys().collect();
        all.sort();
        assert_eq!(all, [HUB_LOGIN, "https://old.example/v2/", "token.example"]);
    }

    #[tokio::test]
    async fn logins_of_a_store() {
        let config =
            r#"{"credsStore": "test", "auths": {"token.example": {}, "gone.example": {}}}"#;
        let (_folder, logins) = logins(config, HELPER);
        assert_eq!(user_of(&logins, "store.example/app").await, pair("sam", "s:1"));
        assert_eq!(user_of(&logins, "gone.example/app").await, None);
        let token = logins.for_image("token.example/app").await.unwrap().unwrap();
        assert_eq!((token.identitytoken.as_deref(), token.password), (Some("t"), None));
        let mut all: Vec<_> = logins.all().await.into_keys().collect();
        all.sort();
        assert_eq!(all, ["https://store.example", "token.example"]);
    }

    #[tokio::test]
    async fn a_helper_for_one_registry() {
        let config = r#"{"credHelpers": {"docker.io": "test", "none.example": "absent"},
            "auths": {"ghcr.io": {"auth": "bWU6cA=="}}}"#;
        let (_folder, logins) = logins(config, HELPER);
        assert_eq!(user_of(&logins, "acme/app").await, pair("sam", "s:1"));
        assert_eq!(user_of(&logins, "ghcr.io/acme/app").await, pair("me", "p"));
        let error = logins.for_image("none.example/app").await.unwrap_err().to_string();
        assert!(error.contains("docker-credential-absent, which is not on the PATH"), "{error}");
        let mut all: Vec<_> = logins.all().await.into_keys().collect();
        all.sort();
        assert_eq!(all, ["ghcr.io", HUB_LOGIN]);
    }

    #[tokio::test]
    async fn helpers_that_fail_are_named_and_tell_no_secret() {
        let (_folder, mut logins) = logins(r#"{"credsStore": "test", "auths": null}"#, HELPER);
        for (image, said) in [
            ("odd.example/app", "answered something that is no login"),
            ("locked.example/app", "failed: the keychain is locked"),
            ("leaky.example/app", "failed"),
        ] {
            let error = logins.for_image(image).await.unwrap_err();
            assert_eq!(error.to_string(), format!("docker-credential-test {said}"));
            assert!(!format!("{error:?}").contains("the-secret"));
        }
        logins.deadline = Duration::from_millis(50);
        let error = logins.for_image("slow.example/app").await.unwrap_err().to_string();
        assert!(error.contains("did not answer within"), "{error}");
    }

    #[tokio::test]
    async fn without_a_file_there_is_no_login() {
        let logins =
            Logins::read(&EngineConfig { config_dir: "/nowhere".into(), ..Default::default() })
                .unwrap();
        assert!(logins.for_image("debian").await.unwrap().is_none());
        assert!(logins.all().await.is_empty());
    }
}
