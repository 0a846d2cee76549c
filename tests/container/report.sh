# shellcheck shell=bash
# Sourced: lines of a result. `inside COMMAND…` runs it on the machine where the packages are installed.

failed=0
# ok NAME TEXT, bad NAME TEXT: a line of the result
ok() {
    printf 'ok   %-12s %s\n' "$1" "$2"
}
bad() {
    printf 'FAIL %-12s %s\n' "$1" "$2"
    failed=$((failed + 1))
}
# expect NAME TEXT COMMAND…: the command must end well; what it says is kept in $said
expect() {
    local name=$1 text=$2
    shift 2
    if said=$(inside "$@" 2>&1); then ok "$name" "$text"; else bad "$name" "$text: $said"; fi
}
# refuse NAME TEXT STATUS COMMAND…: it must end with that status
refuse() {
    local name=$1 text=$2 want=$3 status=0
    shift 3
    said=$(inside "$@" 2>&1) || status=$?
    if [ "$status" -eq "$want" ]; then ok "$name" "$text"; else bad "$name" "$text: ended with $status: $said"; fi
}
