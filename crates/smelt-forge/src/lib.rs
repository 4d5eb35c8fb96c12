//! Where pull requests live: GitHub (also Enterprise Server), Forgejo and Gitea, behind ports of
//! smelt-core.
//!
//! There is no forge here yet. Manifests with `[forge]` are read and checked by smelt-core; to run
//! one says that delivery is not there.
