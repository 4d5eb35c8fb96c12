//! Why a login can't be had.

use crate::docker::endpoint::EndpointError;

/// Why a login can't be had.
#[derive(Debug, thiserror::Error)]
pub(in crate::docker) enum LoginError {
    /// Docker's `config.json`.
    #[error(transparent)]
    File(#[from] EndpointError),
    /// A login in it that makes no sense.
    #[error(
        "the login of {registry} in Docker's config.json is damaged: `docker login {registry}` mends it"
    )]
    Damaged { registry: String },
    /// A helper that is not installed.
    #[error(
        "Docker's config.json names docker-credential-{helper}, which is not on the PATH: install it, or take \
         it out of `credsStore` and `credHelpers`"
    )]
    NoHelper { helper: String },
    /// A helper that did not do it.
    #[error("docker-credential-{helper} {said}")]
    Helper { helper: String, said: String },
}
