use super::{Surroundings, own_variable};
use crate::document::{Located, Problem};
use crate::manifest::document::EnvironmentTable;
use crate::manifest::model::{Environment, ImageSource, Resources, RuntimeKind};
use std::ops::Range;
use std::path::PathBuf;

pub(super) fn resolve(
    table: Option<Located<EnvironmentTable>>,
    whole: &Range<usize>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Environment {
    let span = table.as_ref().map_or_else(|| whole.clone(), Located::span);
    let table = table.map(Located::into_inner).unwrap_or_default();
    let runtime = table.runtime.as_deref().copied().unwrap_or_default();
    let image = image(&table, runtime, span, around, problems);
    if runtime != RuntimeKind::Local {
        warn_unused(&table, problems);
    }
    if runtime == RuntimeKind::Kubernetes {
        check_for_pod(&table, problems);
    }
    for variable in table.env.keys().filter(|v| v.as_str().starts_with("SMELT_")) {
        problems.push(own_variable(variable));
    }
    if let Some(user) = table.user.as_ref().filter(|user| !is_user(user)) {
        problems.push(
            Problem::error(user.span(), "this can't be a user")
                .help("use a name, a uid, or `uid:gid`"),
        );
    }
    for command in table.setup.iter().filter(|command| command.trim().is_empty()) {
        problems.push(Problem::error(command.span(), "an empty setup command"));
    }
    let mut files = std::collections::BTreeMap::new();
    for (inside, host) in table.files {
        let path = around.host_path(&host);
        if !path.is_file() {
            problems.push(
                Problem::error(host.span(), format!("`{}` is not a file", path.display()))
                    .help("the path is relative to the manifest's folder"),
            );
        }
        files.insert(inside.into_inner(), path);
    }
    Environment {
        runtime,
        image,
        resources: table
            .resources
            .map(|limits| resources(limits.into_inner(), problems))
            .unwrap_or_default(),
        env: table.env.into_iter().map(|(k, v)| (k.into_inner(), v.into_inner().0)).collect(),
        files,
        cache: table.cache.into_iter().map(Located::into_inner).collect(),
        setup: table.setup.into_iter().map(Located::into_inner).collect(),
        network: table.network.as_deref().copied().unwrap_or_default(),
        pull: table.pull.as_deref().copied().unwrap_or_default(),
        user: table.user.map(Located::into_inner),
        tools: tools(&table.tools, runtime, around, problems),
        unsandboxed: table.unsandboxed.as_deref().copied().unwrap_or(false),
    }
}

fn tools(
    tools: &[Located<String>],
    runtime: RuntimeKind,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for tool in tools {
        let path = around.host_path(tool);
        if runtime == RuntimeKind::Local && !path.exists() {
            let message = format!("`{}` is not there", path.display());
            problems
                .push(Problem::error(tool.span(), message).help("check the path, or take it out"));
        }
        paths.push(path);
    }
    paths
}

/// Least memory that a limit leaves: with less not even a shell starts.
const MEMORY_MIN: u64 = 16_000_000;

fn resources(
    table: crate::manifest::document::ResourcesTable,
    problems: &mut Vec<Problem>,
) -> Resources {
    let default = Resources::default();
    if let Some(memory) = table.memory.as_ref().filter(|memory| memory.bytes() < MEMORY_MIN) {
        let message = format!("{} of memory are not enough for any program", **memory);
        problems.push(
            Problem::error(memory.span(), message)
                .help("a number without a unit is bytes; write \"512M\" or \"4G\""),
        );
    }
    Resources {
        cpu: table.cpu.map_or(default.cpu, Located::into_inner),
        memory: table.memory.map_or(default.memory, Located::into_inner),
        pids: table.pids.map_or(default.pids, |pids| pids.into_inner().0),
        disk: table.disk.map(Located::into_inner),
    }
}

fn image(
    table: &EnvironmentTable,
    runtime: RuntimeKind,
    span: Range<usize>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<ImageSource> {
    if runtime == RuntimeKind::Local {
        let image = table.image.as_ref().map(Located::span);
        if let Some(span) = image.or(table.build.as_ref().map(Located::span)) {
            problems.push(Problem::warning(span, "the `local` runtime uses no image"));
        }
        return None;
    }
    match (&table.image, &table.build) {
        (Some(image), None) => {
            let odd = |c: char| c.is_whitespace() || c.is_control();
            if image.is_empty() || image.starts_with('-') || image.contains(odd) {
                let problem = Problem::error(image.span(), "this can't be the name of an image");
                problems.push(
                    problem.help("expected such as `debian:12` or `ghcr.io/acme/agent@sha256:…`"),
                );
            }
            Some(ImageSource::Image((**image).clone()))
        }
        (None, Some(build)) => {
            let context = around.host_path(build.context.as_deref().map_or(".", String::as_str));
            let dockerfile = build.dockerfile.as_deref().map_or("Dockerfile", String::as_str);
            if !context.join(dockerfile).is_file() {
                let message = format!("`{}` is not a file", context.join(dockerfile).display());
                problems.push(Problem::error(build.span(), message).help(
                    "`context` is relative to the manifest's folder, `dockerfile` to the context",
                ));
            }
            Some(ImageSource::Build { context, dockerfile: dockerfile.into() })
        }
        (Some(image), Some(_)) => {
            problems.push(
                Problem::error(image.span(), "`image` and `build` are both given").help("keep one"),
            );
            None
        }
        (None, None)
            if around.was_left_out(&[
                "environment",
                "environment.runtime",
                "environment.image",
                "environment.build",
            ]) =>
        {
            None
        }
        (None, None) => {
            problems
                .push(Problem::error(span, format!("the {runtime} runtime needs an image")).help(
                "add `image = \"…\"` or `build = { context = \".\" }` to `[environment]`, or use \
                     `runtime = \"local\"`",
            ));
            None
        }
    }
}

fn warn_unused(table: &EnvironmentTable, problems: &mut Vec<Problem>) {
    let unsandboxed = table.unsandboxed.as_ref().filter(|u| ***u).map(Located::span);
    for (span, key) in
        [(table.tools.first().map(Located::span), "tools"), (unsandboxed, "unsandboxed")]
    {
        if let Some(span) = span {
            problems.push(Problem::warning(
                span,
                format!("`{key}` is only used by the `local` runtime"),
            ));
        }
    }
}

/// Reports what no pod can have: it is made by a cluster, and meets its restricted standard.
fn check_for_pod(table: &EnvironmentTable, problems: &mut Vec<Problem>) {
    if let Some(build) = &table.build {
        let message = "a cluster builds no image: `build` can't be used with `kubernetes`";
        problems.push(Problem::error(build.span(), message).help(
            "build it, push it to a registry that the cluster can pull from, and name it as `image`",
        ));
    }
    let number = |part: &str| part.parse::<u32>().ok();
    if let Some(user) = table.user.as_ref().filter(|user| is_user(user)) {
        let (uid, gid) = user.split_once(':').unwrap_or((user, user));
        if number(gid).is_none() || number(uid).is_none_or(|uid| uid == 0) {
            let message = "the user of a pod is a number, and never root";
            problems.push(
                Problem::error(user.span(), message)
                    .help("write such as \"1000\" or \"1000:1000\"; packages go into the image"),
            );
        }
    }
    if let Some(path) = table.cache.first() {
        let message = "the `kubernetes` runtime keeps no paths between runs";
        problems.push(Problem::warning(path.span(), message));
    }
}

fn is_user(user: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    match user.split_once(':') {
        Some((user, group)) => part(user) && part(group),
        None => part(user),
    }
}
