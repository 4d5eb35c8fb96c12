//! Where pull requests live, behind smelt-core's `Forge` port: GitHub (also Enterprise Server),
//! Forgejo, Gitea, and files of this machine.
//!
//! [`ForgeClients`] makes them; register it for every provider.
//!
//! - **One attempt a call.** Nothing here tries again, and no redirect is followed: the caller
//!   looks before it opens a pull request a second time.
//! - **The token** travels in the `Authorization` header, marked as sensitive, to the manifest's
//!   host and nowhere else: it is in no URL, error, debug output or trace.
//! - **What a forge says** in its messages, titles and names is freed of control characters and
//!   shortened. The body of a pull request is given as it is there.
//! - **TLS** is rustls with the machine's own certificates (`SSL_CERT_FILE` too), so that a company's
//!   authority is known. Whoever uses this crate installs rustls's crypto provider first:
//!   `rustls::crypto::ring::default_provider().install_default()`.
//! - **Proxies** (`HTTPS_PROXY`, `NO_PROXY`) are honoured by all clients, for `https://` only.
//!   Plain `http://` is for loopback, and never goes by a proxy.

mod address;
mod api;
mod checks;
mod connect;
mod extras;
mod forgejo;
mod github;
mod local;
mod remote;
mod reviews;
mod said;
mod transport;
mod verdict;
mod waiting;

pub use connect::ForgeClients;
