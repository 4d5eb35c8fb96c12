# Merges commits into the worktree it runs in. Ends with 9 and the files where they do not fit.
# $1: message; $2…: commits
set -eu
message=$1
shift
if git merge --quiet --no-edit --no-verify -m "$message" "$@" >&2; then
    echo "merged $(git rev-parse --verify HEAD)"
    exit 0
fi
unmerged | stand > "$conflicts"
sed 's/^[^ ]*/conflict/' "$conflicts"
# An octopus gives up without a trace: the first two that do not fit are looked for.
if [ $# -gt 1 ] && ! [ -s "$conflicts" ]; then
    git reset --quiet --hard
    for a in HEAD "$@"; do
        for b in "$@"; do
            [ "$a" = "$b" ] || git merge-tree --write-tree --name-only --no-messages -z "$a" "$b" 2>/dev/null |
                tr '\n\000' ' \n' | sed -e 1d -e '/^$/d' -e 's/^/conflict /'
        done
    done | sort -u
fi
exit 9
