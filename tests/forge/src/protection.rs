//! Branches that a push is refused for, in the words of the service.

use crate::Kind;
use crate::git::Bare;

/// Refuses pushes to the branches that fit one of `patterns` (a shell's: `release/*`).
pub(crate) fn protect(bare: &Bare, kind: Kind, patterns: &[String]) {
    let refs: Vec<_> = patterns.iter().map(|pattern| format!("refs/heads/{pattern}")).collect();
    let case = refs.join("|");
    match kind {
        // GitHub says so of each ref, and lets the others of a push pass: only this hook can.
        Kind::GitHub => {
            bare.hook("proc-receive", &GITHUB.replace("@CASE@", &case));
            bare.configure("receive.procReceiveRefs", "refs/heads");
        }
        Kind::Forgejo => {
            bare.hook("pre-receive", &GITEA.replace("@CASE@", &case).replace("@WHO@", "Forgejo"));
        }
        Kind::Gitea => {
            bare.hook("pre-receive", &GITEA.replace("@CASE@", &case).replace("@WHO@", "Gitea"));
        }
    }
}

/// Speaks git's pkt-lines: version, commands, one report for each command.
const GITHUB: &str = r#"#!/bin/sh
packet() {
    length=$(dd bs=1 count=4 2>/dev/null)
    case "$length" in
        ''|0000) return 1 ;;
    esac
    line=$(dd bs=1 count=$((0x$length - 4)) 2>/dev/null | tr '\000' ' ')
}
send() { printf '%04x%s\n' $((${#1} + 5)) "$1"; }

pushoptions=
while packet; do
    case "$line" in *push-options*) pushoptions=1 ;; esac
done
send 'version=1'
printf 0000
commands=
while packet; do
    commands="$commands ${line##* }"
done
if [ -n "$pushoptions" ]; then while packet; do :; done; fi
for ref in $commands; do
    case "$ref" in
        @CASE@)
            {
                echo "error: GH006: Protected branch update failed for $ref."
                echo
                echo "- Changes must be made through a pull request."
            } >&2
            send "ng $ref protected branch hook declined"
            ;;
        *)
            send "ok $ref"
            send 'option fall-through'
            ;;
    esac
done
printf 0000
"#;

const GITEA: &str = r#"#!/bin/sh
while read -r old new ref; do
    case "$ref" in
        @CASE@)
            echo >&2
            echo "@WHO@: Not allowed to push to protected branch ${ref#refs/heads/}" >&2
            exit 1
            ;;
    esac
done
"#;
