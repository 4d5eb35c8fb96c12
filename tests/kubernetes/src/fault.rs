//! What goes wrong with a request, as a test scripts it.

/// A fault, and how often it befalls what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: Kind,
    /// `None`: always.
    left: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forbidden { verb: String, resource: String },
    Quota(String),
    PodSecurity(String),
    Conflict,
    WatchGone,
    WatchGoneHttp,
    WatchEnds,
    CutExec(u64),
    Status { method: String, part: String, code: u16 },
    HangUp { method: String, part: String, after: bool },
}

impl Fault {
    fn once(kind: Kind) -> Self {
        Self { kind, left: Some(1) }
    }

    /// The user may not do this (`*`: any verb) with that (`pods`, `pods/exec`,
    /// `networkpolicies`); always, unless [`Fault::times`] says less. Access reviews know of it.
    pub fn forbidden(verb: &str, resource: &str) -> Self {
        let kind = Kind::Forbidden { verb: verb.to_owned(), resource: resource.to_owned() };
        Self { kind, left: None }
    }

    /// The next pod is more than the namespace's quota has: `requested: pods=1, used: pods=10,
    /// limited: pods=10`, or the whole `exceeded quota: …`.
    pub fn quota(message: &str) -> Self {
        Self::once(Kind::Quota(prefixed("exceeded quota: ", message)))
    }

    /// The next pod is not what the namespace's pod security lets in: `privileged (…)`, or the
    /// whole `violates PodSecurity …`.
    pub fn pod_security(message: &str) -> Self {
        let prefix = "violates PodSecurity \"restricted:latest\": ";
        let whole = message.starts_with("violates PodSecurity");
        Self::once(Kind::PodSecurity(prefixed(if whole { "" } else { prefix }, message)))
    }

    /// The next create or delete meets somebody else's change: 409 that is worth another try.
    pub fn conflict() -> Self {
        Self::once(Kind::Conflict)
    }

    /// A watch, the running one if there is one, gets the event that its revision is too old.
    pub fn watch_gone() -> Self {
        Self::once(Kind::WatchGone)
    }

    /// The next watch is refused because its revision is too old.
    pub fn watch_gone_http() -> Self {
        Self::once(Kind::WatchGoneHttp)
    }

    /// A watch, the running one if there is one, ends as one does whose time is over.
    pub fn watch_ends() -> Self {
        Self::once(Kind::WatchEnds)
    }

    /// The connection of the next exec ends after that many bytes of output, without a word; what
    /// it runs goes on.
    pub fn cut_exec(after_bytes: u64) -> Self {
        Self::once(Kind::CutExec(after_bytes))
    }

    /// The next request of this method (`*`: any) whose path with its query has `path_part` in it
    /// is answered with this status.
    pub fn status(method: &str, path_part: &str, code: u16) -> Self {
        let (method, part) = (method.to_uppercase(), path_part.to_owned());
        Self::once(Kind::Status { method, part, code })
    }

    /// The connection of such a request ends before the cluster does anything.
    pub fn drop_connection(method: &str, path_part: &str) -> Self {
        let (method, part) = (method.to_uppercase(), path_part.to_owned());
        Self::once(Kind::HangUp { method, part, after: false })
    }

    /// The cluster does what such a request asks, and its connection ends before the answer.
    pub fn drop_after_success(method: &str, path_part: &str) -> Self {
        let (method, part) = (method.to_uppercase(), path_part.to_owned());
        Self::once(Kind::HangUp { method, part, after: true })
    }

    /// That many times in a row.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }
}

fn prefixed(prefix: &str, message: &str) -> String {
    if message.starts_with(prefix) { message.to_owned() } else { format!("{prefix}{message}") }
}

/// The first fault that fits, used up by one.
pub(crate) fn take(faults: &mut Vec<Fault>, fits: impl Fn(&Kind) -> bool) -> Option<Kind> {
    faults.retain(|fault| fault.left != Some(0));
    let fault = faults.iter_mut().find(|fault| fits(&fault.kind))?;
    fault.left = fault.left.map(|left| left - 1);
    Some(fault.kind.clone())
}

/// Whether there is one that fits, which stays as it is.
pub(crate) fn any(faults: &[Fault], fits: impl Fn(&Kind) -> bool) -> bool {
    faults.iter().any(|fault| fault.left != Some(0) && fits(&fault.kind))
}

/// Whether a fault for requests is for this one.
pub(crate) fn befalls(wanted: &str, part: &str, method: &str, path_and_query: &str) -> bool {
    (wanted == "*" || wanted == method) && path_and_query.contains(part)
}
