//! Where issues live: GitHub Issues, Linear, Forgejo and Gitea, behind ports of smelt-core.
//!
//! There is no tracker here yet. `[tracker]` of a server's configuration is read and checked by
//! smelt-server.
