# What Assay runs as the criterion of a session, in the session's worktree.
#
# What the agent left is committed first, so that nothing the gate changes is part of the work. Then
# the gate runs as Smelt itself would run it; what it says and how it ended is kept for Smelt.
# $1: the session; $2: the commit it started from; $3: the file that holds its task
here=${0%/*}
record=$here/gates/$1
export SMELT_SESSION="$1" SMELT_SPEC_FILE="$3"
exec < /dev/null
if [ ! -e "$record.commit" ]; then
    sh "$here/commit.sh" "$1: what the agent left uncommitted" "$2" "assay/$1" > "$record.part" &&
        mv "$record.part" "$record.commit"
fi
started=$(date +%s)
sh -c "$(cat "$record.harness")" > "$record.log" 2>&1
code=$?
echo "$code $(($(date +%s) - started))" > "$record.exit"
cat "$record.log"
exit "$code"
