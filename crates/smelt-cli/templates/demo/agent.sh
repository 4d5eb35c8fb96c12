#!/bin/sh
# Plays an agent: reads its task on standard input, works, says what it does, commits.
set -eu
task=$(cat)
echo "My task: $task"
case $SMELT_SESSION in
manners)
    sleep 0.3
    echo "I give greet.sh a default name."
    sed 's/\$1/${1:-World}/' greet.sh > greet.new && cat greet.new > greet.sh && rm greet.new
    git commit --quiet --all --message "Greet the world when nobody is named"
    ;;
manual)
    sleep 0.2
    echo "I write the manual, and leave it for Smelt to commit."
    printf '# greet\n\n    greet.sh [NAME]\n\nGreets NAME, or the world.\n' > MANUAL.md
    ;;
changelog)
    echo "I see the work of both: $(git log --oneline | wc -l) commits so far."
    printf '# Changes\n\n- Better manners: greets the world.\n- A manual.\n' > CHANGELOG.md
    git add CHANGELOG.md
    git commit --quiet --message "Start a changelog"
    ;;
esac
echo "Done."
