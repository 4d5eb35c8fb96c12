//! One call of the API as the service sees it, and what it answers.

use crate::Kind;
use crate::access::Access;
use crate::contract::{Contract, Operation};
use serde_json::{Value, json};

/// A call that the contract knows.
pub(crate) struct Call<'a> {
    pub(crate) kind: Kind,
    pub(crate) contract: &'static Contract,
    pub(crate) operation: &'a Operation<'static>,
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: Value,
    pub(crate) access: Access,
    /// `http://127.0.0.1:PORT`
    pub(crate) origin: &'a str,
    /// The path that was asked for, for links to other pages of it.
    pub(crate) path: &'a str,
}

impl Call<'_> {
    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A text in the body.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }

    /// The texts of a list in the body.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.body[name].as_array().into_iter().flatten();
        items
            .filter_map(|item| item.as_str().or(item["name"].as_str()))
            .map(str::to_owned)
            .collect()
    }

    /// The number of the pull request that the path names.
    pub(crate) fn number(&self) -> u64 {
        ["pull_number", "issue_number", "index"]
            .iter()
            .find_map(|name| self.operation.parameter(name).parse().ok())
            .unwrap_or(0)
    }

    /// A complete object of the contract with these fields.
    pub(crate) fn complete(&self, definition: &str, fields: Value) -> Value {
        self.contract.complete(definition, fields)
    }

    /// The page of `items` that was asked for, and a `Link` to the others.
    pub(crate) fn paged<T>(&self, items: Vec<T>) -> (Vec<T>, Option<String>) {
        let (size_name, most) = match self.kind {
            Kind::GitHub => ("per_page", 100),
            Kind::Forgejo | Kind::Gitea => ("limit", 50),
        };
        let number = |name: &str| self.query(name).and_then(|text| text.parse::<usize>().ok());
        let size = number(size_name).filter(|size| *size > 0).unwrap_or(30).min(most);
        let page = number("page").filter(|page| *page > 0).unwrap_or(1);
        let last = items.len().div_ceil(size).max(1);
        let link = |page: usize, name: &str| {
            let kept = self.query.iter().filter(|(name, _)| name != "page" && name != size_name);
            let kept: String = kept.map(|(name, value)| format!("{name}={value}&")).collect();
            let place =
                format!("{}{}?{kept}{size_name}={size}&page={page}", self.origin, self.path);
            format!("<{place}>; rel=\"{name}\"")
        };
        let mut links = Vec::new();
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        if page > 1 {
            links.extend([link(1, "first"), link(page - 1, "prev")]);
        }
        let shown = items.into_iter().skip((page - 1) * size).take(size).collect();
        (shown, (!links.is_empty()).then(|| links.join(", ")))
    }

    /// A list's page as the service answers it.
    pub(crate) fn list(&self, items: Vec<Value>) -> Reply {
        let total = items.len();
        let (shown, link) = self.paged(items);
        let mut reply = Reply::json(200, Value::Array(shown));
        if self.kind != Kind::GitHub {
            reply = reply.header("x-total-count", &total.to_string());
        }
        match link {
            Some(link) => reply.header("link", &link),
            None => reply,
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body where it is JSON, to be checked.
    pub(crate) json: Option<Value>,
}

impl Reply {
    /// Of JSON.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        let mut reply = Self::bytes(status, body.to_string().into_bytes());
        reply.json = Some(body);
        reply.header("content-type", "application/json; charset=utf-8")
    }

    /// Of plain text.
    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self::bytes(status, text.as_bytes().to_vec()).header("content-type", "text/plain")
    }

    /// Of anything.
    pub(crate) fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body, json: None }
    }

    /// With a header more.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_lowercase(), value.to_owned()));
        self
    }

    /// An error in the shape that the service gives it.
    pub(crate) fn error(kind: Kind, origin: &str, status: u16, message: &str) -> Self {
        let body = match (kind, status) {
            (Kind::GitHub, 422) => {
                json!({ "message": message, "documentation_url": DOCUMENTATION })
            }
            (Kind::GitHub, _) => json!({ "message": message, "documentation_url": DOCUMENTATION,
                "status": status.to_string() }),
            (_, 404) => json!({ "errors": null, "message": message,
                "url": format!("{origin}/api/swagger") }),
            _ => json!({ "message": message, "url": format!("{origin}/api/swagger") }),
        };
        Self::json(status, body)
    }
}

/// Where GitHub's errors send their readers.
pub(crate) const DOCUMENTATION: &str = "https://docs.github.com/rest";
