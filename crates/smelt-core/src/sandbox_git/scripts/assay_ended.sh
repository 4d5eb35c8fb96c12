# Tells what Assay has left of a session.
# $1: its worktree; $2: its branch; $3: what the gate's script has recorded, without its endings
set -eu
if [ -e "$1/.git" ]; then echo "worktree there"; fi
if git rev-parse --verify --quiet "refs/heads/$2" >/dev/null; then echo "branch there"; fi
if [ -f "$3.commit" ]; then head -c 65536 "$3.commit"; fi
if [ -f "$3.exit" ]; then echo "gate $(head -n 1 "$3.exit" | head -c 40)"; fi
