//! `smelt doctor`: is everything there, and how to get what is not.

use crate::args::{Doctor, RuntimeName};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print::{BAD, BOLD, CAREFUL, GOOD, styled};
use crate::report::{complaint, print};
use crate::settings::Settings;
use crate::wiring;
use serde::Serialize;
use smelt_core::manifest::{
    Environment, Forge, ImageSource, Kubernetes, Manifest, PullPolicy, RuntimeKind,
};
use smelt_core::outcome::chain;
use smelt_core::port::{Check, CheckState, Discard, Runtime, SandboxError};
use smelt_server::config::ServerConfig;
use std::collections::BTreeMap;
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
    let manifest = match &args.manifest {
        Some(path) => Some(Manifest::read(path, settings.home.as_deref())?.0),
        None => None,
    };
    let environment = manifest.as_ref().map(|manifest| &manifest.environment);
    let place = manifest.as_ref().and_then(Manifest::pod).map(Kubernetes::place);
    let runtimes = wiring::runtimes(&settings, false, place);
    let asked = environment.map(|environment| environment.runtime).or(args.runtime.map(kind));
    let wanted =
        asked.map_or_else(|| vec![RuntimeKind::Docker, RuntimeKind::Local], |kind| vec![kind]);
    let mut of_runtimes = Vec::new();
    for kind in wanted {
        let mut checks = match runtimes.get(&kind) {
            Some(runtime) => runtime.check().await.checks,
            None => vec![missing_runtime(kind)],
        };
        if let (Some(environment), Some(runtime), false) =
            (environment, runtimes.get(&kind), is_sick(&checks))
        {
            checks.extend(image(&**runtime, environment).await);
        }
        of_runtimes.push(Section { name: format!("the {kind} runtime"), checks });
    }
    if asked.is_none() {
        any_will_do(&mut of_runtimes);
    }
    sections.extend(of_runtimes);
    if let Some(target) = manifest.as_ref().and_then(|manifest| manifest.forge.as_ref()) {
        let name = format!("the forge {}", target.target.provider());
        sections.push(Section { name, checks: vec![forge(&settings, target).await] });
    }
    if let Some(path) = &args.config {
        sections.push(Section { name: "the server's configuration".into(), checks: config(path) });
    }
    let sick = sections.iter().any(|section| is_sick(&section.checks));
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

fn is_sick(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.state == CheckState::Missing)
}

/// Where no runtime was asked for, one that works is enough.
fn any_will_do(runtimes: &mut [Section]) {
    if runtimes.iter().all(|section| is_sick(&section.checks)) {
        return;
    }
    let checks = runtimes.iter_mut().flat_map(|section| &mut section.checks);
    for check in checks.filter(|check| check.state == CheckState::Missing) {
        check.state = CheckState::Lacking;
    }
}

fn kind(name: RuntimeName) -> RuntimeKind {
    match name {
        RuntimeName::Docker => RuntimeKind::Docker,
        RuntimeName::Compose => RuntimeKind::Compose,
        RuntimeName::Kubernetes => RuntimeKind::Kubernetes,
        RuntimeName::Local => RuntimeKind::Local,
    }
}

fn missing_runtime(kind: RuntimeKind) -> Check {
    let found = match kind {
        RuntimeKind::Local => "needs Linux (bubblewrap)".to_owned(),
        _ => format!("the {kind} runtime is not in this version of Smelt yet"),
    };
    let fix = Some("use `runtime = \"docker\"`, or \"local\" on Linux".into());
    Check { name: kind.to_string(), state: CheckState::Missing, found, fix }
}

/// Whether the job's image is there already. Nothing is pulled or built for that.
async fn image(runtime: &dyn Runtime, environment: &Environment) -> Option<Check> {
    let reference = match environment.image.as_ref()? {
        ImageSource::Image(reference) => reference,
        ImageSource::Build { context, .. } => {
            let found = format!("built from {} when the job runs", context.display());
            return Some(check("image", CheckState::Good, found, None));
        }
    };
    let as_it_is = Environment { pull: PullPolicy::Never, ..environment.clone() };
    Some(match runtime.prepare(&as_it_is, &[], &mut Discard).await {
        Ok(Some(digest)) => check("image", CheckState::Good, digest, None),
        // Who makes its sandboxes elsewhere can't tell before.
        Ok(None) => return None,
        Err(SandboxError::Unavailable { .. }) if environment.pull != PullPolicy::Never => {
            let found = format!("`{reference}` is not there: it is pulled when the job runs");
            let fix = format!("try it before: docker pull {reference}");
            check("image", CheckState::Lacking, found, Some(&fix))
        }
        Err(error) => {
            let fix = match &error {
                SandboxError::Unavailable { hint, .. } => hint.as_deref(),
                _ => None,
            };
            check("image", CheckState::Missing, chain(&error), fix)
        }
    })
}

/// Whether the job's forge would take its result as things are.
async fn forge(settings: &Settings, forge: &Forge) -> Check {
    let mut sources = settings.secrets.clone();
    // Where the configuration can't be used, that was told already.
    sources.configured = settings.read_config().unwrap_or_default();
    let mut secrets = BTreeMap::new();
    if let Some(name) = forge.target.token() {
        let fix = "set it in the environment, or say in your configuration's [secrets] where it is";
        match sources.fetch(name).await {
            Ok(Some(secret)) => drop(secrets.insert(name.clone(), secret)),
            Ok(None) => {
                let found = format!("the secret `{name}` is missing");
                return check("token", CheckState::Missing, found, Some(fix));
            }
            Err(error) => {
                return check("token", CheckState::Missing, chain(&error), Some(fix));
            }
        }
    }
    match wiring::engine(settings, false).check_forge(forge, &secrets).await {
        Ok(None) => check("pull requests", CheckState::Good, "files below .smelt/pulls", None),
        Ok(Some(there)) => {
            let found = format!("{}, which the token may push to", there.full_name);
            check("pull requests", CheckState::Good, found, None)
        }
        Err(error) => {
            let (found, fix) = (chain(&error), error.hint());
            check("pull requests", CheckState::Missing, found, Some(&fix))
        }
    }
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
        Err(error) => check("git", CheckState::Missing, chain(&error), fix),
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
