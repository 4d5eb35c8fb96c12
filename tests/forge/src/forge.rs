use crate::Kind;
use crate::fault::Fault;
use crate::git::Bare;
use crate::pull::Pull;
use crate::recorded::{Recorded, Violation};
use crate::server::Server;
use crate::state::{BOT, Shared};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A running service with the private repository `acme/app`.
///
/// When it goes, a test that has violated its contract fails.
pub struct ScriptedForge {
    pub(crate) shared: Arc<Shared>,
    _server: Server,
}

impl ScriptedForge {
    /// Starts one on 127.0.0.1 with its repository, which is empty, below `folder`. `alice` and
    /// `bob` have access to it beside the token's owner.
    pub fn start(kind: Kind, folder: &Path) -> Self {
        let git = Bare::create(folder.join("acme").join("app.git"));
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let shared = Arc::new(Shared::new(kind, port, git));
        let server = Server::start(Arc::clone(&shared), listener);
        Self { shared, _server: server }
    }

    /// Which service it is.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// Where the API is, without a slash at the end.
    pub fn api_url(&self) -> String {
        format!("{}{}", self.shared.origin(), self.kind().prefix())
    }

    /// The server's address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.shared.origin()
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// What git clones and pushes to.
    pub fn git_url(&self) -> String {
        format!("{}/{}.git", self.shared.origin(), self.shared.state().full_name())
    }

    /// The bare repository behind it, to push a base into and to see what arrived.
    pub fn bare_repo(&self) -> PathBuf {
        self.shared.state().git.folder().to_owned()
    }

    /// A token that may do everything; it stands nowhere else.
    pub fn token(&self) -> &str {
        &self.shared.tokens.good
    }

    /// A token that sees the repository and may not change it.
    pub fn read_only_token(&self) -> &str {
        &self.shared.tokens.read_only
    }

    /// A token of somebody who does not see the repository.
    pub fn token_without_access(&self) -> &str {
        &self.shared.tokens.outsider
    }

    /// Who the tokens belong to.
    pub fn login(&self) -> &str {
        BOT
    }

    /// The pull requests, the oldest first.
    pub fn pulls(&self) -> Vec<Pull> {
        self.shared.state().pulls.clone()
    }

    /// One pull request.
    pub fn pull(&self, number: u64) -> Pull {
        let pull = self.shared.state().pull(number).cloned();
        pull.unwrap_or_else(|| panic!("there is no pull request {number}"))
    }

    /// Scripts a fault. Of several that fit a request, the first that was scripted comes first.
    pub fn fault(&self, fault: Fault) {
        self.shared.log().faults.push(fault);
    }

    /// Every request so far, git's as well, in the order of their answers.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log().recorded.clone()
    }

    /// What violated the contract so far; it is then forgotten, for tests that do so on purpose.
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.shared.log().violations)
    }

    /// Panics with everything that has violated the contract.
    pub fn assert_contract(&self) {
        let violations = self.take_violations();
        let lines: Vec<_> = violations.iter().map(|found| format!("  {found}")).collect();
        let title = self.kind().title();
        assert!(lines.is_empty(), "not as {title}'s contract has it:\n{}", lines.join("\n"));
    }
}

impl Drop for ScriptedForge {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_contract();
        }
    }
}
