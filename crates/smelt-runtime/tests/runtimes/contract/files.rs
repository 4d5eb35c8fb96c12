use super::{Subject, read, run, sh};
use smelt_core::port::{Command, Discard, Sandbox, SandboxPaths, Workspace};
use std::path::Path;

/// A tar archive of entries: path, kind, and what it holds or links to.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_mtime(1);
        let is_file = *kind == tar::EntryType::Regular;
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        // By hand, because the library refuses the paths that matter here.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        if !is_file && !content.is_empty() {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, if is_file { content.as_bytes() } else { &[] }).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;

async fn upload(sandbox: &dyn Sandbox, archive: Vec<u8>, at: &Path) -> bool {
    sandbox.upload(&mut archive.as_slice(), at).await.is_ok()
}

pub async fn what_is_uploaded_is_there(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let home = sandbox.paths().home.clone();
    let entries = [("a/b.txt", FILE, "content\n"), ("c.txt", FILE, ""), ("l", LINK, "c.txt")];
    assert!(upload(&*sandbox, archive(&entries), &home.join("new/folder")).await);
    assert_eq!(read(&*sandbox, &home.join("new/folder/a/b.txt")).await, "content");
    let (_, out, _) =
        sh(&*sandbox, "cd ~/new/folder && ls; readlink l; id -u; stat -c %u a/b.txt").await;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..4], ["a", "c.txt", "l", "c.txt"]);
    assert_eq!(lines[4], lines[5], "it belongs to the sandbox's user");
    assert!(!upload(&*sandbox, b"no archive at all".to_vec(), &home).await);
    sandbox.destroy().await.unwrap();
}

/// Paths and links that lead out of the folder, through what the archive or an agent has put there.
pub async fn a_hostile_archive_gets_nowhere_else(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let home = sandbox.paths().home.clone();
    let victim = subject.folder.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let outside = victim.to_str().unwrap();
    let (_, _, err) = run(
        &*sandbox,
        Command::shell(
            "mkdir -p ~/at && ln -s \"$1\" ~/at/planted && ln -s / ~/at/top",
            [outside],
            "/",
        ),
    )
    .await;
    assert_eq!(err, "");
    for entries in [
        vec![("../../escaped", FILE, "x")],
        vec![("/escaped", FILE, "x")],
        vec![("planted/escaped", FILE, "x")],
        vec![("link", LINK, outside), ("link/escaped", FILE, "x")],
        vec![("hard", tar::EntryType::Link, "/etc/passwd"), ("hard", FILE, "x")],
        vec![("device", tar::EntryType::Char, "")],
        vec![("pipe", tar::EntryType::Fifo, "")],
    ] {
        // Whether it is refused or tamed is the runtime's affair.
        upload(&*sandbox, archive(&entries), &home.join("at")).await;
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0, "{entries:?}");
        let host = subject.folder.path();
        for folder in [Path::new("/"), host, &subject.scratch()] {
            assert!(!folder.join("escaped").exists(), "{entries:?} in {}", folder.display());
        }
    }
    sandbox.destroy().await.unwrap();
}

pub async fn what_is_downloaded_is_an_archive_of_bounded_size(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let home = sandbox.paths().home.clone();
    let script = "mkdir ~/out && cd ~/out && echo one > 1.txt && mkdir in && echo two > in/2.txt && \
                  ln -s /etc/passwd link && truncate -s 1T ~/huge";
    assert!(sh(&*sandbox, script).await.0.success());
    let mut bytes = Vec::new();
    let written = sandbox.download(&home.join("out"), &mut bytes, 1 << 20).await.unwrap();
    assert_eq!(written, bytes.len() as u64);
    let mut reader = tar::Archive::new(bytes.as_slice());
    let mut names = Vec::new();
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path.ends_with("link") {
            assert_eq!(entry.header().entry_type(), LINK, "a link is not followed");
        }
        names.push(path.trim_end_matches('/').to_owned());
    }
    names.sort();
    assert_eq!(names, ["out", "out/1.txt", "out/in", "out/in/2.txt", "out/link"]);
    // A terabyte that takes no room there would take a lot here.
    let mut bytes = Vec::new();
    let refused = sandbox.download(&home.join("huge"), &mut bytes, 1 << 20).await;
    assert!(refused.is_err() && bytes.len() <= 1 << 20, "{}", bytes.len());
    assert!(sandbox.download(&home.join("nothing"), &mut Vec::new(), 1 << 20).await.is_err());
    sandbox.destroy().await.unwrap();
}

/// The engine fills the root folder: by a mount, or by an upload.
pub async fn the_root_folder_is_what_the_engine_made_it(subject: &Subject) {
    let mut spec = subject.spec("");
    let objects = subject.folder.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    std::fs::write(objects.join("pack"), "borrowed\n").unwrap();
    let mounted = subject.runtime.workspace(&spec.environment).await == Workspace::Mounted;
    if mounted {
        spec.borrowed = vec![objects.clone()];
    }
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let paths = sandbox.paths().clone();
    if !mounted {
        let mut builder = tar::Builder::new(Vec::new());
        for folder in SandboxPaths::FOLDERS {
            builder.append_dir_all(folder, spec.root.join(folder)).unwrap();
        }
        assert!(upload(&*sandbox, builder.into_inner().unwrap(), &paths.root).await);
    }
    assert_eq!(read(&*sandbox, &paths.workspace().join("hello.txt")).await, "hello");
    let (exit, ..) = run(
        &*sandbox,
        Command::shell(
            "echo x > new && mkdir ../sessions/s && touch ../tasks/t",
            [],
            paths.workspace(),
        ),
    )
    .await;
    assert!(exit.success());
    if mounted {
        let borrowed = paths.root.join(SandboxPaths::OBJECTS).join("0/pack");
        assert_eq!(read(&*sandbox, &borrowed).await, "borrowed");
        if !sandbox.isolation().unsandboxed {
            let (exit, ..) =
                sh(&*sandbox, "echo changed > objects/0/pack || rm -rf objects/0/pack").await;
            assert!(!exit.success());
        }
    }
    sandbox.destroy().await.unwrap();
    assert_eq!(std::fs::read_to_string(objects.join("pack")).unwrap(), "borrowed\n");
}

/// What is kept between runs of one repository, and not between two.
pub async fn a_cache_is_kept_by_its_key(subject: &Subject) {
    let cache = |key: &str| smelt_core::port::CacheSpec {
        key: key.into(),
        paths: vec!["~/.store".parse().unwrap(), "/var/cache/tool".parse().unwrap()],
    };
    for (key, seen) in [("one", ""), ("one", "x"), ("two", "")] {
        let mut spec = subject.spec("");
        spec.cache = Some(cache(key));
        let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
        let script = "cat ~/.store/f /var/cache/tool/f 2>/dev/null; printf x > ~/.store/f; test -d /var/cache/tool";
        let (exit, out, err) = sh(&*sandbox, script).await;
        assert_eq!((exit.success(), out.as_str()), (true, seen), "{key}: {err}");
        sandbox.destroy().await.unwrap();
    }
}
