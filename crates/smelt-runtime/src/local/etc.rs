//! The jail's own `/etc`: what programs need to run, to resolve names and to trust certificates.

use super::jail::{Mount, User};
use std::fs;
use std::io;
use std::path::Path;

/// Names below `/etc`. Nothing of them is secret, also not for a jail whose user owns them: no
/// `ssl/private`, no `shadow`, no host keys.
const NAMES: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Starts of names that hold a version.
const PREFIXES: &[&str] = &["java-", "python3"];

/// Makes `/etc` in the empty folder `etc`: files are copied, folders mounted, because each mount
/// costs at every command. Accounts are those of the jail: its user, whose home is `home`.
pub(super) fn make(etc: &Path, user: User, home: &Path) -> io::Result<Vec<Mount>> {
    let entries = fs::read_dir("/etc")?.flatten();
    let versioned = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    let mut mounts = vec![Mount::read_only(etc, "/etc")];
    for name in NAMES.iter().map(|name| (*name).to_owned()).chain(versioned) {
        let inside = Path::new("/etc").join(&name);
        // A link may lead to a folder that is not seen inside, such as /run.
        let Ok(host) = inside.canonicalize() else { continue };
        let copy = etc.join(&name);
        if host.is_dir() {
            fs::create_dir_all(&copy)?;
            mounts.push(Mount::read_only(host, inside));
        } else {
            fs::create_dir_all(copy.parent().unwrap_or(etc))?;
            // One that can't be read here could not be read inside either.
            let _ = fs::copy(&host, &copy);
        }
    }
    let User { uid, gid } = user;
    let home = home.display();
    let passwd = format!(
        "smelt:x:{uid}:{gid}:Smelt:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    );
    fs::write(etc.join("passwd"), passwd)?;
    fs::write(etc.join("group"), format!("smelt:x:{gid}:\nnogroup:x:65534:\n"))?;
    Ok(mounts)
}
