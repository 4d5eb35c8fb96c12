//! `smelt doctor`: is everything there, and how to get what is not.

use crate::args::{Doctor, RuntimeName};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print::{BAD, BOLD, CAREFUL, GOOD, styled};
use crate::report::{complaint, print};
use crate::settings::Settings;
use crate::wiring;
use serde::Serialize;
use smelt_core::manifest::RuntimeKind;
use smelt_core::port::{Check, CheckState};
use smelt_server::config::ServerConfig;
use std::path::Path;

/// The oldest git that has everything Smelt asks of it.
const OLDEST_GIT: (u32, u32) = (2, 31);

#[derive(Serialize)]
struct Section {
    name: String,
    checks: Vec<Check>,
}

pub async fn doctor(args: &Doctor) -> Result {
    let settings = Settings::without_config()?;
    let mut sections =
        vec![Section { name: "this machine".into(), checks: machine(&settings).await }];
    let runtimes = wiring::runtimes(&settings, false);
    for kind in wanted(args.runtime) {
        let checks = match runtimes.get(&kind) {
            Some(runtime) => runtime.check().await.checks,
            None => vec![missing_runtime(kind, args.runtime.is_some())],
        };
        sections.push(Section { name: format!("the {kind} runtime"), checks });
    }
    if let Some(path) = &args.config {
        sections.push(Section { name: "the server's configuration".into(), checks: config(path) });
    }
    let mut states = sections.iter().flat_map(|section| &section.checks).map(|check| check.state);
    let sick = states.any(|state| state == CheckState::Missing);
    if args.json {
        print::json(&serde_json::json!({ "ok": !sick, "sections": sections }))?;
    } else {
        for section in &sections {
            show(section)?;
        }
    }
    Ok(if sick { Exit::Unavailable } else { Exit::Success })
}

fn show(section: &Section) -> Result<()> {
    print::result(&styled(BOLD, &section.name))?;
    for check in &section.checks {
        let mark = match check.state {
            CheckState::Good => styled(GOOD, "✓"),
            CheckState::Lacking => styled(CAREFUL, "!"),
            CheckState::Missing => styled(BAD, "✗"),
        };
        print::result(&format!("  {mark} {}: {}", check.name, check.found))?;
        if let Some(fix) = &check.fix {
            print::result(&format!("      fix: {fix}"))?;
        }
    }
    Ok(())
}

/// What was asked about; else every runtime that this version has.
fn wanted(runtime: Option<RuntimeName>) -> Vec<RuntimeKind> {
    match runtime {
        Some(RuntimeName::Docker) => vec![RuntimeKind::Docker],
        Some(RuntimeName::Compose) => vec![RuntimeKind::Compose],
        Some(RuntimeName::Kubernetes) => vec![RuntimeKind::Kubernetes],
        Some(RuntimeName::Local) => vec![RuntimeKind::Local],
        None => vec![RuntimeKind::Docker, RuntimeKind::Local],
    }
}

fn missing_runtime(kind: RuntimeKind, asked: bool) -> Check {
    let found = match kind {
        RuntimeKind::Local => "needs Linux (bubblewrap)".to_owned(),
        _ => format!("the {kind} runtime is not in this version of Smelt yet"),
    };
    let state = if asked { CheckState::Missing } else { CheckState::Lacking };
    let fix = Some("use `runtime = \"local\"` on Linux".into());
    Check { name: kind.to_string(), state, found, fix }
}

async fn machine(settings: &Settings) -> Vec<Check> {
    vec![git(settings).await, cache(settings), user_config(settings), system()]
}

fn check(name: &str, state: CheckState, found: impl Into<String>, fix: Option<&str>) -> Check {
    Check { name: name.into(), state, found: found.into(), fix: fix.map(str::to_owned) }
}

async fn git(settings: &Settings) -> Check {
    let fix = Some("install git: apt install git, dnf install git, brew install git");
    match wiring::git(settings).as_user().args(["--version"]).text().await {
        Err(error) => check("git", CheckState::Missing, smelt_core::outcome::chain(&error), fix),
        Ok(told) => {
            let version = told.split_whitespace().nth(2).unwrap_or_default();
            let mut numbers = version.split('.').filter_map(|part| part.parse().ok());
            let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            if found >= OLDEST_GIT {
                return check("git", CheckState::Good, version, None);
            }
            let found =
                format!("{version} is too old: {}.{} is needed", OLDEST_GIT.0, OLDEST_GIT.1);
            check("git", CheckState::Missing, found, fix)
        }
    }
}

fn cache(settings: &Settings) -> Check {
    let path = &settings.cache;
    let probe = path.join(".probe");
    let tried = std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)));
    match tried {
        Ok(()) => check("cache folder", CheckState::Good, path.display().to_string(), None),
        Err(error) => check(
            "cache folder",
            CheckState::Missing,
            format!("{}: {error}", path.display()),
            Some("make it writable, or set XDG_CACHE_HOME to another folder"),
        ),
    }
}

fn user_config(settings: &Settings) -> Check {
    let name = "your configuration";
    let path = settings.config.as_ref().map(|path| path.display().to_string());
    let path = path.unwrap_or_else(|| "none".into());
    let fix = Some("mend it: until then no job runs");
    match settings.read_config() {
        Ok(_) if settings.config.as_ref().is_some_and(|path| path.exists()) => {
            check(name, CheckState::Good, path, None)
        }
        Ok(_) => check(name, CheckState::Good, format!("{path}: not there, and not needed"), None),
        Err(CliError::Document(problems)) => {
            complaint::tell_problems(&problems);
            let found = format!("{path} can't be used; see above");
            check(name, CheckState::Missing, found, fix)
        }
        Err(CliError::Other { error, .. }) => {
            check(name, CheckState::Missing, error.to_string(), fix)
        }
    }
}

fn system() -> Check {
    let name = std::env::consts::OS;
    match name {
        "linux" => check("system", CheckState::Good, "Linux: every runtime", None),
        "macos" => check("system", CheckState::Lacking, "macOS: every runtime but `local`", None),
        other => check(
            "system",
            CheckState::Missing,
            format!("{other} is not supported"),
            Some("on Windows use WSL2"),
        ),
    }
}

fn config(path: &Path) -> Vec<Check> {
    match ServerConfig::read(path) {
        Ok(_) => vec![check("configuration", CheckState::Good, path.display().to_string(), None)],
        Err(problems) => {
            complaint::tell_problems(&problems);
            let found = format!("{} can't be used; see above", path.display());
            vec![check("configuration", CheckState::Missing, found, Some("mend what is named"))]
        }
    }
}
