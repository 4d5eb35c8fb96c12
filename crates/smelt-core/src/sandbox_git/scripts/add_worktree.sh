# Makes a worktree, its branch starting at a commit.
# $1: folder; $2: branch to make, or "" for none; $3: commit; $4: "" where no setup has run
set -eu
if [ -n "$2" ]; then
    git worktree add --quiet --no-track -B "$2" "$1" "$3"
else
    git worktree add --quiet --detach "$1" "$3"
fi
[ -n "$4" ] || exit 0
copy_set_up "$1"
