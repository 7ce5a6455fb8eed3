#!/usr/bin/env bash
# After kill -9 the next start takes over what was left: socket, twins, nftables table, DPDK's files.
#
#   client ---- [stormgate, twice] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve
expect "before" "$(get "http://$vip/")" pod1

kill -KILL "$gateway_pid"
wait "$gateway_pid" 2>/dev/null || true
[ -S "$lab_dir/stormgate.sock" ] || fail "kill -9 should leave the socket behind, or this story tells nothing"
gateway_start "$lab_dir/stormgate.conf"
wait_for 5 get --max-time 1 "http://$vip/"
expect "pings of the node" "$(on client ping -c 2 -i 0.2 -W 2 198.51.100.11 | grep -c 'bytes from')" 2
accounting_closes
