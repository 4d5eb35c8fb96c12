# Runs in each worktree that Assay makes, as the hook `post-checkout`.
case $1 in *[!0]*) exit 0 ;; esac # a commit was checked out before: it is not new
case $PWD in */smelt-worktrees/*) ;; *) exit 0 ;; esac
# Assay writes the agent's settings to these, over what the repository may track there.
git ls-files -z -- .mcp.json .claude/settings.json | git update-index -z --skip-worktree --stdin
worktree=$PWD
cd "$(git rev-parse --git-common-dir)/.." && copy_set_up "$worktree"
