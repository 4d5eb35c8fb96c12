//! Making a forge's client out of what a manifest says.

use crate::address::Address;
use crate::api::Api;
use crate::forgejo::{self, Forgejo};
use crate::github::{self, GitHub};
use crate::local::Local;
use crate::remote::Remote;
use crate::transport::{Direct, Octo, Wire};
use smelt_core::manifest::{ForgeProvider, ForgeTarget};
use smelt_core::port::{Forge, ForgeConnector, ForgeError, ForgePlace};
use std::time::Duration;

/// Longest time for a request and all of its answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the clients of all forges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgeClients {
    /// Longest time for a request and all of its answer.
    pub timeout: Duration,
    /// Who asks, as forges write it into their logs: `smelt/0.1.0`.
    pub user_agent: String,
}

impl Default for ForgeClients {
    fn default() -> Self {
        Self { timeout: TIMEOUT, user_agent: concat!("smelt/", env!("CARGO_PKG_VERSION")).into() }
    }
}

impl ForgeConnector for ForgeClients {
    fn connect(&self, place: &ForgePlace<'_>) -> Result<Box<dyn Forge>, ForgeError> {
        let ForgeTarget::Hosted { provider, repo, api_url, git_url, .. } = place.target else {
            let repository = place.repository.ok_or_else(|| ForgeError::Unsupported {
                forge: ForgeProvider::Local.to_string(),
                action: "be asked without a repository".into(),
            })?;
            return Ok(Box::new(Local::new(place.pulls, repository)));
        };
        let address = Address::of(*provider, repo, api_url.as_deref(), git_url.as_deref())?;
        let host = || address.host.clone();
        let token = place.token.ok_or_else(|| ForgeError::Unauthorized {
            forge: host(),
            message: "there is none".into(),
        })?;
        let wire = |scheme, accept| {
            let asks = (scheme, token);
            Wire::new(&address, asks, &self.user_agent, accept, self.timeout).map_err(|why| {
                ForgeError::Unsupported { forge: host(), action: format!("be asked: {why}") }
            })
        };
        match provider {
            ForgeProvider::Github => {
                let transport = Octo::new(wire("Bearer", github::ACCEPT)?);
                let api = Api::new(transport, &address.host, self.timeout);
                Ok(Box::new(GitHub::new(Remote::new(api, &address, repo, token))))
            }
            ForgeProvider::Forgejo | ForgeProvider::Gitea => {
                let transport = Direct(wire("token", forgejo::ACCEPT)?);
                let api = Api::new(transport, &address.host, self.timeout);
                let remote = Remote::new(api, &address, repo, token);
                Ok(Box::new(Forgejo::new(remote, *provider)))
            }
            ForgeProvider::Local => Err(ForgeError::Unsupported {
                forge: host(),
                action: "be asked as files: the manifest names a server".into(),
            }),
        }
    }
}
