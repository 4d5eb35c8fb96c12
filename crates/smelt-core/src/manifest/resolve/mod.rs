//! From the written document to the checked model: defaults, paths, and what must fit together.

mod environment;
mod forge;
mod sessions;
mod state_backend;

use super::document::{CredentialsTable, Document, JobTable, KubernetesTable, OrchestratorTable};
use super::model::{
    Agent, AgentCommand, Credentials, Job, Kubernetes, Manifest, Orchestrator, OrchestratorKind,
    RuntimeKind,
};
use super::repo::RepoLocation;
use super::services;
use crate::document::{Located, Problem};
use crate::name::{SecretName, VariableName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a manifest's words are relative to.
pub(super) struct Surroundings<'a> {
    /// Folder that relative paths start from.
    pub folder: &'a Path,
    /// What `~` stands for in paths of the host.
    pub home: Option<&'a Path>,
    /// Keys whose values could not be read; what follows from their absence is no news.
    pub left_out: &'a BTreeSet<String>,
}

impl Surroundings<'_> {
    fn host_path(&self, text: &str) -> PathBuf {
        super::repo::host_path(text, self.folder, self.home)
    }

    fn was_left_out(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.left_out.contains(*key))
    }
}

/// Tokens of Smelt's own server: never a job's to ask for.
const SERVER_SECRETS: [&str; 3] = ["SMELT_TOKEN", "SMELT_READ_TOKEN", "SMELT_WRITE_TOKEN"];

/// `None` where something that everything else needs is missing or wrong; `problems` says what.
pub(super) fn resolve(
    document: Document,
    text: &str,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Manifest> {
    let whole = 0..text.len().min(1);
    let environment = environment::resolve(document.environment, &whole, around, problems);
    let orchestrator = orchestrator(document.orchestrator, &whole, around, problems);
    let state_backend =
        state_backend::resolve(document.state_backend, orchestrator.as_ref(), around, problems);
    let state_key = state_backend.as_ref().and_then(|backend| {
        let secret = backend.key.as_ref()?.secret.clone();
        Some(Located::new(secret, backend.span()))
    });
    check_protected(
        document.credentials.as_ref(),
        state_key.as_ref(),
        document.forge.as_ref().and_then(|f| f.token_env.as_ref()),
        document.kubernetes.as_ref().and_then(|k| k.ssh_key_env.as_ref()),
        problems,
    );
    let credentials = credentials(document.credentials, &environment.env, problems);
    let sessions = sessions::resolve(document.session, &whole, around, problems);
    let forge = document.forge.and_then(|table| forge::resolve(table, around, problems));
    let kubernetes = kubernetes(document.kubernetes, environment.runtime, &whole, problems);
    services::check(&document.services, problems);
    if let (Some(service), false) =
        (document.services.first(), environment.runtime == RuntimeKind::Compose)
    {
        problems.push(
            Problem::error(service.span(), "`[[services]]` need `runtime = \"compose\"`")
                .help("set it in `[environment]`, or take the services out"),
        );
    }
    let longest_path = sessions.as_ref().map_or(0, |sessions| sessions.longest_path);
    let job =
        document.job.and_then(|table| job(table.into_inner(), longest_path, around, problems));
    let merge = sessions.as_ref().and_then(|sessions| {
        let job = job.as_ref().map(|job| &job.name);
        sessions::resolve_merge(document.merge, job, &sessions.sessions, problems)
    });
    Some(Manifest {
        job: job?,
        environment,
        credentials,
        sessions: sessions?.sessions,
        merge: merge?,
        forge,
        kubernetes,
        services: document.services.into_iter().map(Located::into_inner).collect(),
        orchestrator: orchestrator?,
        state_backend: state_backend.map(Located::into_inner),
        notify: document.notify.into_iter().map(Located::into_inner).collect(),
    })
}

/// Time for what is not a session: setting up, merging, collecting. In seconds.
const TIMEOUT_BESIDE_SESSIONS: u64 = 300;

fn job(
    table: JobTable,
    longest_path: u64,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Job> {
    if let Some(priority) = table.priority.as_ref().filter(|p| !(-100..=100).contains(&***p)) {
        problems.push(
            Problem::error(
                priority.span(),
                format!("a priority of {} is out of range", **priority),
            )
            .help("use -100 (last) to 100 (first)"),
        );
    }
    let repo = table.repo.and_then(|repo| {
        RepoLocation::parse(&repo, around.folder, around.home)
            .map_err(|message| {
                let problem = Problem::error(repo.span(), format!("`repo`: {message}"));
                // A URL may hold a password.
                problems.push(if repo.contains('@') { problem.confidential() } else { problem });
            })
            .ok()
    });
    let base_ref = match table.base_ref {
        None => "HEAD".to_owned(),
        Some(base) => {
            if let Err(message) = check_revision(&base) {
                problems.push(
                    Problem::error(base.span(), message).help("name a branch, a tag or a commit"),
                );
            }
            base.into_inner()
        }
    };
    let default = std::time::Duration::from_secs(longest_path + TIMEOUT_BESIDE_SESSIONS);
    Some(Job {
        name: table.name?.into_inner(),
        repo: repo?,
        base_ref,
        depth: table.depth.map(Located::into_inner),
        timeout: table.timeout.map_or(default, |timeout| timeout.into_inner().into()),
        priority: table.priority.and_then(|p| i8::try_from(*p).ok()).unwrap_or(0),
    })
}

/// A revision that is a name, and not an option, a range or an expression that git would evaluate.
fn check_revision(text: &str) -> Result<(), String> {
    let shown = crate::text::clean_line(text);
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    if text.is_empty()
        || text.starts_with('-')
        || text.contains("..")
        || text.contains("@{")
        || text.contains(odd)
    {
        return Err(format!("`{shown}` is not the name of a branch, tag or commit"));
    }
    Ok(())
}

fn credentials(
    table: Option<Located<CredentialsTable>>,
    plain: &BTreeMap<VariableName, String>,
    problems: &mut Vec<Problem>,
) -> Credentials {
    let Some(table) = table.map(Located::into_inner) else { return Credentials::default() };
    for variable in table.env.keys() {
        if variable.as_str().starts_with("SMELT_") {
            problems.push(own_variable(variable));
        }
        if plain.contains_key(&**variable) {
            let message = format!("`{}` is set here and in `[environment] env`", variable.as_str());
            problems.push(Problem::error(variable.span(), message).help("keep one of the two"));
        }
    }
    Credentials {
        provider: table.provider.map(Located::into_inner),
        model: table.model.map(Located::into_inner),
        env: table.env.into_iter().map(|(k, v)| (k.into_inner(), v.into_inner())).collect(),
        files: table.files.into_iter().map(|(k, v)| (k.into_inner(), v.into_inner())).collect(),
    }
}

fn own_variable(variable: &Located<VariableName>) -> Problem {
    let message =
        format!("`{}` is Smelt's: it sets the `SMELT_…` variables itself", variable.as_str());
    Problem::error(variable.span(), message).help("give the variable another name")
}

/// The forge's token, an SSH key and the server's own tokens never enter a sandbox.
fn check_protected(
    credentials: Option<&Located<CredentialsTable>>,
    state_key: Option<&Located<SecretName>>,
    forge_token: Option<&Located<SecretName>>,
    ssh_key: Option<&Located<SecretName>>,
    problems: &mut Vec<Problem>,
) {
    let of_agent = credentials.into_iter().flat_map(|c| c.env.values().chain(c.files.values()));
    for secret in of_agent.chain(state_key) {
        let whose = if forge_token.is_some_and(|token| token == secret) {
            "the forge's token (`[forge] token_env`)"
        } else if ssh_key.is_some_and(|key| key == secret) {
            "an SSH key (`[kubernetes] ssh_key_env`)"
        } else if SERVER_SECRETS.contains(&secret.as_str()) {
            "a token of Smelt's server"
        } else {
            continue;
        };
        problems.push(
            Problem::error(
                secret.span(),
                format!("`{}` is {whose} and never enters a sandbox", secret.as_str()),
            )
            .help("give the agent a secret of its own, under another name"),
        );
    }
}

fn orchestrator(
    table: Option<Located<OrchestratorTable>>,
    whole: &std::ops::Range<usize>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Orchestrator> {
    let span = table.as_ref().map_or_else(|| whole.clone(), Located::span);
    let table = table.map(Located::into_inner).unwrap_or_default();
    if around.was_left_out(&["orchestrator.kind"]) {
        return None;
    }
    let kind = table.kind.as_deref().copied().unwrap_or_default();
    if kind == OrchestratorKind::Assay {
        for unused in [
            table.agent.as_ref().map(|a| (a.span(), "agent")),
            table.command.as_ref().map(|c| (c.span(), "command")),
        ]
        .into_iter()
        .flatten()
        {
            problems.push(
                Problem::warning(unused.0, format!("`{}` is not used by `assay`", unused.1))
                    .help("set `kind = \"direct\"` for Smelt to start the agent itself"),
            );
        }
        return Some(Orchestrator::Assay(table.sessions.as_deref().copied().unwrap_or_default()));
    }
    if let Some(sessions) = &table.sessions {
        problems.push(Problem::warning(sessions.span(), "`sessions` is only used by `assay`"));
    }
    let agent = match (table.agent, table.command) {
        (Some(agent), None) => Agent::Preset(agent.into_inner()),
        (None, Some(command)) if is_empty(&command) => {
            problems.push(Problem::error(command.span(), "`command` is empty"));
            return None;
        }
        (None, Some(command)) => Agent::Command(command.into_inner()),
        (Some(_), Some(command)) => {
            problems.push(
                Problem::error(command.span(), "`agent` and `command` are both given")
                    .help("keep one: `agent` for a known agent, `command` for your own"),
            );
            return None;
        }
        (None, None) if around.was_left_out(&["orchestrator.agent", "orchestrator.command"]) => {
            return None;
        }
        (None, None) => {
            problems.push(
                Problem::error(span, "`kind = \"direct\"` needs an agent to start").help(
                    "add `agent = \"claude\"` (or codex, gemini, opencode, aider), or your own `command`",
                ),
            );
            return None;
        }
    };
    Some(Orchestrator::Direct(agent))
}

fn is_empty(command: &AgentCommand) -> bool {
    match command {
        AgentCommand::Shell(line) => line.trim().is_empty(),
        AgentCommand::Program(words) => words.first().is_none_or(String::is_empty),
    }
}

fn kubernetes(
    table: Option<Located<KubernetesTable>>,
    runtime: RuntimeKind,
    whole: &std::ops::Range<usize>,
    problems: &mut Vec<Problem>,
) -> Option<Kubernetes> {
    let Some(table) = table else {
        if runtime == RuntimeKind::Kubernetes {
            problems.push(
                Problem::error(
                    whole.clone(),
                    "`runtime = \"kubernetes\"` needs a `[kubernetes]` section",
                )
                .help("add `[kubernetes]` with `namespace = \"…\"`"),
            );
        }
        return None;
    };
    let table = table.into_inner();
    let namespace = table.namespace?;
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if namespace.is_empty() || namespace.len() > 63 || !namespace.chars().all(label) {
        problems.push(
            Problem::error(namespace.span(), "this can't be a namespace")
                .help("use lower-case letters, digits and `-`, at most 63"),
        );
    }
    let text = |value: Option<Located<String>>| value.map(Located::into_inner);
    Some(Kubernetes {
        namespace: namespace.into_inner(),
        context: text(table.context),
        cpu_request: table.cpu_request.map(Located::into_inner),
        memory_request: table.memory_request.map(Located::into_inner),
        cpu_limit: table.cpu_limit.map(Located::into_inner),
        memory_limit: table.memory_limit.map(Located::into_inner),
        service_account: text(table.service_account),
        node_selector: table.node_selector,
        image_pull_secrets: table.image_pull_secrets.into_iter().map(Located::into_inner).collect(),
        ssh_key_env: table.ssh_key_env.map(Located::into_inner),
    })
}
