//! What a command says when it can't do what it was asked.

use crate::exit::Exit;
use smelt_core::document::Problems;
use smelt_core::outcome::Failure;
use smelt_core::state::StateError;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub enum CliError {
    /// A document that can't be used, with everything that is wrong with it.
    Document(Box<Problems>),
    /// Anything else: what, and how to mend it.
    Other {
        /// The exit code.
        exit: Exit,
        /// What went wrong.
        error: anyhow::Error,
        /// How to mend it.
        hint: Option<String>,
    },
}

/// What commands return.
pub type Result<T = Exit> = std::result::Result<T, CliError>;

impl CliError {
    /// An error with its own exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self::Other { exit, error: error.into(), hint: None }
    }

    /// An error told in a sentence.
    pub fn told(exit: Exit, message: impl Into<String>) -> Self {
        Self::new(exit, anyhow::Error::msg(message.into()))
    }

    /// The same error, with how to mend it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Other { exit, error, .. } => Self::Other { exit, error, hint: Some(hint.into()) },
            document @ Self::Document(_) => document,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Document(_) => Exit::Invalid,
            Self::Other { exit, .. } => *exit,
        }
    }

    /// Whether whoever was to read the output has gone: nobody is left to tell.
    pub fn is_broken_pipe(&self) -> bool {
        let Self::Other { error, .. } = self else { return false };
        error.chain().any(|cause| {
            let io = cause.downcast_ref::<std::io::Error>();
            io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        })
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        Self::Document(Box::new(problems))
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        let hint = error.hint();
        let told = Self::new(Exit::Failed, error);
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let told = Self::told(failure.kind.into(), failure.message);
        match failure.hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}
