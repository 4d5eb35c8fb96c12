#!/bin/sh
# Plays an agent: its task is on standard input and in $SMELT_SPEC_FILE, its place to work is the
# current folder. What it leaves uncommitted Smelt commits.
set -eu
echo "My task: $(cat)"
git ls-files | LC_ALL=C sort > CONTENTS.md
echo "CONTENTS.md has $(wc -l < CONTENTS.md) lines."
