# Concludes a merge whose conflicts an agent was to resolve. Ends with 9 where it did not.
# $1: commit before the merge; $2…: commits merged
set -eu
before=$1
shift
rm -f "$GIT_DIR/index.lock"
files=$(mktemp)
trap 'rm -f "$files"' EXIT
git ls-files --unmerged -z | tr '\n\000' ' \n' | cut -f 2 | sort -u > "$files"
git add --all
left=$(tr '\n' '\000' < "$files" | xargs -0 -r grep -lE '^(<<<<<<<|>>>>>>>)( |$)' -- 2>/dev/null || true)
if [ -n "$left" ]; then
    printf '%s\n' "$left" | sed 's/^/conflict /'
    exit 9
fi
if [ -f "$GIT_DIR/MERGE_HEAD" ]; then
    git commit --quiet --no-verify --no-edit
elif ! git diff --cached --quiet --no-ext-diff; then
    git commit --quiet --no-verify --message "Resolve a merge conflict"
fi
for commit in "$before" "$@"; do
    git merge-base --is-ancestor "$commit" HEAD || exit 9
done
echo "merged $(git rev-parse --verify HEAD)"
