//! Who the agent is inside: a number, a home, a name to go with it.

use super::engine::{ApiError, Engine, status};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures::StreamExt;
use smelt_core::manifest::Environment;
use smelt_core::port::SandboxError;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Home of a user whom the image does not know.
const HOME: &str = "/home/smelt";

/// Most of a file with users that is read, in bytes.
const FILE_MAX: usize = 1 << 20;

/// The user that everything in a sandbox runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    pub(super) home: PathBuf,
    /// The image does not know them yet: passwd(5) needs this line.
    line: Option<String>,
}

/// Whom a sandbox is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Whoever runs Smelt.
    Own { uid: u32, gid: u32 },
    /// As the manifest says: a name, a number, or two.
    Named(&'a str),
}

impl<'a> Wanted<'a> {
    /// Whom `environment` asks for.
    pub(super) fn of(environment: &'a Environment) -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        match environment.user.as_deref() {
            None => Self::Own { uid, gid },
            Some(name) => Self::Named(name),
        }
    }

    /// As an exec takes it.
    pub(super) fn spec(self) -> String {
        match self {
            Self::Own { uid, gid } => format!("{uid}:{gid}"),
            Self::Named(name) => name.to_owned(),
        }
    }

    /// root, and no more than that is said: its image stays as it is.
    pub(super) fn is_own_root(self) -> bool {
        matches!(self, Self::Own { uid: 0, .. })
    }

    /// root, by somebody's wish: it may install things.
    pub(super) fn is_root_by_wish(self) -> bool {
        match self {
            Self::Own { .. } => false,
            Self::Named(name) => matches!(name.split(':').next(), Some("root" | "0")),
        }
    }
}

impl User {
    /// The user for whom nothing has to be looked up.
    pub(super) fn root() -> Self {
        Self { uid: 0, gid: 0, name: "root".into(), home: "/root".into(), line: None }
    }

    /// As an exec takes it.
    pub(super) fn spec(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// Whom the files `passwd` and `group` of an image make of `wanted`; an error says who is not
    /// there.
    fn find(wanted: Wanted<'_>, passwd: &str, group: &str) -> Result<Self, String> {
        let (user, its_group) = match wanted {
            Wanted::Own { uid, gid } => (uid.to_string(), Some(gid.to_string())),
            Wanted::Named(name) => match name.split_once(':') {
                Some((user, group)) => (user.to_owned(), Some(group.to_owned())),
                None => (name.to_owned(), None),
            },
        };
        let known = entries(passwd)
            .find(|entry| entry.first() == Some(&&*user) || entry.get(2) == Some(&&*user));
        let number = |field: Option<&&str>| field.and_then(|field| field.parse::<u32>().ok());
        let gid = match &its_group {
            Some(name) => {
                let entry = entries(group).find(|entry| entry.first() == Some(&name.as_str()));
                let gid = name.parse().ok().or_else(|| number(entry.as_ref()?.get(2)));
                Some(gid.ok_or_else(|| format!("the image has no group `{name}`"))?)
            }
            None => None,
        };
        if let Some(entry) = known {
            let uid = number(entry.get(2)).ok_or("the image's /etc/passwd makes no sense")?;
            let home = entry.get(5).copied().unwrap_or_default();
            let homeless = ["", "/", "/nonexistent", "/dev/null"].contains(&home);
            let home = if homeless || !home.starts_with('/') { HOME } else { home };
            let gid = gid.or_else(|| number(entry.get(3))).unwrap_or(uid);
            let name = entry.first().copied().unwrap_or("smelt").to_owned();
            return Ok(Self { uid, gid, name, home: home.into(), line: None });
        }
        let uid: u32 = user.parse().map_err(|_| {
            format!(
                "running as `{user}`: the image has no such user (name one that it has, a number, or \
                 `root`; `RUN useradd {user}` in its Dockerfile makes one)"
            )
        })?;
        let gid = gid.unwrap_or(uid);
        let name = if entries(passwd).any(|entry| entry.first() == Some(&"smelt")) {
            format!("smelt{uid}")
        } else {
            "smelt".to_owned()
        };
        let line = format!("{name}:x:{uid}:{gid}::{HOME}:/bin/sh\n");
        Ok(Self { uid, gid, name, home: HOME.into(), line: Some(line) })
    }
}

/// The lines of a passwd(5) or group(5), in fields.
fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.is_empty()).map(|line| line.split(':').collect())
}

/// Finds out who `wanted` is in the created container `id`.
pub(super) async fn find(
    engine: &Engine,
    id: &str,
    wanted: Wanted<'_>,
) -> Result<(User, String), SandboxError> {
    let passwd = read(engine, id, "/etc/passwd").await?;
    let needs_group = matches!(wanted, Wanted::Named(name) if name.split_once(':').is_some_and(|(_, group)| group.parse::<u32>().is_err()));
    let group = if needs_group { read(engine, id, "/etc/group").await? } else { String::new() };
    let user = User::find(wanted, &passwd, &group)
        .map_err(|what| SandboxError::Unsupported { runtime: "docker", what })?;
    Ok((user, passwd))
}

/// Makes the folders `own` theirs, and them known, in the created container `id`; all of it below
/// `at`, because nothing else may be writable.
pub(super) async fn settle(
    engine: &Engine,
    id: &str,
    user: &User,
    passwd: &str,
    at: &str,
    own: &[PathBuf],
) -> Result<(), SandboxError> {
    let failed = |error| SandboxError::failed("making the user's folders", error);
    let archive = archive(user, passwd, Path::new(at), own).map_err(failed)?;
    let options = UploadToContainerOptionsBuilder::default().path(at).build();
    let body = bollard::body_full(archive.into());
    let put = engine.api.upload_to_container(id, Some(options), body).await;
    put.map_err(|error| ApiError::new("making the user's folders", error).into())
}

fn archive(user: &User, passwd: &str, at: &Path, own: &[PathBuf]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind, mode, uid: u32, gid: u32, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_size(size as u64);
        header.set_mtime(jiff::Timestamp::now().as_second().unsigned_abs());
        header
    };
    if let Some(line) = &user.line {
        let break_before = if passwd.is_empty() || passwd.ends_with('\n') { "" } else { "\n" };
        let text = format!("{passwd}{break_before}{line}");
        let mut file = header(tar::EntryType::Regular, 0o644, 0, 0, text.len());
        archive.append_data(&mut file, "etc/passwd", text.as_bytes())?;
    }
    let mut folder = |path: &Path| {
        let mut folder = header(tar::EntryType::Directory, 0o755, user.uid, user.gid, 0);
        archive.append_data(&mut folder, path.strip_prefix(at).unwrap_or(path), &[][..])
    };
    for path in own {
        // What lies between the home and a folder in it is the user's too.
        let mut below_home: Vec<_> =
            path.ancestors().skip(1).take_while(|above| above.starts_with(&user.home)).collect();
        while let Some(above) = below_home.pop() {
            folder(above)?;
        }
        folder(path)?;
    }
    archive.into_inner()
}

/// A file of the container; empty where there is none.
async fn read(engine: &Engine, id: &str, path: &'static str) -> Result<String, SandboxError> {
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut stream = engine.api.download_from_container(id, Some(options));
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) if status(&error) == Some(404) => return Ok(String::new()),
            Err(error) => return Err(ApiError::new("reading the image's users", error).into()),
        }
        if bytes.len() > FILE_MAX {
            return Err(SandboxError::failed(
                "reading the image's users",
                format!("{path} is too large"),
            ));
        }
    }
    let mut text = String::new();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let failed = |error| SandboxError::failed("reading the image's users", error);
    if let Some(entry) = archive.entries().map_err(failed)?.next() {
        entry.map_err(failed)?.read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/bash\n\
                          nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:node\n";

    fn found(wanted: &str) -> String {
        match User::find(Wanted::Named(wanted), PASSWD, GROUP) {
            Ok(user) => format!("{} {} {} {}", user.uid, user.gid, user.name, user.home.display()),
            Err(why) => why,
        }
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        assert_eq!(found("node"), "1000 1000 node /home/node");
        assert_eq!(found("1000"), "1000 1000 node /home/node");
        assert_eq!(found("node:staff"), "1000 50 node /home/node");
        assert_eq!(found("1000:7"), "1000 7 node /home/node");
        assert_eq!(found("root"), "0 0 root /root");
        assert_eq!(found("nobody"), "65534 65534 nobody /home/smelt");
        assert_eq!(found("1234"), "1234 1234 smelt /home/smelt");
        assert!(found("jane").starts_with("running as `jane`: the image has no such user"));
        assert_eq!(found("node:jane"), "the image has no group `jane`");
    }

    #[test]
    fn who_is_not_known_becomes_so_and_owns_what_is_theirs() {
        let user = User::find(Wanted::Own { uid: 501, gid: 20 }, PASSWD.trim_end(), "").unwrap();
        let own = [user.home.clone(), user.home.join(".cache/pip"), "/smelt/tasks".into()];
        let archive = archive(&user, PASSWD.trim_end(), Path::new("/"), &own).unwrap();
        let mut reader = tar::Archive::new(archive.as_slice());
        let mut seen = Vec::new();
        for entry in reader.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, uid) =
                (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap());
            if path == "etc/passwd" {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                assert_eq!(text, format!("{PASSWD}smelt:x:501:20::/home/smelt:/bin/sh\n"));
            }
            seen.push(format!("{path} {uid}"));
        }
        assert_eq!(
            seen,
            [
                "etc/passwd 0",
                "home/smelt 501",
                "home/smelt 501",
                "home/smelt/.cache 501",
                "home/smelt/.cache/pip 501",
                "smelt/tasks 501"
            ]
        );
    }
}
