use super::Surroundings;
use crate::document::{Located, Problem, read_text};
use crate::manifest::MANIFEST_MAX_BYTES;
use crate::manifest::document::{MergeTable, SessionTable};
use crate::manifest::graph::{longest_path, topological_order};
use crate::manifest::model::{Merge, Session};
use crate::name::{JobName, SessionName};
use std::ops::Range;
use std::time::Duration;

pub(super) struct Sessions {
    /// Each after those it depends on.
    pub sessions: Vec<Session>,
    /// The longest chain of timeouts, in seconds.
    pub longest_path: u64,
}

/// Checks every session and the graph they form; `None` where the graph can't be made.
pub(super) fn resolve(
    tables: Vec<Located<SessionTable>>,
    whole: &Range<usize>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Sessions> {
    if tables.is_empty() && around.was_left_out(&["session"]) {
        return None;
    }
    if tables.is_empty() {
        problems.push(Problem::error(whole.clone(), "the job has no `[[session]]`").help(
            "add at least one, with `name`, `spec`, `harness` and `timeout`; `smelt init` writes \
             an example",
        ));
        return None;
    }
    check_names(&tables, problems);
    let edges = edges(&tables, problems);
    let order = topological_order(&edges).map_err(|cycle| {
        let name = |&n: &usize| tables[n].name.as_ref().map_or("?", |name| name.as_str());
        let path: Vec<_> = cycle.iter().map(name).collect();
        let span = cycle.first().map_or_else(|| whole.clone(), |&n| dependencies_span(&tables[n]));
        let message = format!("sessions depend on each other in a cycle: {}", path.join(" → "));
        problems.push(Problem::error(span, message).help("take one of these dependencies out"));
    });
    let sessions: Vec<_> =
        tables.into_iter().map(|table| session(table, around, problems)).collect();
    let (order, mut sessions) = (order.ok()?, sessions.into_iter().collect::<Option<Vec<_>>>()?);
    let weights: Vec<_> = sessions.iter().map(|s| s.timeout.as_secs()).collect();
    let longest_path = longest_path(&edges, &order, &weights);
    let mut place = vec![0; order.len()];
    for (position, &node) in order.iter().enumerate() {
        place[node] = position;
    }
    let mut numbered: Vec<_> = place.into_iter().zip(sessions.drain(..)).collect();
    numbered.sort_by_key(|(position, _)| *position);
    Some(Sessions { sessions: numbered.into_iter().map(|(_, s)| s).collect(), longest_path })
}

fn check_names(tables: &[Located<SessionTable>], problems: &mut Vec<Problem>) {
    for (i, table) in tables.iter().enumerate() {
        let Some(name) = &table.name else { continue };
        if tables[..i].iter().any(|other| other.name.as_ref() == Some(name)) {
            let message = format!("two sessions are called `{}`", name.as_str());
            problems.push(Problem::error(name.span(), message).help("give each a name of its own"));
        }
    }
}

/// For each session the sessions it depends on; those that are not there are reported.
fn edges(tables: &[Located<SessionTable>], problems: &mut Vec<Problem>) -> Vec<Vec<usize>> {
    let named = |name: &str| {
        tables.iter().position(|t| t.name.as_ref().is_some_and(|n| n.as_str() == name))
    };
    let mut edges = Vec::with_capacity(tables.len());
    for table in tables {
        let mut depends_on = Vec::new();
        for dependency in &table.depends_on {
            match named(dependency) {
                Some(node) if !depends_on.contains(&node) => depends_on.push(node),
                Some(_) => {}
                None => problems.push(unknown_session(dependency, tables)),
            }
        }
        edges.push(depends_on);
    }
    edges
}

fn unknown_session(name: &Located<String>, tables: &[Located<SessionTable>]) -> Problem {
    let known: Vec<_> = tables
        .iter()
        .filter_map(|t| t.name.as_ref())
        .map(|n| format!("`{}`", n.as_str()))
        .collect();
    let message = format!("no session is called `{}`", crate::text::clean_line(name));
    Problem::error(name.span(), message).help(format!("the sessions here: {}", known.join(", ")))
}

fn dependencies_span(table: &Located<SessionTable>) -> Range<usize> {
    match (table.depends_on.first(), table.depends_on.last()) {
        (Some(first), Some(last)) => first.span().start..last.span().end,
        _ => table.span(),
    }
}

fn session(
    table: Located<SessionTable>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Session> {
    let span = table.span();
    let table = table.into_inner();
    if let Some(harness) = table.harness.as_ref().filter(|h| h.trim().is_empty()) {
        problems.push(
            Problem::error(harness.span(), "the gate is empty: nothing would be checked")
                .help("give a command whose exit code says whether the work counts"),
        );
    }
    let spec = match (table.spec, table.spec_file) {
        (Some(spec), None) => {
            if spec.trim().is_empty() {
                problems.push(Problem::error(spec.span(), "the task is empty"));
            }
            Some(spec.into_inner())
        }
        (None, Some(file)) => spec_file(&file, around, problems),
        (Some(_), Some(file)) => {
            problems.push(
                Problem::error(file.span(), "`spec` and `spec_file` are both given")
                    .help("keep one"),
            );
            None
        }
        (None, None) if around.was_left_out(&["session.spec", "session.spec_file"]) => None,
        (None, None) => {
            problems.push(
                Problem::error(span, "the session has no task")
                    .help("add `spec = \"…\"`, or `spec_file = \"…\"` with the path of a text"),
            );
            None
        }
    };
    Some(Session {
        name: table.name?.into_inner(),
        spec: spec?,
        harness: table.harness?.into_inner(),
        timeout: Duration::from(table.timeout?.into_inner()),
        depends_on: table.depends_on.iter().filter_map(|name| name.parse().ok()).collect(),
    })
}

fn spec_file(
    file: &Located<String>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let path = around.host_path(file);
    let problem = match read_text(&path, MANIFEST_MAX_BYTES) {
        Ok(text) if text.trim().is_empty() => format!("`{}` is empty", path.display()),
        Ok(text) => return Some(text),
        Err(error) => format!("`{}` can't be read: {error}", path.display()),
    };
    problems.push(
        Problem::error(file.span(), problem).help("the path is relative to the manifest's folder"),
    );
    None
}

pub(super) fn resolve_merge(
    table: Option<Located<MergeTable>>,
    job: Option<&JobName>,
    sessions: &[Session],
    problems: &mut Vec<Problem>,
) -> Option<Merge> {
    let table = table.map(Located::into_inner).unwrap_or_default();
    let default_order = || sessions.iter().map(|s| s.name.clone()).collect();
    let order = match &table.order {
        Some(order) => merge_order(order, sessions, problems)?,
        None => default_order(),
    };
    Some(Merge {
        strategy: table.strategy.as_deref().copied().unwrap_or_default(),
        order,
        target: match table.target {
            Some(target) => target.into_inner(),
            None => format!("smelt/{}", job?).parse().ok()?,
        },
        verify: table.verify.as_deref().copied().unwrap_or(true),
        ai_resolution: table.ai_resolution.as_deref().copied().unwrap_or(false),
    })
}

/// The order as sessions' names: every session once, none before one it depends on.
fn merge_order(
    order: &Located<Vec<Located<String>>>,
    sessions: &[Session],
    problems: &mut Vec<Problem>,
) -> Option<Vec<SessionName>> {
    let before = problems.len();
    let mut names: Vec<SessionName> = Vec::new();
    for name in order.iter() {
        let Some(session) = sessions.iter().find(|s| s.name.as_str() == name.as_str()) else {
            let message = format!("no session is called `{}`", crate::text::clean_line(name));
            problems.push(Problem::error(name.span(), message));
            continue;
        };
        if names.contains(&session.name) {
            let message = format!("`{}` stands twice in the order", session.name);
            problems.push(Problem::error(name.span(), message));
        }
        if let Some(missing) = session.depends_on.iter().find(|d| !names.contains(d)) {
            let message =
                format!("`{}` is merged before `{missing}`, which it depends on", session.name);
            problems.push(Problem::error(name.span(), message).help("put dependencies first"));
        }
        names.push(session.name.clone());
    }
    if let Some(missing) = sessions.iter().find(|s| !names.contains(&s.name)) {
        let message = format!("the order leaves out `{}`", missing.name);
        problems.push(Problem::error(order.span(), message).help("name every session once"));
    }
    (problems.len() == before).then_some(names)
}
