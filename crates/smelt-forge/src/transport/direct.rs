//! Requests by reqwest, for Forgejo and Gitea.

use super::{Answer, Failure, Request, Transport, Wire};
use async_trait::async_trait;
use http::header::CONTENT_TYPE;

/// Sends requests as they are.
pub(crate) struct Direct(pub Wire);

#[async_trait]
impl Transport for Direct {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut head = self.0.head(request)?;
        let body = match &request.body {
            Some(body) => {
                head = head.header(CONTENT_TYPE, "application/json");
                body.to_string()
            }
            None => String::new(),
        };
        let broken = |error: &dyn std::error::Error| Failure::Broken(error.to_string());
        let outgoing = head.body(body).map_err(|error| broken(&error))?;
        let outgoing = reqwest::Request::try_from(outgoing).map_err(|error| broken(&error))?;
        let sending = async {
            let response = self.0.client.execute(outgoing).await?;
            Ok::<_, reqwest::Error>(http::Response::<reqwest::Body>::from(response))
        };
        self.0.receive(request, sending).await
    }
}
