# Writes commits as a bundle to standard output.
# $1: commit that the bundle need not hold; standard input: "commit ref" a line
set -eu
base=$1
set --
while read -r commit name; do
    mkdir -p "$GIT_DIR/${name%/*}"
    echo "$commit" > "$GIT_DIR/$name"
    set -- "$@" "$name"
done
# Bitmaps of the borrowed packs would leave out objects that only older history holds.
exec git -c pack.useBitmaps=false bundle create --quiet - "^$base" "$@"
