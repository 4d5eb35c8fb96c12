//! The programs that must be in a sandbox before anything can work there.

use crate::manifest::RuntimeKind;
use crate::outcome::{Failure, FailureKind};
use crate::port::{Command, ExitStatus};
use crate::sandbox_git::Capture;
use crate::session::floor::Floor;

/// A program that is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    pub(super) name: &'a str,
    /// Where it comes from, or the command that installs it.
    pub(super) install: Option<&'a str>,
}

/// Without it no session can be given a worktree.
pub(super) const GIT: Program<'static> = Program { name: "git", install: Some("apt install git") };

/// Names those that are not there.
const LOOK: &str =
    r#"for name; do command -v -- "$name" >/dev/null || printf '%s\n' "$name"; done"#;

/// Most output of looking, in bytes.
const OUTPUT_MAX: usize = 64 << 10;

/// Makes sure that all of `needed` are there; `otherwise` is how to do without the first of them.
pub(super) async fn check(
    floor: &Floor<'_>,
    needed: &[Program<'_>],
    otherwise: Option<&str>,
) -> Result<(), Failure> {
    let names = needed.iter().map(|program| program.name);
    let mut command = Command::shell(LOOK, names, floor.sandbox.paths().workspace());
    command.stop = floor.clock.cancellation().stop.clone();
    let mut said = Capture::new(OUTPUT_MAX);
    let exit = floor.sandbox.exec(command, &mut said).await;
    let exit = exit.map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    if exit.status == ExitStatus::Stopped {
        return Ok(());
    }
    if !exit.success() {
        let message = format!("the sandbox's shell can't look for programs ({exit})");
        return Err(Failure::new(FailureKind::Invalid, message));
    }
    let said = String::from_utf8_lossy(&said.stdout);
    let missing: Vec<_> =
        needed.iter().filter(|program| said.lines().any(|name| name == program.name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let names: Vec<_> = missing.iter().map(|program| format!("`{}`", program.name)).collect();
    let message = format!("the sandbox has no {}", names.join(", no "));
    let otherwise = otherwise.filter(|_| first.name == needed[0].name);
    let hint = hint(floor.manifest().environment.runtime, &missing);
    let hint = [Some(&*hint), otherwise].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Err(Failure::new(FailureKind::Invalid, message).hint(hint))
}

fn hint(runtime: RuntimeKind, missing: &[&Program<'_>]) -> String {
    let one = missing.len() == 1;
    let it = if one { "it" } else { "them" };
    let how = |program: &&Program<'_>| {
        let install = program.install?;
        Some(if one { install.to_owned() } else { format!("{}: {install}", program.name) })
    };
    let how: Vec<_> = missing.iter().filter_map(how).collect();
    let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join("; ")) };
    let folder = if one { "its folder" } else { "their folders" };
    let below = if one { "it is" } else { "they are" };
    match runtime {
        RuntimeKind::Local => format!(
            "install {it} on this machine{how}, and name {folder} in `[environment] tools` unless \
             {below} below /usr"
        ),
        _ => format!("add {it} to the image{how}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_what_to_install_and_where() {
        let other = Program { name: "claude", install: None };
        insta::assert_snapshot!(
            [
                hint(RuntimeKind::Docker, &[&GIT]),
                hint(RuntimeKind::Local, &[&other]),
                hint(RuntimeKind::Docker, &[&GIT, &other]),
                hint(RuntimeKind::Local, &[&GIT, &Program { install: Some("npm"), ..other }]),
            ]
            .join("\n")
        );
    }
}
