#!/usr/bin/env bash
# A link that goes down and comes back is survived, and so is an interface that is removed; both are said once. So is an
# MTU that was made smaller under a port.
#
#   client ---- p0 [stormgate] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve
expect "before" "$(get "http://$vip/")" pod1

ip -n "$lab-gateway" link set eth1 mtu 1400
wait_for 5 grep -q 'port p1: its interface has MTU 1400 now' "$lab_dir/gateway.log"
ip -n "$lab-gateway" link set eth1 mtu 1500
wait_for 5 grep -q 'port p1: its interface takes packets of 1500 bytes again' "$lab_dir/gateway.log"

ip -n "$lab-switch" link set gateway-eth1 down
wait_for 5 grep -q 'port p1: the link is down' "$lab_dir/gateway.log"
refused --max-time 1 "http://$vip/"
ip -n "$lab-switch" link set gateway-eth1 up
wait_for 15 get --max-time 1 "http://$vip/"

said_before=$(grep -c p1 "$lab_dir/gateway.log")
ip -n "$lab-gateway" link delete eth1
wait_for 5 bash -c "[ \$(grep -c p1 '$lab_dir/gateway.log') -gt $said_before ]"
refused --max-time 1 "http://$vip/"
exits 0 on client ping -c 2 -i 0.2 -W 2 198.51.100.11
exits 0 ctl status
expect_like "lines about the removal" "$(($(grep -c p1 "$lab_dir/gateway.log") - said_before))" '[12]'
kill -TERM "$gateway_pid"
wait "$gateway_pid" || fail "did not end cleanly after the loss of a port"
