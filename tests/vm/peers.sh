# shellcheck shell=bash
# Sourced in the guest: tilld beside services that people run on such machines, each under the unit that Debian gives it.

# of UNIT FIELD: a field of the unit
of() { systemctl show -P "$2" "$1"; }

# pids UNIT: its processes
pids() { cat "/sys/fs/cgroup$(of "$1" ControlGroup)/cgroup.procs" 2>/dev/null; }

# memory UNIT FIELD: a field of smaps_rollup of all its processes, KiB
memory() {
    local pid sum=0 field
    for pid in $(pids "$1"); do
        field=$(sed -n "s/^$2: *\([0-9]*\) kB/\1/p" "/proc/$pid/smaps_rollup" 2>/dev/null)
        sum=$((sum + ${field:-0}))
    done
    echo "$sum"
}

# switches UNIT: how often its threads went to sleep by themselves
switches() {
    local pid file sum=0 count
    for pid in $(pids "$1"); do
        for file in /proc/"$pid"/task/*/status; do
            count=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "$file" 2>/dev/null)
            sum=$((sum + ${count:-0}))
        done
    done
    echo "$sum"
}

# row UNIT PACKAGE: started, left alone, looked at
row() {
    local unit=$1 package=$2 from to seconds=60 before after score size
    systemctl unmask "$unit" >/dev/null 2>&1 || true
    systemctl reset-failed "$unit" 2>/dev/null || true
    systemctl restart "$unit" || { echo "     $package: does not start here" && return; }
    from=$(of "$unit" InactiveExitTimestampMonotonic) to=$(of "$unit" ActiveEnterTimestampMonotonic)
    sleep 20
    before=$(switches "$unit")
    sleep "$seconds"
    after=$(switches "$unit")
    score=$(systemd-analyze security --no-pager "$unit" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
    size=$(dpkg-query -W -f '${Installed-Size}' "$package")
    printf '     | %s | %d | %d | %d | %d | %d | %d.%02d | %s |\n' "$package" "$size" $(((to - from) / 1000)) \
        "$(pids "$unit" | wc -l)" "$(memory "$unit" Rss)" "$(memory "$unit" Pss)" \
        $(((after - before) / seconds)) $(((after - before) * 100 / seconds % 100)) "$score"
    last_switches=$((after - before)) last_seconds=$seconds
    [ "$unit" = tilld.service ] || systemctl stop "$unit" 2>/dev/null || true
}

peers() {
    systemctl unmask pcscd.socket cups.socket cups.path >/dev/null 2>&1 || true
    echo '     | package | installed, KiB | start to ready, ms | processes | RSS, KiB | PSS, KiB | wake-ups a second | exposure |'
    echo '     |---|---|---|---|---|---|---|---|'
    row tilld.service tilld
    if [ "$last_switches" -ge $((2 * last_seconds)) ]; then
        bad peers "tilld wakes up twice a second or more often"
    fi
    row pcscd.service pcscd
    row ModemManager.service modemmanager
    row cups.service cups-daemon
    row fwupd.service fwupd
}
