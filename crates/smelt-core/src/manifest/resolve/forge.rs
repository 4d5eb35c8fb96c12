use super::Surroundings;
use crate::delivery::check_template;
use crate::document::{Located, Problem};
use crate::manifest::document::ForgeTable;
use crate::manifest::is_loopback;
use crate::manifest::model::{Forge, ForgeProvider, ForgeTarget};

pub(super) fn resolve(
    table: Located<ForgeTable>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Forge> {
    let span = table.span();
    let table = table.into_inner();
    let provider = *table.provider?;
    for url in table.api_url.iter().chain(&table.git_url) {
        if let Err(message) = check_url(url) {
            let problem = Problem::error(url.span(), message)
                .help("write `https://HOST/…`; `http://` only reaches this machine itself");
            problems.push(problem.confidential());
        }
    }
    for template in table.title.iter().chain(&table.body) {
        if let Err(error) = check_template(template) {
            let message = format!("this template can't be used: {error}");
            let help = "docs/delivery.md lists what `{{ … }}` can name";
            problems.push(Problem::error(template.span(), message).help(help));
        }
    }
    let target = match provider {
        ForgeProvider::Local => ForgeTarget::Local,
        ForgeProvider::Github | ForgeProvider::Forgejo | ForgeProvider::Gitea => {
            let mut need = |there: bool, key: &str, example: &str| {
                if !there && !around.was_left_out(&[&format!("forge.{key}")]) {
                    problems.push(
                        Problem::error(span.clone(), format!("`[forge]` needs `{key}`"))
                            .help(format!("add `{key} = \"{example}\"`")),
                    );
                }
            };
            need(table.repo.is_some(), "repo", "owner/name");
            need(table.token_env.is_some(), "token_env", "GITHUB_TOKEN");
            if provider != ForgeProvider::Github {
                need(table.api_url.is_some(), "api_url", "https://HOST/api/v1");
            }
            ForgeTarget::Hosted {
                provider,
                repo: table.repo?.into_inner(),
                token: table.token_env?.into_inner(),
                api_url: table.api_url.map(Located::into_inner),
                git_url: table.git_url.map(Located::into_inner),
            }
        }
    };
    let texts = |list: Vec<Located<String>>| list.into_iter().map(Located::into_inner).collect();
    Some(Forge {
        target,
        base: table.base.map(Located::into_inner),
        draft: table.draft.as_deref().copied().unwrap_or(false),
        labels: texts(table.labels),
        reviewers: texts(table.reviewers),
        assignees: texts(table.assignees),
        title: table.title.map(Located::into_inner),
        body: table.body.map(Located::into_inner),
        on_gates_failed: table.on_gates_failed.as_deref().copied().unwrap_or_default(),
    })
}

fn check_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").ok_or("this is not a URL")?;
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("this is not a URL".into());
    }
    if authority.contains('@') {
        return Err("a forge's URL must not hold a user or password: name the token's secret in \
                    `token_env`"
            .into());
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(authority) => Ok(()),
        _ => Err("a token must not travel unencrypted".into()),
    }
}
