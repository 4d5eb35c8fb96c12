# Commits what was left uncommitted, and tells where the work stands.
# $1: message; $2: commit the work started from; $3: branch it was started on
set -eu
# A git that was killed leaves its locks behind.
rm -f "$GIT_DIR/index.lock" "$GIT_DIR/HEAD.lock"
left=0
unmerged=0
if [ -f "$GIT_DIR/MERGE_HEAD" ] || [ "$(git status --porcelain 2>&1 | head -c 1)" != "" ]; then
    unmerged=$(git ls-files --unmerged | cut -f 2 | sort -u | wc -l)
    if ! said=$(git add --all --ignore-errors 2>&1); then
        # A repository inside that was made and never committed to keeps its files from being added.
        printf '%s\n' "$said" |
            sed -n "s|^error: '\(.*\)/' does not have a commit checked out$|\1|p" |
            while read -r inner; do rm -rf "$inner/.git"; done
        if ! git add --all --ignore-errors 2>/dev/null; then
            # The index may be broken: it is made anew from what is committed.
            rm -f "$GIT_DIR/index"
            git reset --quiet
            said=$(git add --all --ignore-errors 2>&1) ||
                echo "unadded $(printf '%s\n' "$said" | tail -n 1)"
        fi
    fi
    if ! git diff --cached --quiet --no-ext-diff || [ -f "$GIT_DIR/MERGE_HEAD" ]; then
        # Counted up to a point: a few objects can stand for billions of files.
        left=$(git diff --cached --name-only -z --no-ext-diff | head -c 67108864 |
            tr -cd '\000' | wc -c)
        git diff --cached --raw -z --no-renames --no-ext-diff | head -c 67108864 |
            tr '\n\000' ' \n' | awk '/^:[0-7]* 160000 /{getline; print "embedded " $0}'
        git commit --quiet --no-verify --message "$1"
    fi
fi
head=$(git rev-parse --verify HEAD)
# How many commits only the start has, and how many only the work.
counts=$(git rev-list --count --left-right "$2...$head" 2>/dev/null || echo "1 0")
if [ "${counts%%[!0-9]*}" != 0 ]; then
    # The agent went somewhere else, or rewrote what it had started from. Its files are kept, on top
    # of the last commit that is built on the start: they are what the gate will look at.
    echo "strayed $head"
    onto=$(git rev-parse --verify --quiet "refs/heads/$3" || echo "$2")
    git merge-base --is-ancestor "$2" "$onto" || onto=$2
    if [ "$(git rev-parse "$head^{tree}")" = "$(git rev-parse "$onto^{tree}")" ]; then
        head=$onto
    else
        head=$(git log -1 --format=%B "$head" | git commit-tree "$head^{tree}" -p "$onto")
    fi
    counts="0 $(git rev-list --count "$2..$head")"
fi
# Branches that this worktree has been on, with work that is not in its last commit.
beside=$(git for-each-ref --contains "$2" --no-merged "$head" \
    --format='%(objectname) %(refname:lstrip=2)' refs/heads/ |
    while read -r tip name; do
        if grep -q " $tip " "$GIT_DIR/logs/HEAD" 2>/dev/null; then echo "$tip $name"; fi
    done)
case $(printf %s "$beside" | grep -c .):${counts##*[!0-9]} in
1:0)
    # All the work is there: the agent has only gone back.
    head=${beside%% *}
    counts="0 $(git rev-list --count "$2..$head")"
    ;;
0:*) ;;
*) printf '%s\n' "$beside" | sed 's/^[^ ]*/beside/' ;;
esac
echo "left $((left))"
echo "unmerged $((unmerged))"
echo "commits ${counts##*[!0-9]}"
echo "head $head"
