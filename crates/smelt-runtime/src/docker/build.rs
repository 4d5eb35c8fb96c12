//! Images that the engine builds first.

use super::engine::Engine;
use super::image::Image;
use smelt_core::manifest::PullPolicy;
use smelt_core::port::{Output, SandboxError};
use std::path::Path;

fn not_there_yet() -> SandboxError {
    SandboxError::Unsupported { runtime: "docker", what: "`build`".into() }
}

/// The tag of what would be built.
pub(super) async fn tag(_context: &Path, _dockerfile: &Path) -> Result<String, SandboxError> {
    Err(not_there_yet())
}

/// Builds the image, unless it is there.
pub(super) async fn get(
    _engine: &Engine,
    _context: &Path,
    _dockerfile: &Path,
    _pull: PullPolicy,
    _output: &mut dyn Output,
) -> Result<Image, SandboxError> {
    Err(not_there_yet())
}
