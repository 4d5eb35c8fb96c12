# The files of a merge that has stopped, one a line.
unmerged() { git ls-files --unmerged -z | tr '\n\000' '?\n' | cut -f 2- | sort -u; }

# How files stand, "hash path" a line; standard input: paths.
stand() {
    while IFS= read -r path; do
        if [ -L "$path" ]; then
            hash=$(readlink "$path" | git hash-object --stdin)
        elif [ -f "$path" ]; then
            hash=$(git hash-object --no-filters -- "$path")
        else
            hash=gone
        fi
        printf '%s %s\n' "$hash" "$path"
    done | sort
}

conflicts=$GIT_DIR/smelt-conflicts
