# Makes the worktree it runs in fit for `assay run`, and the clone for the worktrees of Assay's own.
# $1: hook for those
set -eu
# A set-up of Assay that the repository tracks gives way here, and here only: Smelt's own is put in
# its place, and git is told not to look.
git ls-files -z -- .assay | git update-index -z --skip-worktree --stdin
rm -rf .assay
hooks=$(git rev-parse --git-common-dir)/hooks
mkdir -p "$hooks"
printf '%s' "$1" > "$hooks/post-checkout"
chmod 755 "$hooks/post-checkout"
