//! Which object a path is about.

/// A kind of objects that the cluster keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Pods,
    NetworkPolicies,
    Events,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    /// `None`: those of all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) sub: Option<String>,
}

impl Resource {
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::NetworkPolicies => "networkpolicies",
            Self::Events => "events",
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::NetworkPolicies => "NetworkPolicy",
            Self::Events => "Event",
        }
    }

    /// Empty for the core group.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::NetworkPolicies => "networking.k8s.io",
            Self::Pods | Self::Events => "",
        }
    }

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::NetworkPolicies => "networking.k8s.io/v1",
            Self::Pods | Self::Events => "v1",
        }
    }

    /// As messages name it: `networkpolicies.networking.k8s.io`.
    pub(crate) fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }
}

impl Target {
    /// `None` for a path that is no object's.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (core, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => (true, rest),
            ["apis", "networking.k8s.io", "v1", rest @ ..] => (false, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        let resource = match (core, *plural) {
            (true, "pods") => Resource::Pods,
            (true, "events") => Resource::Events,
            (false, "networkpolicies") => Resource::NetworkPolicies,
            _ => return None,
        };
        let (name, sub) = match rest {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            [name, sub] => (Some((*name).to_owned()), Some((*sub).to_owned())),
            _ => return None,
        };
        (name.is_none() || namespace.is_some()).then_some(Self { resource, namespace, name, sub })
    }

    /// `pods/exec`, as rights are given.
    pub(crate) fn right(&self) -> String {
        match &self.sub {
            Some(sub) => format!("{}/{sub}", self.resource.plural()),
            None => self.resource.plural().to_owned(),
        }
    }
}
