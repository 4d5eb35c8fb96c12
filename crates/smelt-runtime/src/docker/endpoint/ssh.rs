//! An engine on another machine, spoken to through `ssh` and the `docker` command there.
//!
//! bollard's own way, by the openssh crate, takes a host that is not known yet for whom it says it is.
//! Here ssh is called as Docker's command calls it, with the user's own configuration, but so that it
//! asks nobody and refuses a host it does not know.

use super::address::SshAddress;
use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::Command;
use tower_service::Service;

/// What stands in requests where a host has to.
const ANY_HOST: &str = "http://docker.ssh";

/// Seconds until ssh gives up a host that does not answer, at first and later.
const OPTIONS: [&str; 5] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
];

/// Longest time for finding out why ssh failed.
const DIAGNOSIS: Duration = Duration::from_secs(15);

/// Makes a connection of an `ssh` process.
#[derive(Clone, Debug)]
pub(super) struct Ssh {
    pub(super) address: SshAddress,
    /// Where `ssh` is looked up.
    pub(super) path: OsString,
}

impl Ssh {
    /// A client of the engine there. Nothing is connected before the first request.
    pub(super) fn client(self, timeout: u64, version: &ClientVersion) -> Result<Docker, Error> {
        let client = Client::builder(TokioExecutor::new()).build(self);
        let transport = move |request: BollardRequest| {
            let answer = client.request(request);
            async move { answer.await.map_err(Error::from) }
        };
        Docker::connect_with_custom_transport(transport, Some(ANY_HOST), timeout, version)
    }

    /// Asks for the engine there. The process ends with the connection: its input ends then.
    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.env("PATH", &self.path).arg("-T");
        command.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        command.args(self.address.user.iter().flat_map(|user| ["-l", user]));
        command.args(self.address.port.iter().flat_map(|port| ["-p".into(), port.to_string()]));
        command.args(["--", &self.address.host, "docker", "system", "dial-stdio"]);
        command.stderr(Stdio::null());
        command
    }

    fn connect(&self) -> io::Result<TokioIo<UnixStream>> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let theirs = OwnedFd::from(theirs);
        let mut child = self.command().stdin(theirs.try_clone()?).stdout(theirs).spawn()?;
        tokio::spawn(async move { child.wait().await });
        Ok(TokioIo::new(UnixStream::from_std(ours)?))
    }

    /// What ssh says of a connection that did not work. `None`: nothing.
    pub(super) async fn complaint(&self) -> Option<String> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(DIAGNOSIS, command.output()).await {
            Ok(Ok(output)) if output.status.success() => return None,
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Some(format!("ssh can't be started: {error}")),
            Err(_) => return Some("it does not answer".into()),
        };
        let said = smelt_core::text::clean_text(&String::from_utf8_lossy(&output.stderr));
        // The last line is the reason; what stands above it is a banner, or a warning of many lines.
        let reason = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        Some(reason.unwrap_or("ssh says nothing of the reason").to_owned())
    }
}

impl Service<Uri> for Ssh {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connection = self.connect();
        Box::pin(async move { connection })
    }
}
