//! How a command gets into a pod. An exec of the API has no variables, and its words stand in an address
//! that servers write into their logs: so there a small script stands that is always the same, and the
//! command itself is the first line of its input.

use bytes::Bytes;
use smelt_core::port::SandboxError;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the line that tells all else. A shell's `read` takes not a byte more than that.
pub(super) const SCRIPT: &str = "smelt_n='\n'; IFS= read -r smelt_line && eval \"$smelt_line\"";

/// What a line is to run.
pub(super) struct Header<'a> {
    /// Program and arguments.
    pub(super) argv: Vec<&'a str>,
    /// Folder it starts in.
    pub(super) folder: &'a Path,
    /// Its variables.
    pub(super) env: BTreeMap<&'a str, &'a str>,
    /// How many bytes of input follow; `None`: it has none.
    pub(super) input: Option<u64>,
    /// What is written to both outputs after the command, in front of its exit code.
    pub(super) end: &'a str,
}

impl Header<'_> {
    /// The line, with its end. A shell runs the command, so that a program that is not there ends with 127
    /// and nothing else; and so that one process of the session keeps its mark, whatever its others do with
    /// their environment. It outlives being asked to end: the command is to have the last word.
    ///
    /// A variable that is the shell's own alone (`UID` of bash) stays as it is. What no process can be given
    /// is refused.
    pub(super) fn line(&self) -> Result<String, SandboxError> {
        self.check()?;
        let mut line = String::from("unset smelt_line; ");
        for (name, value) in &self.env {
            line.push_str("command export ");
            line.push_str(name);
            line.push('=');
            quote(value, &mut line);
            line.push_str(" 2>/dev/null || :; ");
        }
        line.push_str("cd -- ");
        quote(&self.folder.to_string_lossy(), &mut line);
        line.push_str(" || exit 126; set --");
        for word in &self.argv {
            line.push(' ');
            quote(word, &mut line);
        }
        line.push_str("; unset smelt_n; trap : TERM INT HUP; ");
        match self.input {
            // What comes after it on the same way is not its own.
            Some(length) if length > 0 => line.push_str(&format!("head -c {length} | \"$@\"")),
            _ => line.push_str("\"$@\" </dev/null"),
        }
        line.push_str("; smelt_code=$?; ");
        // Where something that was left behind holds the outputs, this is their end all the same.
        for output in ["", " >&2"] {
            line.push_str("printf '%s%d\\n' ");
            quote(self.end, &mut line);
            line.push_str(&format!(" \"$smelt_code\"{output}; "));
        }
        line.push_str("exit \"$smelt_code\"\n");
        Ok(line)
    }

    /// Whether a process can be given all of it. What holds the zero is not told: it may be a secret.
    fn check(&self) -> Result<(), SandboxError> {
        let refused = |what: &str| {
            SandboxError::failed("running a command", format!("{what} has a zero byte in it"))
        };
        for (name, value) in &self.env {
            if value.contains('\0') {
                return Err(refused(&format!("the variable `{name}`")));
            }
        }
        match self.argv.iter().any(|word| word.contains('\0')) {
            true => Err(refused("one of its words")),
            false if self.folder.to_string_lossy().contains('\0') => Err(refused("its folder")),
            false => Ok(()),
        }
    }
}

/// `text` as one word of a shell's, without a line's end in it.
fn quote(text: &str, into: &mut String) {
    into.push('\'');
    for c in text.chars() {
        match c {
            '\'' => into.push_str("'\\''"),
            '\n' => into.push_str("'\"$smelt_n\"'"),
            other => into.push(other),
        }
    }
    into.push('\'');
}

/// Finds the exit code at the end of what is written to an output.
pub(super) struct Tail {
    end: String,
    /// What may be the beginning of it.
    held: Vec<u8>,
    found: bool,
}

impl Tail {
    pub(super) fn new(end: &str) -> Self {
        Self { end: end.to_owned(), held: Vec::new(), found: false }
    }

    /// Takes what has been written; returns what is the command's, and the exit code when it is there.
    pub(super) fn take(&mut self, bytes: Bytes) -> (Bytes, Option<i64>) {
        let end = self.end.as_bytes();
        let is_plain = self.held.is_empty()
            && begun(&bytes, end) == 0
            && memchr::memmem::find(&bytes, end).is_none();
        if self.found || is_plain {
            return (bytes, None);
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&bytes);
        if let Some(at) = memchr::memmem::find(&all, end) {
            let rest = &all[at + end.len()..];
            match memchr::memchr(b'\n', rest) {
                Some(line) => {
                    let code = std::str::from_utf8(&rest[..line]).ok();
                    let code = code.and_then(|code| code.parse().ok()).unwrap_or(-1);
                    self.found = true;
                    let after = rest[line + 1..].to_vec();
                    all.truncate(at);
                    all.extend(after);
                    return (all.into(), Some(code));
                }
                None => {
                    self.held = all.split_off(at);
                    return (all.into(), None);
                }
            }
        }
        self.held = all.split_off(all.len() - begun(&all, end));
        (all.into(), None)
    }

    /// What was held back and is no end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// How many bytes at the end of `bytes` may be the beginning of `end`.
fn begun(bytes: &[u8], end: &[u8]) -> usize {
    let longest = end.len().saturating_sub(1).min(bytes.len());
    (1..=longest).rev().find(|n| bytes.ends_with(&end[..*n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// Runs a header by the shell of this machine, with `input` after it.
    fn run(header: &Header<'_>, input: &[u8]) -> (Vec<u8>, Vec<u8>, i64) {
        run_by("sh", header, input)
    }

    fn run_by(shell: &str, header: &Header<'_>, input: &[u8]) -> (Vec<u8>, Vec<u8>, i64) {
        let mut child = Command::new(shell)
            .args(["-c", SCRIPT])
            // bash is then as where it is called `sh`.
            .env("POSIXLY_CORRECT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let line = header.line().unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(input).unwrap();
        // It stays open, as it does in a pod.
        let output = std::thread::spawn(move || child.wait_with_output().unwrap()).join().unwrap();
        drop(stdin);
        let take = |written: Vec<u8>| Tail::new(header.end).take(written.into());
        let ((out, of_out), (err, of_err)) = (take(output.stdout), take(output.stderr));
        assert_eq!(of_out, of_err);
        let code = i64::from(output.status.code().unwrap());
        assert_eq!(of_out.unwrap_or(126), code);
        (out.into(), err.into(), code)
    }

    fn header<'a>(argv: &[&'a str], input: Option<u64>) -> Header<'a> {
        let (argv, folder) = (argv.to_vec(), Path::new("/"));
        Header { argv, folder, env: BTreeMap::new(), input, end: "end-1234:" }
    }

    #[test]
    fn words_variables_and_folder_arrive_as_they_are() {
        let odd = "a 'b' \"c\" $HOME `x` \\ \n two\n\n *";
        let mut header =
            header(&["sh", "-c", "printf '%s|%s|' \"$1\" \"$ODD\"; pwd", "x", odd], None);
        header.env.insert("ODD", odd);
        header.folder = Path::new("/tmp");
        assert_eq!(run(&header, b""), (format!("{odd}|{odd}|/tmp\n").into_bytes(), Vec::new(), 0));
    }

    #[test]
    fn a_variable_that_a_shell_does_not_give_away_costs_no_other() {
        for shell in ["sh", "bash"] {
            if Command::new(shell).args(["-c", ":"]).output().is_err() {
                continue;
            }
            let mut header = header(&["sh", "-c", "printf '%s|%s' \"$A\" \"$Z\""], None);
            header.env = [("A", "a  b"), ("UID", "7"), ("SHELLOPTS", "x"), ("Z", "~")].into();
            assert_eq!(run_by(shell, &header, b""), (b"a  b|~".to_vec(), Vec::new(), 0), "{shell}");
        }
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        let refused = |header: &Header<'_>| {
            let error = header.line().unwrap_err();
            std::error::Error::source(&error).unwrap().to_string()
        };
        let mut given = header(&["true"], None);
        given.env.insert("TOKEN", "s3c\0ret");
        assert_eq!(refused(&given), "the variable `TOKEN` has a zero byte in it");
        assert_eq!(
            refused(&header(&["echo", "\0"], None)),
            "one of its words has a zero byte in it"
        );
    }

    #[test]
    fn codes_are_exact_and_no_program_is_127() {
        assert_eq!(run(&header(&["sh", "-c", "echo x >&2; exit 42"], None), b"").1, b"x\n");
        assert_eq!(run(&header(&["sh", "-c", "exit 42"], None), b"").2, 42);
        assert_eq!(run(&header(&["sh", "-c", "kill -KILL $$"], None), b"").2, 137);
        assert_eq!(run(&header(&["no-such-program"], None), b"").2, 127);
        let mut nowhere = header(&["true"], None);
        nowhere.folder = Path::new("/no/such/folder");
        assert_eq!(run(&nowhere, b"").2, 126);
    }

    #[test]
    fn input_has_its_length_and_none_is_closed() {
        let input = vec![b'x'; 100_000];
        assert_eq!(run(&header(&["cat"], Some(100_000)), &input).0, input);
        assert_eq!(run(&header(&["cat"], Some(3)), b"abcdef").0, b"abc");
        assert_eq!(run(&header(&["cat"], None), b"").0, b"");
        assert_eq!(run(&header(&["sh", "-c", "exit 3"], Some(3)), b"abc").2, 3);
    }

    #[test]
    fn an_end_is_found_however_it_is_cut() {
        let whole: &[u8] = b"one\nen end-12 end-1234:137\n";
        for at in 0..whole.len() {
            let mut tail = Tail::new("end-1234:");
            let first = tail.take(Bytes::from_static(&whole[..at]));
            let (more, second) = tail.take(Bytes::from_static(&whole[at..]));
            let out = [first.0, more].concat();
            assert_eq!((&out[..], first.1.or(second)), (&b"one\nen end-12 "[..], Some(137)));
        }
        let mut tail = Tail::new("end-1234:");
        assert_eq!(tail.take(Bytes::from_static(b"x end-")).0, b"x "[..]);
        assert_eq!(tail.rest(), b"end-");
    }
}
