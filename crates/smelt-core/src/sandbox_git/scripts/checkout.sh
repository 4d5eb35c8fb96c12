# Checks the start of a branch out in the workspace itself.
# $1: branch to make, or "" for the one that is there; $2: commit to start from
set -eu
if [ -n "$1" ]; then
    git checkout --quiet --force --no-track -B "$1" "$2"
else
    git checkout --quiet --force
fi
