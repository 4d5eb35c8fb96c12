# Sends a signal to all processes that were started with a mark, until none is left.
# $1: signal; $2: the mark, NAME=VALUE
n=0
while :; do
    found=
    for environ in $(grep -la -e "$2" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        # What is dead and not buried yet has no environment.
        if kill "-$1" "$pid" 2>/dev/null; then found=yes; fi
    done
    [ "$1" = KILL ] && [ -n "$found" ] || exit 0
    n=$((n + 1))
    [ $n -lt 40 ] || exit 1
    [ $n -lt 5 ] || sleep 0.05 2>/dev/null || sleep 1
done
