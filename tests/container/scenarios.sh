# shellcheck shell=bash disable=SC2154
# Sourced by run: what an integrator does, in this order. Later scenarios stand on earlier ones.

package() { printf '/debs/%s\n' "$(basename "$(find "$debs" -name "$1_*_$arch.deb" | sort -V | tail -n 1)")"; }

# What docs/install.md says, word by word, by a user who may use sudo, on a machine that never had a till.
documented() {
    local n=0 lang line doc=$run/doc public secret
    mkdir "$doc"
    awk -v doc="$doc" '/^```/ { if (f) { close(f); f = "" } else { f = sprintf("%s/%02d.%s", doc, ++n, substr($0, 4)) } next } f { print > f }' \
        "$workspace/docs/install.md"
    secret=$(openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null)
    public=$(openssl pkey -pubout <<<"$secret" | sed '/^-/d' | tr -d '\n')
    inside useradd --create-home --shell /bin/bash --groups sudo integrator
    inside bash -c 'echo "%sudo ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/all; cp "$@" /home/integrator/' bash \
        "$(package tilld)" "$(package tillctl)"
    inside runuser -u integrator -- tee /home/integrator/alipay-private-key.pem <<<"$secret" >/dev/null
    for block in "$doc"/*; do
        n=$((n + 1)) lang=${block##*.}
        # What an integrator puts in the place of dots: Alipay's key, a vendor's.
        sed -i "s|MII…|$public|; s|RW…|$({ printf Ed; head -c 40 /dev/zero; } | base64 --wrap=0)|" "$block"
        case $lang in
        sh) while read -r line; do documented_line "$line"; done <"$block" ;;
        ini) inside bash -c 'mkdir -p /etc/systemd/system/tilld.service.d; cat >/etc/systemd/system/tilld.service.d/override.conf; systemctl daemon-reload' <"$block" ;;
        toml)
            inside tee "/etc/tilld/tilld.toml.d/$n.toml" <"$block" >/dev/null
            inside systemctl reset-failed tilld
            documented_line "sudo tilld --check-config && sudo systemctl restart tilld"
            if grep -q '^trust' "$block"; then
                expect documented "a rule that no shipped plugin keeps: none is loaded" bash -c 'tillctl plugins | grep -q refused'
                inside rm "/etc/tilld/tilld.toml.d/$n.toml"
                documented_line "sudo tilld --check-config && sudo systemctl restart tilld"
            fi
            ;;
        esac
    done
    expect documented "the channel has its key" bash -c 'timeout 30 bash -c "until tillctl channels --json >/run/channels && grep -q alipay /run/channels; do sleep 0.2; done" &&
        cat /run/channels && ! grep -qiE "secret|refused|settings" /run/channels'
    expect documented "and the key stands nowhere else" bash -c '[ ! -e /home/integrator/alipay-private-key.pem ] && ! runuser -u nobody -- ls /run/credentials/tilld.service'
    documented_line "sudo apt purge -y tilld tillctl"
    inside bash -c 'rm -rf /etc/systemd/system/tilld.service.d; systemctl daemon-reload; userdel --remove integrator 2>/dev/null'
}

documented_line() {
    expect documented "$1" runuser --login integrator --command "export DEBIAN_FRONTEND=noninteractive; $1" </dev/null
}

installed() {
    expect installed "dpkg takes the packages" env DEBIAN_FRONTEND=noninteractive dpkg --install --force-unsafe-io \
        "$(package tilld)" "$(package tillctl)" "$(package till-simulators)" "$(package till-plugin-dev)"
    expect installed "tilld is READY under its unit" systemctl is-active tilld
    expect installed "it runs as its own user" bash -c '[ "$(stat -c %U /proc/$(systemctl show -P MainPID tilld))" = tilld ]'
    expect installed "the unit has no mistakes" systemd-analyze verify /usr/lib/systemd/system/tilld.service
    expect installed "its state is closed to others" bash -c '[ "$(stat -c %U:%a /var/lib/tilld)" = tilld:700 ]'
    expect installed "every plugin is found whole" bash -c 'tillctl plugins --json >/run/plugins && ! grep -qE "refused|quarantined" /run/plugins'
    expect installed "the configuration is right" tilld --check-config
}

locked() {
    expect locked "systemd-analyze security says 1.5 or less" bash -c '
        score=$(systemd-analyze security --no-pager tilld.service | sed -n "s/.*exposure level for tilld.service: \([0-9.]*\).*/\1/p")
        echo "$score"; awk "BEGIN { exit !($score <= 1.5) }"'
    expect locked "no capabilities, no new privileges, a seccomp filter" bash -c '
        status=/proc/$(systemctl show -P MainPID tilld)/status
        grep -q "^CapBnd:.0*$" $status && grep -q "^NoNewPrivs:.1" $status && grep -q "^Seccomp:.2" $status'
}

confined() {
    inside tee /etc/tilld/tilld.toml.d/50-printer.toml >/dev/null <<'EOF'
[device.printer]
plugin = "org.tilld.printer"
transport = { kind = "tcp", address = "127.0.0.1:9100" }
EOF
    expect confined "a driver's process wipes what it frees" bash -c '
        systemd-run --quiet --unit=a-printer till-sim printer && systemctl restart tilld
        timeout 20 bash -c "until tillctl devices --json >/run/devices && grep -q wiped-memory /run/devices; do sleep 0.2; done"
        tr -d " \n" </run/devices | grep -F "\"layer\":\"wiped-memory\",\"level\":\"full\"" || { cat /run/devices; exit 1; }'
    inside rm /etc/tilld/tilld.toml.d/50-printer.toml
    inside systemctl stop a-printer
    inside systemctl restart tilld
}

pcsc() {
    expect pcsc "dpkg takes what stands between tilld and pcscd" dpkg --install --force-unsafe-io "$(package tilld-pcsc)"
    expect pcsc "its units have no mistakes" systemd-analyze verify /lib/systemd/system/tilld-pcsc.socket /lib/systemd/system/tilld-pcsc.service
    expect pcsc "its socket is tilld's alone" bash -c '[ "$(stat -c %U:%a /run/tilld-pcsc.sock)" = tilld:600 ]'
    # vsmartcard's virtual reader always shows two. Debian 13's pcscd may use no network, on which that one listens.
    inside mkdir -p /etc/systemd/system/{pcscd,tilld-pcsc}.service.d
    inside bash -c 'printf "[Service]\nEnvironment=\"READER=00 00\"\n" >/etc/systemd/system/tilld-pcsc.service.d/reader.conf
        printf "[Service]\nPrivateNetwork=no\nIPAddressDeny=\nRestrictAddressFamilies=\n" >/etc/systemd/system/pcscd.service.d/network.conf
        systemctl daemon-reload; systemctl try-restart pcscd'
    inside tee /etc/tilld/tilld.toml.d/50-reader.toml >/dev/null <<'EOF'
[device.nfc]
plugin = "org.tilld.nfc"
transport = { kind = "unix", path = "/run/tilld-pcsc.sock", as = "ccid" }
EOF
    expect pcsc "the till has pcscd's reader" bash -c '
        systemctl restart tilld
        timeout 30 bash -c "until tillctl devices | tee /run/devices | grep -qE \"nfc .*ready\"; do sleep 0.2; done" ||
            { cat /run/devices; systemctl status --no-pager tilld-pcsc pcscd; journalctl --no-pager -n 20 -u tilld-pcsc; exit 1; }'
    expect pcsc "by a process of a user of its own" bash -c '[ "$(stat -c %U /proc/$(systemctl show -P MainPID tilld-pcsc))" = tilld-pcsc ]'
    refuse pcsc "another user gets at no reader" 1 runuser -u nobody -- /usr/libexec/tilld/till-pcsc --check
    expect pcsc "removed, the till says that the reader is gone, and sells" bash -c '
        dpkg --purge tilld-pcsc && [ ! -e /run/tilld-pcsc.sock ]
        timeout 30 bash -c "until tillctl devices | grep nfc | grep -qv ready; do sleep 0.2; done" && tillctl pay 1.00 --cash 1.00'
    inside bash -c 'rm -r /etc/tilld/tilld.toml.d/50-reader.toml /etc/systemd/system/{pcscd,tilld-pcsc}.service.d; systemctl daemon-reload; systemctl restart tilld'
}

sale() {
    expect sale "a sale in cash goes over the system bus" tillctl pay 12.80 --cash 20.00 --key box-1
    expect sale "the same key takes nothing twice" bash -c 'tillctl pay 12.80 --cash 20.00 --key box-1 >/dev/null
        [ "$(tillctl payments --json | grep -o "\"key\": *\"box-1\"" | wc -l)" -le 1 ]'
    expect sale "the journal is whole" bash -c 'systemctl stop tilld && tillctl journal check; s=$?; systemctl start tilld; exit $s'
}

access() {
    refuse access "a user without rights sells nothing" 4 runuser -u nobody -- tillctl pay 1.00 --cash 1.00
    refuse access "and opens no drawer" 4 runuser -u nobody -- tillctl drawer "let me"
    refuse access "nobody else may own the name" 1 runuser -u nobody -- busctl --system --timeout=3 call org.freedesktop.DBus \
        /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.tilld.Till1 0
    expect access "the journal cannot be read by others" bash -c '! runuser -u nobody -- ls /var/lib/tilld'
    everything access
}

# everything NAME: user nobody tries every method and property of every object, with arguments of the right types
everything() {
    inside tee /run/everything >/dev/null <<'EOF'
name=org.tilld.Till1 tried=0 let_in=0
try() { # what was said to a call that must be refused
    said=$(runuser -u nobody -- busctl --system --timeout=20 "$@" 2>&1 </dev/null)
    tried=$((tried + 1))
    case $said in
    *"may not call"* | *"may not read"*) ;;
    *) let_in=$((let_in + 1)) && echo "$*: $said" ;;
    esac
}
for path in $(busctl --system tree --list $name | grep /org/tilld/Till1); do
    while read -r member kind signature _; do
        case $kind in
        interface) interface=$member && case $interface in org.tilld.*) ;; *) interface= ;; esac ;;
        method)
            [ -n "$interface" ] || continue
            # busctl passes no files; tests/tests/access.rs does.
            case $signature in *h*) continue ;; esac
            # An option's type last, so that its letters are not taken for others.
            arguments=$(echo "$signature" | sed 's/a{sv}//; s/s/CNY /g; s/[xut]/1 /g; s/b/true /g')0
            # shellcheck disable=SC2086
            try call $name "$path" "$interface" "${member#.}" "$signature" $arguments ;;
        property) [ -z "$interface" ] || try get-property $name "$path" "$interface" "${member#.}" ;;
        esac
    done < <(busctl --system introspect $name "$path" | tail -n +2)
done
try call $name /org/tilld/Till1 org.freedesktop.DBus.ObjectManager GetManagedObjects
echo "$tried tried"
[ $let_in -eq 0 ] && [ $tried -gt 70 ]
EOF
    expect "$1" "user nobody is refused every method and every property" bash /run/everything
}

# polkit is in the tree from the start: what it adds, what it does when it hangs, and what is left without it.
polkit() {
    local pay=(runuser -u nobody -- tillctl pay 1.00 --cash 1.00) look=(runuser -u nobody -- tillctl payments)
    expect polkit "polkit has the actions" bash -c '[ "$(pkaction | grep -c "^org\.tilld\.")" -eq "$(grep -c "<action id" /usr/share/polkit-1/actions/org.tilld*.policy)" ]'
    refuse polkit "without a rule nobody looks" 4 "${look[@]}"
    inside bash -c 'cat >/etc/polkit-1/rules.d/50-tilld.rules' <<'EOF'
polkit.addRule(function (action, subject) {
    if (subject.user === "nobody" && (action.id === "org.tilld.view" || action.id === "org.tilld.sell")) {
        return polkit.Result.YES;
    }
    return polkit.Result.NOT_HANDLED;
});
EOF
    # It reads rules by itself; a restart says when.
    inside systemctl restart polkit
    expect polkit "with one user nobody looks" "${look[@]}"
    expect polkit "and sells" "${pay[@]}"
    refuse polkit "but opens no drawer" 4 runuser -u nobody -- tillctl drawer "let me"
    inside bash -c 'kill -STOP $(systemctl show -P MainPID polkit)'
    inside systemctl restart tilld
    said=$(inside runuser -u nobody -- timeout 15 busctl --system --timeout=14 call org.tilld.Till1 /org/tilld/Till1 \
        org.tilld.Terminal1 OpenDrawer 'sa{sv}' x 0 2>&1) || true
    case $said in
    *"systemctl restart polkit"*) ok polkit "hung, it costs some seconds and says what to do" ;;
    *) bad polkit "hung: $said" ;;
    esac
    expect polkit "and root sells meanwhile" tillctl pay 1.00 --cash 1.00
    inside bash -c 'kill -CONT $(systemctl show -P MainPID polkit)'
    expect polkit "the package of polkit goes" bash -c '
        systemctl stop polkit && DEBIAN_FRONTEND=noninteractive dpkg --purge --force-depends polkitd && systemctl reload dbus'
    # The one that hung is still remembered for some seconds.
    inside bash -c 'systemctl reset-failed tilld; systemctl restart tilld'
    refuse polkit "without polkit nobody looks, rule or not" 4 "${look[@]}"
    refuse polkit "nor sells" 4 "${pay[@]}"
    everything polkit
    inside bash -c 'printf "[access]\noperators = [%s]\n" "$(id -u nobody)" >/etc/tilld/tilld.toml.d/nobody.toml && systemctl reset-failed tilld && systemctl restart tilld'
    expect polkit "and whom the configuration names sells" "${pay[@]}"
    inside bash -c 'rm /etc/tilld/tilld.toml.d/nobody.toml && systemctl reset-failed tilld && systemctl restart tilld'
}

# The example that keeps signals from users who have no part in the till.
signals() {
    [ "$suite" != bookworm ] || return 0 # its busctl cannot wait for a signal
    inside bash -c 'groupadd --system till-listeners && useradd --system --groups till-listeners listener
        cp /usr/share/doc/tilld/examples/org.tilld.signals.conf /etc/dbus-1/system.d/ && systemctl reload dbus'
    # Both listen; sales go on until the one who may has heard of one, and the other has still heard nothing.
    expect signals "with the example only its group hears signals" bash -c '
        for user in nobody listener; do
            runuser -u $user -- timeout 60 busctl --system wait org.tilld.Till1 /org/tilld/Till1 \
                org.freedesktop.DBus.ObjectManager InterfacesAdded >/run/heard.$user 2>/dev/null </dev/null &
        done
        for i in $(seq 30); do
            [ ! -s /run/heard.listener ] || break
            tillctl pay 1.00 --cash 1.00 >/dev/null
        done
        tillctl pay 1.00 --cash 1.00 >/dev/null
        [ -s /run/heard.listener ] && [ ! -s /run/heard.nobody ]'
    inside bash -c 'rm /etc/dbus-1/system.d/org.tilld.signals.conf && systemctl reload dbus'
}

activated() {
    inside systemctl stop tilld
    expect activated "a call to the name starts the till" busctl --system call org.tilld.Till1 / org.freedesktop.DBus.Peer Ping
    expect activated "and it is the unit that runs" systemctl is-active tilld
}

killed() {
    expect killed "kill -9, and systemd starts it again" bash -c '
        before=$(systemctl show -P MainPID tilld)
        [ "$before" != 0 ] || exit 1
        kill -9 "$before"
        for i in $(seq 300); do
            now=$(systemctl show -P MainPID tilld)
            [ "$now" != 0 ] && [ "$now" != "$before" ] && [ "$(systemctl is-active tilld)" = active ] && exit 0
            sleep 0.1
        done
        exit 1'
    expect killed "the payment is still there" tillctl show box-1
    # As shipped it bites after three minutes.
    inside bash -c 'mkdir -p /run/systemd/system/tilld.service.d
        printf "[Service]\nWatchdogSec=4\n" >/run/systemd/system/tilld.service.d/watchdog.conf
        systemctl daemon-reload; systemctl reset-failed tilld; systemctl restart tilld'
    expect killed "stopped in its tracks, the watchdog ends it, and systemd starts it again" bash -c '
        before=$(systemctl show -P MainPID tilld)
        kill -STOP "$before"
        for i in $(seq 600); do
            now=$(systemctl show -P MainPID tilld)
            [ "$now" != 0 ] && [ "$now" != "$before" ] && [ "$(systemctl is-active tilld)" = active ] && break
            sleep 0.1
        done
        [ "$now" != "$before" ] && tillctl show box-1 && journalctl --no-pager -u tilld | grep -i "watchdog timeout"'
    inside bash -c 'rm -r /run/systemd/system/tilld.service.d; systemctl daemon-reload; systemctl reset-failed tilld; systemctl restart tilld'
}

trusted() {
    expect trusted "the checker takes a shipped plugin" till-plugin-check /usr/lib/tilld/plugins/org.tilld.cash
    inside bash -c '{ echo "[plugins]"; echo "trust = \"allow-list\""; echo "allow = ["
        sha256sum /usr/lib/tilld/plugins/*/* | sed "s/ .*//; s/.*/\"&\",/"; echo "]"; } >/etc/tilld/tilld.toml.d/trust.toml
        systemctl reset-failed tilld; systemctl restart tilld'
    expect trusted "listed plugins are loaded, and it is said so" bash -c 'tillctl plugins --json >/run/plugins && grep -q "\"listed\"" /run/plugins && ! grep -q "plugins.allow" /run/plugins'
    inside bash -c 'cd /usr/lib/tilld/plugins/org.tilld.cash && cp *.so /run/cash.so && printf x >>"$(ls *.so)" && systemctl restart tilld'
    expect trusted "one that was changed is not, with the reason" bash -c 'tillctl plugins --json | grep -q "is not in plugins.allow"'
    inside bash -c 'cat /run/cash.so >/usr/lib/tilld/plugins/org.tilld.cash/*.so && rm /etc/tilld/tilld.toml.d/trust.toml && systemctl reset-failed tilld && systemctl restart tilld'
    expect trusted "and is again as it was" bash -c '! tillctl plugins --json | grep -q "plugins.allow"'
}

upgraded() {
    inside bash -c 'echo "[shop]
name = \"Mine\"" >/etc/tilld/tilld.toml.d/mine.toml'
    # The same programs as a later version.
    inside bash -c 'mkdir -p /run/later && dpkg-deb -R "$1" /run/later && sed -i "s/^Version: .*/Version: 0.1.1/" /run/later/DEBIAN/control &&
        dpkg-deb --root-owner-group -b /run/later /run/later.deb >/dev/null' bash "$(package tilld)"
    expect upgraded "a later version installs over it" env DEBIAN_FRONTEND=noninteractive dpkg --install --force-unsafe-io /run/later.deb
    expect upgraded "and runs" systemctl is-active tilld
    expect upgraded "with the payment" tillctl show box-1
    expect upgraded "and the site's configuration" grep -q Mine /etc/tilld/tilld.toml.d/mine.toml
}

downgraded() {
    # Five starts in two minutes are the limit, and these scenarios are quick.
    inside systemctl reset-failed tilld
    inside bash -c 'sed -i "s/^Version: .*/Version: 0.0.9/" /run/later/DEBIAN/control && dpkg-deb --root-owner-group -b /run/later /run/earlier.deb >/dev/null'
    refuse downgraded "a version that cannot read the journal is refused" 1 dpkg --install --force-unsafe-io /run/earlier.deb
    case $said in
    *"cannot read the journal"*) ok downgraded "with the reason" ;;
    *) bad downgraded "without the reason: $said" ;;
    esac
    expect downgraded "and the till still runs" systemctl is-active tilld
    expect downgraded "with the payment" tillctl show box-1
}

removed() {
    inside systemctl reset-failed tilld
    expect removed "removed, the journal stays" bash -c 'dpkg --remove till-plugin-dev tilld && [ -d /var/lib/tilld/journal ] && ! systemctl is-active tilld'
    expect removed "installed again, the payment is there" bash -c 'dpkg --install --force-unsafe-io "$1" && tillctl show box-1' bash "$(package tilld)"
}

purged() {
    inside mkdir -p /etc/tilld/mine
    expect purged "purged: asks nothing" dpkg --purge tilld
    expect purged "no file of ours is left" bash -c '! ls -d /var/lib/tilld /usr/lib/tilld /usr/libexec/tilld /etc/tilld/tilld.toml /usr/share/dbus-1/*/org.tilld.* /usr/share/polkit-1/actions/org.tilld.* 2>/dev/null'
    expect purged "and no file of others is gone" ls -d /etc/tilld/mine
}
