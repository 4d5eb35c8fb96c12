//! How a command came out, as a kubelet tells it.

use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The last word of a session.
pub(super) fn ended(command: &[String], status: ExitStatus) -> Value {
    // What a signal ends has the code that a shell gives it.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    let command = command.join(" ");
    let message = format!(
        "command terminated with non-zero exit code: error executing command [{command}], exit \
         code {code}"
    );
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// What the runtime could not start.
pub(super) fn not_started(why: &str) -> Value {
    let id = format!("{0}{0}", uuid::Uuid::new_v4().simple());
    internal(&format!(
        "error executing command in container: failed to exec in container: failed to start exec \
         \"{id}\": OCI runtime exec failed: exec failed: unable to start container process: {why}"
    ))
}

pub(super) fn internal(why: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "message": format!("Internal error occurred: {why}"),
        "reason": "InternalError", "details": { "causes": [{ "message": why }] }, "code": 500,
    })
}
