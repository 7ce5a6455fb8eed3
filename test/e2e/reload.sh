#!/usr/bin/env bash
# SIGHUP reads the config file again: its services change while connections go on, a bad file changes nothing, and what needs a restart
# is named.
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
