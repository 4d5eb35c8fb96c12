//! Provisioning: the sandbox is made, and gets what it is to have.

use super::Context;
use super::phase::{Executing, Phase, Prepared, Provisioning};
use super::prepare::notices;
use super::teardown;
use crate::event::{JobEvent, Level, OutputSource};
use crate::outcome::{Failure, FailureKind};
use crate::port::{Sandbox, SandboxError, SandboxPaths, Workspace};
use crate::session::lines::Lines;
use crate::session::outlet::Speaker;
use std::io;
use std::path::{Path, PathBuf};

impl Provisioning {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared } = self;
        let provision = async {
            tokio::join!(provision(context, &prepared), tell_notices(context, &prepared)).0
        };
        match context.clock.unless_interrupted(provision).await {
            Ok(Ok(sandbox)) => Phase::Executing(Executing { prepared, sandbox }),
            Ok(Err(failure)) => Phase::end(failure),
            Err(interrupt) => {
                // Half of it may be there, known to nobody.
                teardown::reap(context).await;
                Phase::end(interrupt.outcome())
            }
        }
    }
}

/// Tells what the sandbox will not have of the repository, and what the agent will not have.
async fn tell_notices(context: &Context<'_>, prepared: &Prepared) {
    let missing_key = crate::plan::missing_key(&context.request.manifest);
    let missing_key = missing_key.map(|message| (Level::Warning, message));
    let notices = notices(&prepared.repository, &prepared.base).await;
    for (level, message) in notices.into_iter().chain(missing_key) {
        context.events.emit(JobEvent::Notice { level, message, session: None });
    }
}

async fn provision(
    context: &Context<'_>,
    prepared: &Prepared,
) -> Result<Box<dyn Sandbox>, Failure> {
    let sandbox = make(context, prepared).await.map_err(|error| of_sandbox(&error))?;
    match fill(context, prepared, &*sandbox).await {
        Ok(()) => Ok(sandbox),
        Err(failure) => {
            if let Err(error) = sandbox.destroy().await {
                tracing::warn!(%error, "a sandbox that could not be filled is left");
            }
            Err(failure)
        }
    }
}

/// Makes the sandbox and tells what holds it in.
pub(super) async fn make(
    context: &Context<'_>,
    prepared: &Prepared,
) -> Result<Box<dyn Sandbox>, SandboxError> {
    let Some(runtime) = context.runtime() else {
        return Err(SandboxError::Gone("its runtime".into()));
    };
    let speaker = Speaker::new(None, OutputSource::Sandbox);
    let mut lines = Lines::new(context.events, &context.redactor, speaker, 0);
    let made = runtime.provision(&prepared.spec, &mut lines).await;
    lines.finish().await;
    let sandbox = made?;
    let isolation = sandbox.isolation();
    context.events.emit(JobEvent::SandboxReady {
        id: sandbox.id().to_owned(),
        isolation: isolation.summary.clone(),
        image: prepared.image.as_deref().or(sandbox.image()).map(str::to_owned),
    });
    tell_gaps(context, isolation.gaps.clone());
    Ok(sandbox)
}

/// Waits until the sandbox's walls are up.
pub(super) async fn seal(context: &Context<'_>, sandbox: &dyn Sandbox) -> Result<(), SandboxError> {
    tell_gaps(context, sandbox.seal().await?);
    Ok(())
}

fn tell_gaps(context: &Context<'_>, gaps: Vec<String>) {
    for message in gaps {
        let level = Level::Warning;
        context.events.emit(JobEvent::Notice { level, message, session: None });
    }
}

/// Puts the workspace (where it is streamed) and the manifest's files into the sandbox.
async fn fill(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
) -> Result<(), Failure> {
    let fault = |error: SandboxError| of_sandbox(&error);
    let broken = |error: io::Error| Failure::from_error(FailureKind::Fault, &error);
    if prepared.workspace == Workspace::Streamed {
        let root = prepared.spec.root.clone();
        let archive = tokio::task::spawn_blocking(move || archive_root(&root)).await;
        let file = archive.map_err(io::Error::other).flatten().map_err(broken)?;
        let mut file = tokio::fs::File::from_std(file);
        sandbox.upload(&mut file, &sandbox.paths().root).await.map_err(fault)?;
    }
    // Most are below the home, which can be written in every sandbox.
    let home = sandbox.paths().home.clone();
    let (of_home, others): (Vec<_>, Vec<_>) =
        files(context, sandbox)?.into_iter().partition(|file| file.path.starts_with(&home));
    for (files, at) in [(of_home, home.as_path()), (others, Path::new("/"))] {
        if files.is_empty() {
            continue;
        }
        let archive = archive_files(&files, at).map_err(broken)?;
        sandbox.upload(&mut archive.as_slice(), at).await.map_err(|error| {
            of_sandbox(&error).hint(
                "`files` of `[environment]` and `[credentials]` go where the sandbox can be \
                 written, such as below `~/`",
            )
        })?;
    }
    Ok(())
}

/// A file to be put into the sandbox.
struct File {
    path: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

fn files(context: &Context<'_>, sandbox: &dyn Sandbox) -> Result<Vec<File>, Failure> {
    use std::os::unix::fs::PermissionsExt;
    let home = &sandbox.paths().home;
    let manifest = &context.request.manifest;
    let mut files = Vec::new();
    for (inside, host) in &manifest.environment.files {
        let read = std::fs::read(host).and_then(|content| {
            let mode = std::fs::metadata(host)?.permissions().mode() & 0o777;
            Ok(File { path: inside.below(home), content, mode })
        });
        files.push(read.map_err(|error| {
            let message =
                format!("`{}` of `[environment] files` can't be read: {error}", host.display());
            Failure::new(FailureKind::Invalid, message)
        })?);
    }
    for (inside, name) in &manifest.credentials.files {
        if let Some(secret) = context.request.secrets.get(name) {
            let content = secret.expose().as_bytes().to_vec();
            files.push(File { path: inside.below(home), content, mode: 0o600 });
        }
    }
    Ok(files)
}

/// The files as a tar archive, by their paths below `at`.
fn archive_files(files: &[File], at: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for File { path, content, mode } in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(jiff::Timestamp::now().as_second().unsigned_abs());
        let below = path.strip_prefix(at).map_err(io::Error::other)?;
        archive.append_data(&mut header, below, content.as_slice())?;
    }
    archive.into_inner()
}

/// What a sandbox's root folder is to hold, as a tar archive in a file that nobody else sees.
fn archive_root(root: &Path) -> io::Result<std::fs::File> {
    let path = root.with_extension("tar");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut archive = tar::Builder::new(file);
    archive.follow_symlinks(false);
    for folder in SandboxPaths::FOLDERS {
        archive.append_dir_all(folder, root.join(folder))?;
    }
    let mut file = archive.into_inner()?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

pub(super) fn of_sandbox(error: &SandboxError) -> Failure {
    let kind = match error {
        SandboxError::Unavailable { .. } => FailureKind::Unavailable,
        SandboxError::Unsupported { .. } => FailureKind::Invalid,
        SandboxError::Gone(_) | SandboxError::Failed { .. } => FailureKind::Fault,
    };
    let failure = Failure::from_error(kind, error);
    match error {
        SandboxError::Unavailable { hint: Some(hint), .. } => failure.hint(hint.clone()),
        _ => failure,
    }
}
