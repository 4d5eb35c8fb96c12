//! Requests by octocrab, for GitHub.
//!
//! Octocrab names the version of GitHub's API and builds the requests. Its layers for redirects,
//! retries and tokens are left out: it would repeat a `POST` on a server's error, and its header with
//! the token is not marked as sensitive. Below it is the same client as everywhere.

use super::{Answer, Failure, Request, Transport, Wire};
use async_trait::async_trait;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use std::sync::OnceLock;

/// Sends requests by octocrab.
pub(crate) struct Octo {
    wire: Wire,
    /// Made by the first request, because it starts a task.
    octocrab: OnceLock<Octocrab>,
}

impl Octo {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, octocrab: OnceLock::new() }
    }

    fn octocrab(&self) -> &Octocrab {
        self.octocrab.get_or_init(|| {
            let connector = ReqwestConnector::new(self.wire.client.clone());
            let builder = OctocrabBuilder::new_empty().with_service(connector);
            match builder.with_auth(AuthState::None).build() {
                Ok(octocrab) => octocrab,
                Err(never) => match never {},
            }
        })
    }
}

#[async_trait]
impl Transport for Octo {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let octocrab = self.octocrab();
        let outgoing = octocrab
            .build_request(self.wire.head(request)?, request.body.as_ref())
            .map_err(|error| Failure::Broken(error.to_string()))?;
        self.wire.receive(request, octocrab.execute(outgoing)).await
    }
}
