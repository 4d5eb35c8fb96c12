//! What a cluster refused, or could not be asked: said as what it is.

use kube::Error;
use smelt_core::port::SandboxError;
use smelt_core::text::clean_inline;
use std::time::Duration;

/// Name of the runtime in messages.
const RUNTIME: &str = "kubernetes";

/// What a cluster was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) verb: &'static str,
    /// Resource with its group, as a Role names it: `pods/exec`.
    pub(super) resource: &'static str,
    /// `None`: all of them.
    pub(super) namespace: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub(super) fn of(verb: &'static str, resource: &'static str, namespace: &'a str) -> Self {
        Self { verb, resource, namespace: Some(namespace) }
    }
}

/// The runtime can't do `what`.
pub(super) fn unsupported(what: impl Into<String>) -> SandboxError {
    SandboxError::Unsupported { runtime: RUNTIME, what: what.into() }
}

/// It can't be used now.
pub(super) fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> SandboxError {
    SandboxError::Unavailable { message: message.into(), hint: Some(hint.into()) }
}

/// How long the cluster may take to answer a call.
const DEADLINE: Duration = Duration::from_secs(30);

/// It has not answered a call in time.
#[derive(Debug)]
struct Late;

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the cluster does not answer")
    }
}

impl std::error::Error for Late {}

/// What the cluster answers, in time: a connection may be dead and not show it.
pub(super) async fn answered<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(DEADLINE, call).await;
    answer.unwrap_or_else(|_| Err(Error::Service(Box::new(Late))))
}

/// HTTP status that the cluster answered with.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        Error::UpgradeConnection(kube::client::UpgradeConnectionError::ProtocolSwitch(code)) => {
            Some(code.as_u16())
        }
        _ => None,
    }
}

/// What became of `ask`, which was a part of `what`.
pub(super) fn explain(what: &str, ask: Ask<'_>, error: Error) -> SandboxError {
    match (status(&error), &error) {
        (Some(401), _) => unavailable(
            format!("{what}: the cluster does not know these credentials (401)"),
            "log in to the cluster anew, and see whether `kubectl auth whoami` works",
        ),
        (Some(403), Error::Api(said)) if !is_about_rights(&said.message) => {
            unavailable(format!("{what}: {}", clean_inline(&said.message)), LIMITS)
        }
        (Some(403), _) => unavailable(format!("{what}: {}", may_not(ask)), PRINTS_ROLE),
        (Some(404), Error::Api(said)) if said.message.contains("namespaces \"") => unavailable(
            format!("{what}: {}", clean_inline(&said.message)),
            "make the namespace, or name another one as `kubernetes.namespace`",
        ),
        (Some(_), Error::Api(said)) => {
            SandboxError::failed(what, clean_inline(&said.message).into_owned())
        }
        (None, Error::Service(why)) if why.is::<Late>() => unavailable(
            format!("{what}: {Late}"),
            "see whether `kubectl version` works with the same kubeconfig and context",
        ),
        (None, Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_)) => unavailable(
            format!("{what}: the cluster can't be reached: {}", chain(&error)),
            "see whether `kubectl version` works with the same kubeconfig and context",
        ),
        (None, Error::Auth(_)) => unavailable(
            format!("{what}: {}", chain(&error)),
            "see whether `kubectl auth whoami` works",
        ),
        _ => SandboxError::failed(what, error),
    }
}

const PRINTS_ROLE: &str = "`smelt doctor --runtime kubernetes` prints a Role that is enough";

const LIMITS: &str = "the cluster's own rules refuse this pod: another namespace may allow it";

/// Which right is missing.
pub(super) fn may_not(ask: Ask<'_>) -> String {
    let place = match ask.namespace {
        Some(namespace) => format!("in namespace `{namespace}`"),
        None => "in all namespaces".to_owned(),
    };
    format!("may not `{}` `{}` {place}", ask.verb, ask.resource)
}

/// A right that is missing, and not a quota, an admission controller or Pod Security, which say 403 too.
fn is_about_rights(message: &str) -> bool {
    message.contains(" cannot ") || !OTHERS.iter().any(|word| message.contains(word))
}

const OTHERS: [&str; 6] = [
    "exceeded quota",
    "violates PodSecurity",
    "denied the request",
    "failed quota",
    "error looking up service account",
    "unable to validate",
];

/// An error with its causes. The outermost says no more than which library it is.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !causes.last().is_some_and(|last| last.contains(&told)) {
            causes.push(told);
        }
        next = cause.source();
    }
    match causes.is_empty() {
        true => clean_inline(&error.to_string()).into_owned(),
        false => clean_inline(&causes.join(": ")).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn refused(code: u16, message: &str) -> String {
        let status = Status { code, ..Status::failure(message, "Forbidden") };
        let ask = Ask::of("create", "pods/exec", "x");
        explain("making the pod", ask, Error::Api(status.boxed())).to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_does_not_answer_is_said_not_to() {
        let late = answered(std::future::pending::<Result<(), Error>>()).await.unwrap_err();
        let told = explain("making the pod", Ask::of("create", "pods", "x"), late);
        let SandboxError::Unavailable { message, .. } = told else { panic!("{told}") };
        assert_eq!(message, "making the pod: the cluster does not answer");
    }

    #[test]
    fn a_missing_right_is_named_and_a_rule_of_the_cluster_speaks_for_itself() {
        let rbac =
            "pods \"a\" is forbidden: User \"u\" cannot create resource \"pods/exec\" in API group";
        assert_eq!(
            refused(403, rbac),
            "making the pod: may not `create` `pods/exec` in namespace `x`"
        );
        let quota = "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1";
        assert_eq!(refused(403, quota), format!("making the pod: {quota}"));
        let standard = "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"";
        assert_eq!(refused(403, standard), format!("making the pod: {standard}"));
        assert!(refused(401, "").contains("does not know these credentials"));
    }
}
