//! What both transports have in common: the client that holds the connections, and the request as
//! it goes out.

use super::{ANSWER_MAX, Answer, Failure, Headers, Request};
use crate::address::Address;
use crate::said::said;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, IF_NONE_MATCH, USER_AGENT};
use http_body_util::BodyExt;
use smelt_core::secret::Secret;
use std::error::Error;
use std::time::Duration;

/// The way to one forge: its address, who asks, and the connections.
#[derive(Clone)]
pub(crate) struct Wire {
    pub client: reqwest::Client,
    api: String,
    token: HeaderValue,
    user_agent: HeaderValue,
    accept: HeaderValue,
    timeout: Duration,
}

impl Wire {
    /// The way to `address`; `scheme` stands before the token in its header.
    ///
    /// # Errors
    /// Where the token or the machine's certificates can't be used; says why.
    pub(crate) fn new(
        address: &Address,
        (scheme, token): (&str, &Secret),
        user_agent: &str,
        accept: &'static str,
        timeout: Duration,
    ) -> Result<Self, String> {
        let token = HeaderValue::try_from(format!("{scheme} {}", token.expose()));
        let mut token = token.map_err(|_| "the token holds characters that no token has")?;
        token.set_sensitive(true);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        // A proxy would see what is not encrypted.
        let client = if address.is_plain { client.no_proxy() } else { client.https_only(true) };
        let client = client.build().map_err(|error| innermost(&error))?;
        Ok(Self {
            client,
            api: address.api.clone(),
            token,
            user_agent: HeaderValue::try_from(user_agent)
                .unwrap_or(HeaderValue::from_static("smelt")),
            accept: HeaderValue::from_static(accept),
            timeout,
        })
    }

    /// `request` with everything but its body.
    pub(crate) fn head(&self, request: &Request) -> Result<http::request::Builder, Failure> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.api, request.path))
            .header(AUTHORIZATION, self.token.clone())
            .header(USER_AGENT, self.user_agent.clone())
            .header(ACCEPT, self.accept.clone());
        if let Some(etag) = request.etag.as_deref().and_then(|tag| HeaderValue::try_from(tag).ok())
        {
            builder = builder.header(IF_NONE_MATCH, etag);
        }
        Ok(builder)
    }

    /// Waits for the answer that `sending` brings, and reads it.
    pub(crate) async fn receive<B, E, F>(
        &self,
        request: &Request,
        sending: impl Future<Output = Result<http::Response<B>, F>>,
    ) -> Result<Answer, Failure>
    where
        B: BodyExt<Data = Bytes, Error = E> + Unpin,
        E: Error + 'static,
        F: Error + 'static,
    {
        let all = async {
            let response = sending.await.map_err(|error| failure(&error))?;
            let (status, headers) = (response.status().as_u16(), Headers::of(response.headers()));
            let (body, is_cut) = read(response.into_body()).await?;
            Ok(Answer { status, headers, body, is_cut })
        };
        let answer = tokio::time::timeout(self.timeout, all).await;
        let answer = answer.unwrap_or(Err(Failure::TimedOut));
        let (method, path) = (&request.method, &request.path);
        match &answer {
            Ok(answer) => tracing::debug!(%method, path, status = answer.status, "forge"),
            Err(failure) => tracing::debug!(%method, path, ?failure, "forge"),
        }
        answer
    }
}

/// As much of a body as is wanted, and whether there was more.
async fn read<B, E>(mut body: B) -> Result<(Bytes, bool), Failure>
where
    B: BodyExt<Data = Bytes, Error = E> + Unpin,
    E: Error + 'static,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = BodyExt::frame(&mut body).await {
        let frame = frame.map_err(|error| failure(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > ANSWER_MAX {
            return Ok((whole.freeze(), true));
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), false))
}

/// Why something failed, in the words of whoever knows best; the URL is in none of them.
fn failure(error: &(dyn Error + 'static)) -> Failure {
    let mut link = Some(error);
    while let Some(error) = link {
        if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) {
            return Failure::TimedOut;
        }
        link = error.source();
    }
    Failure::Broken(innermost(error))
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    said(&error.to_string())
}
