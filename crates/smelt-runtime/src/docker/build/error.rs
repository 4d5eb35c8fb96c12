//! Why an image was not built, and what would help.

use smelt_core::port::SandboxError;
use smelt_core::text::clean_inline;
use std::io;
use std::path::PathBuf;

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub(in crate::docker) enum BuildError {
    /// A Dockerfile of somewhere else.
    #[error("the Dockerfile {} is not below the build's context {}", dockerfile.display(), context.display())]
    Outside { dockerfile: PathBuf, context: PathBuf },
    /// A file of the context, or the context itself.
    #[error("{} can't be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// Somebody works in the context.
    #[error("{} has changed while it was read", path.display())]
    Changed { path: PathBuf },
    /// A rule that is none.
    #[error("{}, line {line}: {text:?} is no pattern", path.display())]
    Ignore { path: PathBuf, line: usize, text: String },
    /// No room for the context, most likely.
    #[error("the build's context can't be kept in {}: {source}", folder.display())]
    Spool { folder: PathBuf, source: io::Error },
    /// What the engine says.
    #[error("the image can't be built: {}", clean_inline(said))]
    Engine { said: String },
}

impl BuildError {
    /// What would help, where it is known.
    pub(in crate::docker) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Outside { .. } => "choose a `context` that both are in",
            Self::Read { .. } => "let this user read it, or name it in .dockerignore",
            Self::Changed { .. } => {
                "run again when nobody writes there, or name it in .dockerignore"
            }
            Self::Spool { .. } => {
                "make room there, or leave out of the context what no image needs: .dockerignore"
            }
            Self::Engine { said } if said.to_lowercase().contains("buildkit") => {
                "Smelt builds without BuildKit: build it yourself (docker build -t NAME .), and give \
                 the manifest `image = \"NAME\"` and `pull = \"never\"`"
            }
            Self::Engine { said }
                if said.contains("pull access denied") || said.contains("manifest unknown") =>
            {
                "check the name after FROM, and log in to its registry (docker login)"
            }
            Self::Ignore { .. } | Self::Engine { .. } => return None,
        };
        Some(text.into())
    }
}

impl From<BuildError> for SandboxError {
    fn from(error: BuildError) -> Self {
        match &error {
            BuildError::Outside { .. } | BuildError::Ignore { .. } => {
                Self::Unsupported { runtime: "docker", what: error.to_string() }
            }
            BuildError::Engine { .. } if error.hint().is_none() => {
                let hint =
                    "the lines of the build are in `smelt logs`; `docker build` shows the same";
                let hint = Some(hint.to_owned());
                Self::Unavailable { message: error.to_string(), hint }
            }
            _ => Self::Unavailable { message: error.to_string(), hint: error.hint() },
        }
    }
}
