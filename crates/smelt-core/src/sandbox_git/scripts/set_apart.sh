# Keeps what setup commands left from ever being committed: tracked files are put back, others are
# listed in the clone's own exclude file. Files are listed one by one, so that what an agent adds
# beside them counts; where there are thousands, their folders are.
set -eu
git reset --quiet --hard
mkdir -p "$GIT_DIR/info"
left() { git ls-files --others --exclude-standard "$@" -z | tr '\n\000' '?\n'; }
if [ "$(left | head -n 2001 | wc -l)" -gt 2000 ]; then set -- --directory; fi
left "$@" | sed -e 's/[][\\*?]/\\&/g' -e 's|^|/|' >> "$GIT_DIR/info/exclude"
