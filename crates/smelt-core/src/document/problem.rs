use std::fmt;
use std::ops::Range;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the document is used all the same.
    Warning,
    /// The document can't be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// One thing that is wrong with a document: where, why, and how to mend it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Bytes of the document it is about; `None` where it is about the document as a whole.
    pub span: Option<Range<usize>>,
    /// The source must not be quoted, because a secret may stand there.
    pub confidential: bool,
}

impl Problem {
    /// An error at `span`.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::whole(message) }
    }

    /// A warning at `span`.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// An error of the document as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            span: None,
            confidential: false,
        }
    }

    /// The same problem, with what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same problem, of whose source nothing may be quoted.
    #[must_use]
    pub fn confidential(self) -> Self {
        Self { confidential: true, ..self }
    }
}

/// A line and column, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line of the document.
    pub line: usize,
    /// Character of the line.
    pub column: usize,
}

/// All problems of one document, in the order of its lines.
#[derive(Clone, Debug)]
pub struct Problems {
    /// Name of the document, as the user gave it.
    pub origin: String,
    /// The document's text; empty where it could not be read.
    pub source: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The `list` found in `source`, which came from `origin`.
    pub fn new(origin: impl Into<String>, source: impl Into<String>, list: Vec<Problem>) -> Self {
        let mut problems = Self { origin: origin.into(), source: source.into(), list };
        problems.list.sort_by_key(|p| p.span.as_ref().map_or(0, |s| s.start));
        problems
    }

    /// A document that could not be read at all.
    pub fn unreadable(origin: impl Into<String>, problem: Problem) -> Self {
        Self::new(origin, "", vec![problem])
    }

    /// The same problems, none of which quotes any of `lines`: ranges of the source's bytes.
    #[must_use]
    pub fn without_quoting(mut self, lines: &[Range<usize>]) -> Self {
        for problem in &mut self.list {
            // An empty span is shown on the line it stands in.
            let touches = |span: &Range<usize>, line: &Range<usize>| {
                span.start < line.end && line.start <= span.end
            };
            let span = problem.span.as_ref();
            problem.confidential |=
                span.is_some_and(|span| lines.iter().any(|line| touches(span, line)));
        }
        self
    }

    /// Whether any of them keeps the document from being used.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of `severity`.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|p| p.severity == severity).count()
    }

    /// The problems, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Line and column of a problem; `None` where it is about the document as a whole.
    pub fn position(&self, problem: &Problem) -> Option<Position> {
        let start = problem.span.as_ref()?.start.min(self.source.len());
        let before = &self.source.get(..start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some(Position { line, column })
    }
}

/// `job.toml:3:5: error: …`, one problem a line, its help below.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.origin)?;
            if let Some(Position { line, column }) = self.position(problem) {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}: {}", problem.severity, problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
