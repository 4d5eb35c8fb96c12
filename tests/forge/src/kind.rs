/// Which service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GitHub, with the paths of an Enterprise Server.
    GitHub,
    /// Forgejo.
    Forgejo,
    /// Gitea: held to Forgejo's contract, with its own gaps.
    Gitea,
}

impl Kind {
    /// Where the API is below the server's address.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::GitHub => "/api/v3",
            Self::Forgejo | Self::Gitea => "/api/v1",
        }
    }

    /// As the service writes its name.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::Forgejo => "Forgejo",
            Self::Gitea => "Gitea",
        }
    }

    /// What git is told whose token is unknown.
    pub(crate) fn wrong_password(self) -> &'static str {
        match self {
            Self::GitHub => {
                "Invalid username or token. Password authentication is not supported for Git \
                 operations."
            }
            Self::Forgejo | Self::Gitea => "Unauthorized",
        }
    }

    /// What git is told whose token may only read.
    pub(crate) fn no_push(self) -> &'static str {
        match self {
            Self::GitHub => "Write access to repository not granted.",
            Self::Forgejo | Self::Gitea => "User permission denied for writing.",
        }
    }

    /// What the API says of a repository or pull request that is not there.
    pub(crate) fn not_found(self) -> &'static str {
        match self {
            Self::GitHub => "Not Found",
            Self::Forgejo | Self::Gitea => "The target couldn't be found.",
        }
    }

    /// What the API says to a token that it does not know.
    pub(crate) fn bad_token(self) -> &'static str {
        match self {
            Self::GitHub => "Bad credentials",
            Self::Forgejo | Self::Gitea => "invalid username, password or token",
        }
    }

    /// What the API says to a caller without a token, where there has to be one.
    pub(crate) fn no_token(self) -> &'static str {
        match self {
            Self::GitHub => "Requires authentication",
            Self::Forgejo | Self::Gitea => "token is required",
        }
    }
}
