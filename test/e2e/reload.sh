#!/usr/bin/env bash
# SIGHUP reads the config file again: its services and backend_cidrs change while connections go on, a bad file changes nothing, and
# what needs a restart is named.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
web_service 1 | serve
config=$lab_dir/stormgate.conf
log=$lab_dir/gateway.log

# reload <REST OF THE CONFIG FILE
reload() {
	{ config_two_arms "$@"; cat; } >"$config"
	kill -HUP "$gateway_pid"
}

# logged PATTERN
logged() {
	grep -q -- "$1" "$log"
}

load_start client "http://$vip"
load_goes_on 100
web_service 2 | reload
wait_for 5 logged "SIGHUP: $config is read again: 0 services added, 1 changed, 0 removed"
load_goes_on 100
load_stop
expect "failed requests of $load_asked" "$load_failed" 0
expect "the pod of the new file" "$(ask client "http://$vip" 20 | sort -u)" pod2
expect "who did it" "$(ctl history -o json | jq -r '.history[0] | "\(.verb) \(.owner) \(.uid)"')" 'reload config 0'

echo 'services: ( { name = "web"; vip = "192.0.2.10"; } );' | reload
wait_for 5 logged "stormgate.conf:[0-9]*: services\[0\] lacks the key"
wait_for 5 logged "SIGHUP: $config is refused, and everything stays as it was"
expect "the service after a bad file" "$(get "http://$vip/")" pod2

web_service 2 | reload 'maglev_seed = 7;'
wait_for 5 logged 'need a restart: dataplane.maglev_seed$'

exits 0 ctl rollback
expect "the pod after a rollback" "$(ask client "http://$vip" 20 | sort -u)" pod1

# A backend that somebody has keeps new prefixes from leaving it out; once it is deleted, its connections end with them.
web_service 1 | reload
wait_for 5 logged "is read again: 0 services added, 0 changed"
head -c 20000000 /dev/urandom >"$lab_dir/pod2/www/slow"
ctl backend add web 10.0.0.12:8080
ctl backend drain web 10.0.0.11:8080
get --limit-rate 2M --max-time 60 -o "$lab_dir/slow" "http://$vip/slow" &
download=$!
wait_for 10 test -s "$lab_dir/slow"
only_pod1() {
	{ echo 'backend_cidrs = ["10.0.0.11/32"];'; web_service 1; } | reload
}
only_pod1
wait_for 5 logged "backend 10.0.0.12:8080 of service 'web' (of owner 'config') lies outside backend_cidrs (10.0.0.11/32)"
ctl backend delete web 10.0.0.12:8080
only_pod1
wait_for 5 logged 'other settings: backend_cidrs$'
ended=0
wait $download || ended=$?
[ $ended = 56 ] || fail "the download from outside of backend_cidrs ended with $ended, not with a reset"
wait_for 10 drops_at_least backend_outside 1
exits 1 ctl rollback "$(ctl history -o json | jq '.history[] | select(.verb == "backend drain").generation')"
[[ $said == *"backend 10.0.0.12:8080 of service 'web' (of owner 'config') lies outside backend_cidrs (10.0.0.11/32)"* ]] || fail "$said"
ctl backend set web 10.0.0.11:8080 --weight 1
expect "the pod inside" "$(ask client "http://$vip" 20 | sort -u)" pod1
accounting_closes
