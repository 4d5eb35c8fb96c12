# Copies what setup made in the folder it runs in, such as installed dependencies, ignored or not,
# where there is nothing yet.
# $1: the worktree to copy to
copy_set_up() {
    git ls-files --others --directory -z | tr '\n\000' '?\n' | while IFS= read -r path; do
        path=${path%/}
        case $path in */*) mkdir -p "$1/${path%/*}" ;; esac
        if [ -e "$path" ] && [ ! -e "$1/$path" ]; then cp -a "$path" "$1/$path"; fi
    done
}
