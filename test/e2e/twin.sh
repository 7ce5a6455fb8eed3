#!/usr/bin/env bash
# The node stays a host: its own addresses answer through the kernel while the VIP is served by the workers.
#
#   client ---- p0 [stormgate + an nginx of the node's own] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_server gateway 2222
web_service 1 | serve

# pings NODE ADDRESS [BYTES]: three are answered, each once.
pings() {
	exits 0 on "$1" ping -c 3 -i 0.2 -W 2 -s "${3:-56}" "$2"
	[[ $said == *' 3 received'* && $said != *DUP* ]] || fail "ping $2: $said"
}

load_start client "http://$vip"
load_goes_on 50
pings client 198.51.100.11
pings client $vip
pings pod1 10.0.0.1
# In fragments, which pass as they are and are put together by the kernel.
pings client 198.51.100.11 3000
pings client 198.51.100.11 30000
pings gateway 10.0.0.11 9000
pings gateway 198.51.100.7
pings gateway 10.0.0.11
expect "a listener on the node" "$(get http://198.51.100.11:2222/)" gateway
expect "the node as a client of a pod" "$(on gateway curl -sS --max-time 5 http://10.0.0.11:8080/)" pod1
load_goes_on 50
load_stop
expect "failed requests of $load_asked" "$load_failed" 0

for port in 0 1; do
	expect "MAC of sg-p$port" "$(on gateway cat "/sys/class/net/sg-p$port/address")" \
		"$(on gateway cat "/sys/class/net/eth$port/address")"
	expect "forwarding of sg-p$port" "$(on gateway cat "/proc/sys/net/ipv4/conf/sg-p$port/forwarding")" 0
done
accounting_closes
