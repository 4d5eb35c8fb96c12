# Concludes a merge whose conflicts an agent was to resolve. Ends with 9 where it did not.
# $1: commit before the merge; $2…: commits merged
set -eu
before=$1
shift
rm -f "$GIT_DIR/index.lock"
[ -f "$conflicts" ] || : > "$conflicts"
left=$(
    # Nobody has decided about a file that is still unmerged and as the merge has left it,
    unmerged | stand | comm -12 - "$conflicts" | cut -d ' ' -f 2-
    # nor about one with the marks of a conflict in it, be it committed.
    cut -d ' ' -f 2- "$conflicts" | while IFS= read -r path; do
        if [ -f "$path" ] && [ ! -L "$path" ] && grep -qE '^(<<<<<<<|>>>>>>>)( |$)' -- "$path"; then
            printf '%s\n' "$path"
        fi
    done
)
if [ -n "$left" ]; then
    printf '%s\n' "$left" | sort -u | sed 's/^/conflict /'
    exit 9
fi
git add --all
if [ -f "$GIT_DIR/MERGE_HEAD" ]; then
    git commit --quiet --no-verify --no-edit
elif ! git diff --cached --quiet --no-ext-diff; then
    git commit --quiet --no-verify --message "Resolve a merge conflict"
fi
for commit in "$before" "$@"; do
    git merge-base --is-ancestor "$commit" HEAD || exit 9
done
echo "merged $(git rev-parse --verify HEAD)"
