//! The image that sandboxes are made of: found, pulled or built.

use super::build::{self, Build};
use super::engine::{ApiError, Engine, status, told};
use super::login::Logins;
use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use bytesize::ByteSize;
use futures::StreamExt;
use smelt_core::event::OutputStream;
use smelt_core::manifest::{Environment, ImageSource, PullPolicy};
use smelt_core::port::{Output, SandboxError};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is told how far a layer is.
const TELL: Duration = Duration::from_secs(2);

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// Its id: the digest of its configuration.
    pub(super) id: String,
    /// Name and digest in its registry; name and id where it came from none.
    pub(super) digest: String,
}

/// Gets the image of `environment`, by its pull policy; `scratch` is a folder with room for what is
/// sent to be built.
pub(super) async fn get(
    engine: &Engine,
    environment: &Environment,
    scratch: &Path,
    output: &mut dyn Output,
) -> Result<Image, SandboxError> {
    let reference = match &environment.image {
        Some(ImageSource::Image(reference)) => reference,
        Some(ImageSource::Build { context, dockerfile }) => {
            let pull = environment.pull;
            let build = Build { context, dockerfile, pull, scratch };
            let tag = build::get(&engine.api, &engine.config, build, output).await?;
            return find(engine, &tag).await?.ok_or_else(|| gone(&tag));
        }
        None => return Err(no_image()),
    };
    let there = match environment.pull {
        PullPolicy::Always => None,
        PullPolicy::Missing | PullPolicy::Never => find(engine, reference).await?,
    };
    match (there, environment.pull) {
        (Some(image), _) => Ok(image),
        (None, PullPolicy::Never) => Err(missing(reference)),
        (None, _) => {
            pull(engine, reference, output).await?;
            find(engine, reference).await?.ok_or_else(|| gone(reference))
        }
    }
}

/// The image of `environment`, which must be there: for whoever has not got it by [`get`].
pub(super) async fn of(engine: &Engine, environment: &Environment) -> Result<Image, SandboxError> {
    let reference = match &environment.image {
        Some(ImageSource::Image(reference)) => reference.clone(),
        Some(ImageSource::Build { context, dockerfile }) => build::tag(context, dockerfile).await?,
        None => return Err(no_image()),
    };
    find(engine, &reference).await?.ok_or_else(|| gone(&reference))
}

fn no_image() -> SandboxError {
    let what = "making a sandbox of no image".into();
    SandboxError::Unsupported { runtime: "docker", what }
}

fn missing(reference: &str) -> SandboxError {
    SandboxError::Unavailable {
        message: format!("the engine has no image `{reference}`, and `pull` is \"never\""),
        hint: Some(format!(
            "build or pull it (docker pull {reference}), or set `pull = \"missing\"` in `[environment]`"
        )),
    }
}

/// An image that was there a moment ago.
fn gone(reference: &str) -> SandboxError {
    SandboxError::Unavailable {
        message: format!("the image `{reference}` is not in the engine any more"),
        hint: Some("was it removed meanwhile? a new run gets it again".into()),
    }
}

/// The image called `reference`, where the engine has it.
pub(super) async fn find(engine: &Engine, reference: &str) -> Result<Option<Image>, SandboxError> {
    match engine.api.inspect_image(reference).await {
        Ok(image) => Ok(Some(of_inspect(reference, image))),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) if status(&error) == Some(400) => {
            let what = format!("using `{reference}`, which is no image's name: {}", told(&error));
            Err(SandboxError::Unsupported { runtime: "docker", what })
        }
        Err(error) => Err(ApiError::new("looking for the image", error).into()),
    }
}

fn of_inspect(reference: &str, image: ImageInspect) -> Image {
    let id = image.id.unwrap_or_default();
    let name = reference.split('@').next().unwrap_or(reference);
    let repository = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    };
    let digests = image.repo_digests.unwrap_or_default();
    let own = digests.iter().find(|digest| {
        digest
            .split('@')
            .next()
            .is_some_and(|named| named == repository || named.ends_with(&format!("/{repository}")))
    });
    let digest = own.or(digests.first()).cloned().unwrap_or_else(|| format!("{reference} {id}"));
    Image { id, digest }
}

async fn pull(
    engine: &Engine,
    reference: &str,
    output: &mut dyn Output,
) -> Result<(), SandboxError> {
    let login = async { Logins::read(&engine.config)?.for_image(reference).await };
    let login = match login.await {
        Ok(login) => login,
        // What is public needs none.
        Err(error) => {
            tell(output, &format!("without a login: {error}")).await;
            None
        }
    };
    let options = CreateImageOptionsBuilder::default().from_image(&tagged(reference)).build();
    let mut progress = engine.api.create_image(Some(options), None, login);
    let mut layers = Layers::default();
    tell(output, &format!("pulling {reference}")).await;
    while let Some(step) = progress.next().await {
        match step {
            Ok(CreateImageInfo { error_detail: Some(error), .. }) => {
                return Err(not_pulled(reference, &error.message.unwrap_or_default()));
            }
            Ok(step) => {
                if let Some(line) = layers.line(&step) {
                    tell(output, &line).await;
                }
            }
            Err(error) => return Err(not_pulled(reference, &told(&error))),
        }
    }
    Ok(())
}

/// A name without tag or digest stands for its newest version, not for all of them.
fn tagged(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    match name.contains([':', '@']) {
        true => reference.to_owned(),
        false => format!("{reference}:latest"),
    }
}

fn not_pulled(reference: &str, why: &str) -> SandboxError {
    let denied = ["denied", "unauthorized", "authentication"].iter().any(|word| why.contains(word));
    let hint = if denied {
        format!("log in to its registry (docker login), and check the name `{reference}`")
    } else {
        format!(
            "check the name `{reference}` and the network; `docker pull {reference}` tries the same"
        )
    };
    SandboxError::Unavailable {
        message: format!(
            "the image `{reference}` can't be pulled: {}",
            smelt_core::text::clean_inline(why)
        ),
        hint: Some(hint),
    }
}

pub(super) async fn tell(output: &mut dyn Output, line: &str) {
    // Whoever does not want to hear of it is not asked whether the pull goes on.
    let _ = output.write(OutputStream::Stdout, format!("{line}\n").as_bytes()).await;
}

/// What has been told of each layer.
#[derive(Default)]
struct Layers(HashMap<String, (String, Instant)>);

impl Layers {
    /// The line for a step, where it tells something new or enough time has gone by.
    fn line(&mut self, step: &CreateImageInfo) -> Option<String> {
        let status = step.status.as_deref()?;
        let Some(layer) = step.id.as_deref() else { return Some(status.to_owned()) };
        let now = Instant::now();
        let last = self.0.get(layer);
        if last.is_some_and(|(told, at)| told == status && now.duration_since(*at) < TELL) {
            return None;
        }
        self.0.insert(layer.to_owned(), (status.to_owned(), now));
        let progress = step.progress_detail.as_ref();
        let size = |bytes: Option<i64>| {
            bytes.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0)
        };
        let (current, total) =
            (size(progress.and_then(|p| p.current)), size(progress.and_then(|p| p.total)));
        Some(match (current, total) {
            (Some(current), Some(total)) => format!(
                "{layer}: {status} {} of {}",
                ByteSize(current).display().si(),
                ByteSize(total).display().si()
            ),
            _ => format!("{layer}: {status}"),
        })
    }
}
