#!/usr/bin/env bash
# SIGTERM and SIGINT end stormgate with status 0 and nothing left behind; SIGHUP and SIGPIPE do not end it.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
head -c 50000000 /dev/zero >"$lab_dir/pod1/www/long"

for signal in TERM INT; do
	web_service 1 | serve
	kill -HUP "$gateway_pid"
	kill -PIPE "$gateway_pid"
	expect "the service after HUP and PIPE" "$(get "http://$vip/")" pod1
	start client curl -s --limit-rate 1M -o "$lab_dir/$signal" "http://$vip/long"
	wait_for 5 test -s "$lab_dir/$signal"
	kill -$signal "$gateway_pid"
	status=0
	wait "$gateway_pid" || status=$?
	expect "exit status after SIG$signal" $status 0
	[ ! -e "$lab_dir/stormgate.sock" ] || fail "a socket is left behind"
	[ ! -e "/run/dpdk/$lab" ] || fail "/run/dpdk/$lab is left behind"
	expect "network interfaces" "$(on gateway ls /sys/class/net | paste -sd ' ')" 'eth0 eth1 lo'
	expect "nftables" "$(on gateway nft list ruleset)" ''
done
