//! A plan as text.

use super::print::{BAD, BOLD, CAREFUL, GOOD, PLAIN, styled};
use super::words::{duration, short};
use anstyle::Style;
use smelt_core::manifest::{AssaySessions, ImageSource, Network, RuntimeKind};
use smelt_core::name::SessionName;
use smelt_core::plan::{Plan, PlannedEnvironment, PlannedMerge};
use smelt_core::port::Blueprint;
use smelt_core::text::clean_inline;
use std::time::Duration;

/// A name and what is said of it, in styled parts. All text goes through here, and nothing in it
/// steers a terminal.
fn row(name: &str, fact: &[(Style, &str)]) -> String {
    let shown = fact.iter().map(|(style, part)| styled(*style, clean_inline(part)));
    format!("{name:<12} {}", shown.collect::<String>())
}

/// The plan as text.
pub fn of_plan(plan: &Plan) -> String {
    let mut text = vec![row("job", &[(BOLD, plan.job.as_str())])];
    let mut say = |name: &str, fact: String| text.push(row(name, &[(PLAIN, &fact)]));
    let base = plan.base.branch.as_deref().unwrap_or(&plan.base.reference);
    say("repository", plan.repo.clone());
    say("base", format!("{base} at {}", short(&plan.base.commit)));
    say("result", format!("branch {}", plan.target));
    say("time", format!("at most {}", duration(Duration::from_secs(plan.timeout_secs))));
    for (n, line) in environment(&plan.environment).into_iter().enumerate() {
        say(if n == 0 { "environment" } else { "" }, line);
    }
    let sessions = match plan.assay_sessions {
        Some(AssaySessions::Separate) => ", one run per session",
        Some(AssaySessions::Together) => ", one run for all sessions",
        None => "",
    };
    say("orchestrator", format!("{}{sessions}, agent: {}", plan.orchestrator, plan.agent));
    for (n, secret) in plan.secrets.iter().enumerate() {
        let (style, found) = match secret.found {
            Some(origin) => (GOOD, format!("found in {origin}")),
            None => (BAD, "missing".to_owned()),
        };
        let name = if n == 0 { "secrets" } else { "" };
        let of_secret = format!("{}: ", secret.name);
        text.push(row(name, &[(PLAIN, &of_secret), (style, &found)]));
    }
    let mut say = |name: &str, fact: String| text.push(row(name, &[(PLAIN, &fact)]));
    for (n, stage) in plan.stages.iter().enumerate() {
        for (m, session) in stage.iter().enumerate() {
            let waits: Vec<_> = session.depends_on.iter().map(SessionName::as_str).collect();
            let waits = if waits.is_empty() {
                String::new()
            } else {
                format!(" after {}", waits.join(", "))
            };
            let stage = if m == 0 { format!("{}.", n + 1) } else { String::new() };
            let gate = session.gate.lines().next().unwrap_or_default();
            let time = duration(Duration::from_secs(session.timeout_secs));
            let line = format!("{stage:<3} {}{waits}; gate: {gate}; at most {time}", session.name);
            say(if n + m == 0 { "sessions" } else { "" }, line);
        }
    }
    if plan.merge.order.len() > 1 {
        say("merge", merge(&plan.merge));
    }
    for (n, service) in plan.services.iter().enumerate() {
        say(if n == 0 { "services" } else { "" }, format!("{}: {}", service.name, service.image));
    }
    if let Some(forge) = &plan.forge {
        let repo = forge.repo.as_ref().map(|repo| format!(" {repo}")).unwrap_or_default();
        let draft = if forge.draft { "draft " } else { "" };
        let base = forge.base.as_deref().unwrap_or("the default branch");
        say("forge", format!("{}{repo}: {draft}pull request to {base}", forge.provider));
    }
    for notice in &plan.notices {
        text.push(match notice.strip_prefix("warning:") {
            Some(warning) => row("note", &[(CAREFUL, "warning:"), (PLAIN, warning)]),
            None => row("note", &[(PLAIN, notice)]),
        });
    }
    text.join("\n")
}

/// What the runtime would be asked for, as it would be.
pub fn of_blueprint(plan: &Plan) -> String {
    match &plan.blueprint {
        Some(Blueprint { title, text }) => {
            let lines = text.lines().map(|line| clean_inline(line).into_owned());
            format!("\n# {title}\n{}", lines.collect::<Vec<_>>().join("\n"))
        }
        None => {
            format!("\n# the {} runtime is asked for no more than this", plan.environment.runtime)
        }
    }
}

fn environment(environment: &PlannedEnvironment) -> Vec<String> {
    let image = match &environment.image {
        Some(ImageSource::Image(name)) => format!(", image {name}"),
        Some(ImageSource::Build { context, dockerfile }) => {
            format!(", built from {}", context.join(dockerfile).display())
        }
        None => String::new(),
    };
    let resources = &environment.resources;
    let disk = resources.disk.map(|disk| format!(", {disk} of disk")).unwrap_or_default();
    let processes = match environment.runtime {
        // Their number is the cluster's own to limit.
        RuntimeKind::Kubernetes => String::new(),
        _ => format!(", {} processes", resources.pids),
    };
    let mut lines = vec![
        format!("{}{image}", environment.runtime),
        format!("{} cores, {} of memory{processes}{disk}", resources.cpu, resources.memory),
    ];
    lines.push(match (environment.network, environment.runtime) {
        (Network::None, _) => "no network".into(),
        (Network::Default, RuntimeKind::Local) => "this machine's network".into(),
        (Network::Default, RuntimeKind::Kubernetes) => "the cluster's network, by a policy".into(),
        (Network::Default, _) => "a network of its own".into(),
    });
    if !environment.env.is_empty() {
        lines.push(format!("variables: {}", environment.env.join(", ")));
    }
    if !environment.files.is_empty() {
        lines.push(format!("files: {}", environment.files.join(", ")));
    }
    lines.extend(environment.setup.iter().map(|command| format!("setup: {command}")));
    lines
}

fn merge(merge: &PlannedMerge) -> String {
    let order: Vec<_> = merge.order.iter().map(SessionName::as_str).collect();
    let verify = match merge.verify {
        true => "gates again on the merged tree",
        false => "no gates on the merged tree",
    };
    let ai = if merge.ai_resolution { "; conflicts go back to the agent once" } else { "" };
    format!("{}: {}; {verify}{ai}", merge.strategy, order.join(", "))
}
