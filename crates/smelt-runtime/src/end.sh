# Sends a signal to all processes that were started with a mark, and to all of their sessions, until
# none is left.
# $1: signal; $2: the mark, NAME=VALUE
signal=$1
mark=$2
sessions=" "
found=
end() { # pid; each is told once a round
    case $told in *" $1 "*) return ;; esac
    told="$told$1 "
    if kill "-$signal" "$1" 2>/dev/null; then found=yes; fi
}
session_of() { # what stands in /proc/<pid>/stat behind the name: state, parent, group, session
    session=$4
}
n=0
while :; do
    found=
    told=" "
    # What is dead and not buried yet has no environment.
    for environ in $(grep -la -e "$mark" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        { read -r stat < "/proc/$pid/stat"; } 2>/dev/null || continue
        session_of ${stat##*) }
        case $sessions in *" $session "*) ;; *) sessions="$sessions$session " ;; esac
        end "$pid"
    done
    # What has taken the mark out of its environment is in a session with what has it.
    for file in /proc/[0-9]*/stat; do
        { read -r stat < "$file"; } 2>/dev/null || continue
        session_of ${stat##*) }
        case $sessions in *" $session "*) ;; *) continue ;; esac
        case $stat in *") Z "*) continue ;; esac
        pid=${file#/proc/}
        end "${pid%/stat}"
    done
    [ "$signal" = KILL ] && [ -n "$found" ] || exit 0
    n=$((n + 1))
    [ $n -lt 40 ] || exit 1
    [ $n -lt 5 ] || sleep 0.05 2>/dev/null || sleep 1
done
