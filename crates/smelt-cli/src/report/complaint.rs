//! Complaints: what is wrong, where, why, and how to mend it.

use super::print::{BAD, CAREFUL, note, styled};
use crate::error::CliError;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use smelt_core::document::{Problem, Problems, Severity};
use smelt_core::text::{clean_inline, clean_text, count, is_printable};

/// Tells `error` on standard error.
pub fn tell(error: &CliError) {
    match error {
        CliError::Document(problems) => {
            tell_problems(problems);
            note(&summary(problems));
        }
        CliError::Other { error, hint, .. } => {
            note(&format!("{}: {}", styled(BAD, "error"), causes(error)));
            if let Some(hint) = hint {
                note(&format!("  {}: {}", styled(CAREFUL, "help"), clean_text(hint)));
            }
        }
    }
}

/// `error` in one line, for something that goes on without what failed.
pub fn in_a_line(error: &CliError) -> String {
    match error {
        CliError::Document(problems) => clean_inline(&problems.to_string()).into_owned(),
        CliError::Other { error, .. } => clean_inline(&causes(error)).into_owned(),
    }
}

fn causes(error: &anyhow::Error) -> String {
    error.chain().map(|cause| clean_text(&cause.to_string())).collect::<Vec<_>>().join(": ")
}

/// Tells every problem of a document, each with the line it is about.
pub fn tell_problems(problems: &Problems) {
    for problem in problems.iter() {
        note(&render(problems, problem));
    }
}

fn summary(problems: &Problems) -> String {
    let errors = count(problems.count(Severity::Error) as u64, "error");
    format!("{}: {errors} in {}", styled(BAD, "error"), clean_inline(&problems.origin))
}

/// The problem with an excerpt of the source, a caret under what it is about.
fn render(problems: &Problems, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = clean_text(&problem.message);
    let title = level.primary_title(message.as_str());
    let position = problems.position(problem);
    let origin = clean_inline(&problems.origin);
    let mut group = match (&problem.span, position) {
        (Some(span), Some(_)) if !problem.confidential && !problems.source.is_empty() => {
            let end = span.end.clamp(span.start, problems.source.len());
            let annotation = AnnotationKind::Primary.span(span.start.min(end)..end);
            let snippet = Snippet::source(visible(&problems.source)).path(origin.as_ref());
            title.element(snippet.annotation(annotation))
        }
        (_, position) => {
            let origin = annotate_snippets::Origin::path(origin.as_ref());
            let origin = match position {
                Some(position) => origin.line(position.line).char_column(position.column),
                None => origin,
            };
            Group::with_title(title).element(origin)
        }
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(clean_text(help)));
    }
    Renderer::styled().decor_style(DecorStyle::Ascii).render(&[group])
}

/// The source without anything that a terminal would obey; every byte keeps its place.
fn visible(source: &str) -> String {
    let mut visible = String::with_capacity(source.len());
    for c in source.chars() {
        match c {
            '\n' | '\t' => visible.push(c),
            '\r' => visible.push(' '),
            c if is_printable(c) => visible.push(c),
            c => (0..c.len_utf8()).for_each(|_| visible.push('?')),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_holds_nothing_that_a_terminal_obeys() {
        let source = "a = \"\u{1b}\u{9b}2J\u{202e}\u{e0041}ü\"\r\n";
        let shown = visible(source);
        assert_eq!(shown, "a = \"???2J???????ü\" \n");
        assert_eq!(shown.len(), source.len());
    }
}
