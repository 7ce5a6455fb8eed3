#!/usr/bin/env bash
# With ip_forward = 1 on the node the kernel is still no way around deny by default: whatever is not for an address of
# the node is dropped as not_local.
#
#   client ---- p0 [stormgate, ip_forward = 1] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
on gateway sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
web_service 1 | serve
route client 10.0.0.0/24 via 198.51.100.11
route pod1 default via 10.0.0.1

expect "the VIP" "$(get "http://$vip/")" pod1
refused --max-time 1 http://10.0.0.11:8080/
exits 1 on client ping -c 2 -i 0.2 -W 1 10.0.0.11
at_least "drops" "$(dropped not_local)" 3
expect "forwarding of sg-p0" "$(on gateway cat /proc/sys/net/ipv4/conf/sg-p0/forwarding)" 0
accounting_closes
