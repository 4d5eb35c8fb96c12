//! Building by the engine.

use super::context::Context;
use super::error::BuildError;
use crate::docker::endpoint::EngineConfig;
use crate::docker::login::Logins;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::StreamExt;
use smelt_core::event::OutputStream;
use smelt_core::manifest::PullPolicy;
use smelt_core::port::Output;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::io::ReaderStream;

/// What built images are called; their tag is the hash of their context.
const NAME: &str = "smelt-build";

/// Label of built images, with that hash.
const LABEL: &str = "smelt.build";

/// How long the engine may take for a context before it says something: it is sent first.
const UPLOAD: Duration = Duration::from_secs(3600);

/// An image to build.
#[derive(Clone, Copy, Debug)]
pub(in crate::docker) struct Build<'a> {
    /// Folder that is sent to the engine.
    pub(in crate::docker) context: &'a Path,
    /// The Dockerfile, relative to it.
    pub(in crate::docker) dockerfile: &'a Path,
    /// `Always` builds what is there already, with the newest of the images it is made from.
    pub(in crate::docker) pull: PullPolicy,
    /// Folder of this machine with room for the context.
    pub(in crate::docker) scratch: &'a Path,
}

/// What the image of this context is called, whether it has been built or not.
pub(in crate::docker) async fn tag(
    context: &Path,
    dockerfile: &Path,
) -> Result<String, BuildError> {
    let (context, dockerfile) = (context.to_owned(), dockerfile.to_owned());
    let hash = blocking(move || Context::open(&context, &dockerfile)?.hash()).await?;
    Ok(format!("{NAME}:{hash}"))
}

/// Builds the image unless it is there, and returns what it is called. What the build prints goes to
/// `output`.
pub(in crate::docker) async fn get(
    api: &Docker,
    config: &EngineConfig,
    build: Build<'_>,
    output: &mut dyn Output,
) -> Result<String, BuildError> {
    if build.pull != PullPolicy::Always {
        let tag = tag(build.context, build.dockerfile).await?;
        match api.inspect_image(&tag).await {
            Ok(_) => return Ok(tag),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(error) => return Err(engine(&error)),
        }
    }
    let spooled = Spooled::of(build).await?;
    for path in &spooled.skipped {
        let line =
            format!("left out of the build: {} is no file, folder or link\n", path.display());
        tell(output, &line).await;
    }
    run(api, config, build.pull, spooled, output).await
}

/// A context, ready to be sent.
struct Spooled {
    file: File,
    hash: String,
    dockerfile: String,
    skipped: Vec<PathBuf>,
}

impl Spooled {
    async fn of(build: Build<'_>) -> Result<Self, BuildError> {
        let (context, dockerfile) = (build.context.to_owned(), build.dockerfile.to_owned());
        let scratch = build.scratch.to_owned();
        blocking(move || {
            let context = Context::open(&context, &dockerfile)?;
            let (file, hash) = context.spool(&scratch)?;
            Ok(Self { file, hash, dockerfile: context.dockerfile, skipped: context.skipped })
        })
        .await
    }
}

async fn run(
    api: &Docker,
    config: &EngineConfig,
    pull: PullPolicy,
    spooled: Spooled,
    output: &mut dyn Output,
) -> Result<String, BuildError> {
    let tag = format!("{NAME}:{}", spooled.hash);
    let mut options = BuildImageOptionsBuilder::default()
        .dockerfile(&spooled.dockerfile)
        .t(&tag)
        .labels(&HashMap::from([(LABEL, spooled.hash.as_str())]))
        .rm(true)
        .forcerm(true);
    if pull == PullPolicy::Always {
        options = options.pull("1");
    }
    let logins = match Logins::read(config) {
        Ok(logins) => logins.all().await,
        // What is public needs none.
        Err(error) => {
            tell(output, &format!("without logins: {error}\n")).await;
            HashMap::new()
        }
    };
    let body = bollard::body_try_stream(ReaderStream::new(tokio::fs::File::from_std(spooled.file)));
    let api = api.clone().with_timeout(UPLOAD);
    let mut steps = api.build_image(options.build(), Some(logins), Some(body));
    tell(output, &format!("building {tag}\n")).await;
    while let Some(step) = steps.next().await {
        match step.map_err(|error| engine(&error))? {
            BuildInfo { error_detail: Some(error), .. } => {
                return Err(BuildError::Engine { said: error.message.unwrap_or_default() });
            }
            BuildInfo { stream: Some(text), .. } => tell(output, &text).await,
            // How far a layer is; each of its stages is told once.
            BuildInfo { status: Some(status), id, progress_detail: None, .. } => {
                let layer = id.map_or_else(String::new, |id| format!("{id}: "));
                tell(output, &format!("{layer}{status}\n")).await;
            }
            _ => {}
        }
    }
    Ok(tag)
}

/// What the engine says, without the client's words around it.
fn engine(error: &Error) -> BuildError {
    let said = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        Error::RequestTimeoutError => "the engine does not answer".into(),
        other => smelt_core::outcome::chain(other),
    };
    BuildError::Engine { said }
}

async fn tell(output: &mut dyn Output, text: &str) {
    // Whoever does not want to hear of it is not asked whether the build goes on.
    let _ = output.write(OutputStream::Stdout, text.as_bytes()).await;
}

/// Reads many files without keeping others from their turn.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => Err(BuildError::Engine { said: ended.to_string() }),
    }
}

#[cfg(test)]
mod needs_docker {
    use super::*;
    use crate::docker::endpoint::Connection;
    use async_trait::async_trait;
    use bollard::query_parameters::RemoveImageOptions;
    use smelt_core::manifest::AgentKind;
    use smelt_core::orchestrator::preset;
    use std::fs;
    use std::ops::ControlFlow;
    use tempfile::TempDir;

    /// What a build has printed.
    #[derive(Default)]
    struct Printed(String);

    #[async_trait]
    impl Output for Printed {
        async fn write(&mut self, _: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
            self.0.push_str(&String::from_utf8_lossy(bytes));
            ControlFlow::Continue(())
        }
    }

    async fn built(folder: &TempDir) -> (Docker, Result<String, BuildError>, String) {
        let config = EngineConfig::default();
        let api = Connection::open(&config).await.unwrap().api;
        let scratch = TempDir::new().unwrap();
        let build = Build {
            context: folder.path(),
            dockerfile: Path::new("Dockerfile"),
            pull: PullPolicy::Missing,
            scratch: scratch.path(),
        };
        let mut printed = Printed::default();
        let tag = get(&api, &config, build, &mut printed).await;
        (api, tag, printed.0)
    }

    #[tokio::test]
    async fn a_context_is_built_once() {
        let folder = TempDir::new().unwrap();
        // Nobody else's image has this content.
        let own = uuid::Uuid::new_v4().to_string();
        let listing = "FROM smelt-test/bare\nCOPY . /context\nRUN ls -A /context\n";
        for (name, text) in [
            ("Dockerfile", listing),
            (".dockerignore", "*\n!kept\n!Dockerfile\n"),
            ("kept", &own),
            ("left-out", "never sent"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let (api, tag, printed) = built(&folder).await;
        let tag = tag.unwrap();
        assert!(printed.contains("\nDockerfile\nkept\n"), "{printed}");
        assert!(!printed.contains("left-out"), "{printed}");
        let labels = api.inspect_image(&tag).await.unwrap().config.unwrap().labels.unwrap();
        assert_eq!(format!("{NAME}:{}", labels[LABEL]), tag);
        let (_, again, printed) = built(&folder).await;
        assert_eq!((again.unwrap(), printed.as_str()), (tag.clone(), ""));
        api.remove_image(&tag, None::<RemoveImageOptions>, None).await.unwrap();
    }

    #[tokio::test]
    async fn what_fails_is_said_in_the_engines_words() {
        let folder = TempDir::new().unwrap();
        let refused = async |dockerfile: &str| {
            fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
            built(&folder).await.1.unwrap_err()
        };
        let error = refused("FROM smelt-test/bare\nRUN exit 7\n").await;
        assert!(error.to_string().contains("returned a non-zero code: 7"), "{error}");
        let error = refused("FROM smelt-test/bare\nRUN --mount=type=cache,target=/x true\n").await;
        assert!(error.hint().is_some_and(|hint| hint.contains("without BuildKit")), "{error}");
        let error = refused("NONSENSE\n").await;
        assert!(error.to_string().contains("NONSENSE"), "{error}");
    }

    /// What a user with a registry builds, on a base of this machine: it has git and the agent already.
    #[tokio::test]
    async fn agents_images_are_built_on_a_base_of_ones_own() {
        let own = TempDir::new().unwrap();
        let script = "mkdir -p /usr/local/bin; cd /usr/local/bin; echo '#!/bin/sh' | tee git claude; chmod 0755 *";
        let base = format!("FROM smelt-test/bare\nRUN {script} # {}\n", uuid::Uuid::new_v4());
        fs::write(own.path().join("Dockerfile"), base).unwrap();
        let (api, base, _) = built(&own).await;
        let base = base.unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/agent-image");
        let example = fs::read_to_string(examples.join("Dockerfile")).unwrap();
        for dockerfile in [preset(AgentKind::Claude).dockerfile(), example] {
            let folder = TempDir::new().unwrap();
            let line = "ARG BASE=node:22-slim\n";
            assert!(dockerfile.contains(line), "{dockerfile}");
            let dockerfile = dockerfile.replace(line, &format!("ARG BASE={base}\n"));
            fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
            fs::copy(examples.join(".dockerignore"), folder.path().join(".dockerignore")).unwrap();
            fs::write(folder.path().join("assay"), "#!/bin/sh\n").unwrap();
            let (_, tag, printed) = built(&folder).await;
            let tag = tag.unwrap_or_else(|error| panic!("{error}\n{printed}"));
            api.remove_image(&tag, None::<RemoveImageOptions>, None).await.unwrap();
        }
        api.remove_image(&base, None::<RemoveImageOptions>, None).await.unwrap();
    }
}
