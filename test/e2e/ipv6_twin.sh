#!/usr/bin/env bash
# The node stays an IPv6 host: its own addresses answer through the kernel while the VIP is served by the workers, and it
# reaches pods, clients and the VIP itself.
#
#   client ---- p0 [stormgate + an nginx of the node's own] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 1
web_server pod1
web_server gateway 2222
# As on every Calico node.
on gateway sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
serve <<END
services: (
  { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; backends = ( { address = "fd00::11"; port = 8080; } ); },
  { name = "own"; vip = "$vip6"; protocol = "tcp"; port = 81; backends = ( { address = "fd00::1"; port = 2222; } ); }
);
END
route gateway 2001:db8:2::/64 dev sg-p0

# pings NODE ADDRESS [BYTES]: three are answered, each once.
pings() {
	exits 0 on "$1" ping -c 3 -i 0.2 -W 2 -s "${3:-56}" "$2"
	[[ $said == *' 3 received'* && $said != *DUP* ]] || fail "ping $2: $said"
}

link_local=$(on gateway ip -6 -o address show dev sg-p0 scope link | awk '{ sub("/.*", "", $4); print $4 }')
load_start client "http://[$vip6]"
load_goes_on 50
pings client 2001:db8:1::11
pings client "$vip6"
pings client "$link_local%eth0"
pings pod1 fd00::1
pings gateway 2001:db8:1::7
pings gateway fd00::11
pings client 2001:db8:1::11 3000
expect "a listener on the node" "$(get 'http://[2001:db8:1::11]:2222/')" gateway
expect "the node as a client of a pod" "$(on gateway curl -sS --max-time 5 'http://[fd00::11]:8080/')" pod1
expect "the node as a client of the VIP" "$(on gateway curl -sS --max-time 5 "http://[$vip6]/")" pod1
expect "the node as a backend" "$(ask client "http://[$vip6]:81" 10 | sort -u)" gateway
load_goes_on 50
load_stop
expect "failed requests of $load_asked" "$load_failed" 0

# The kernel is no way around deny by default.
route client fd00::/64 via 2001:db8:1::11
route pod1 default via fd00::1
refused --max-time 1 'http://[fd00::11]:8080/'
at_least "drops" "$(dropped not_local)" 1

for port in 0 1; do
	for key in accept_ra forwarding; do
		expect "$key of sg-p$port" "$(on gateway cat "/proc/sys/net/ipv6/conf/sg-p$port/$key")" 0
	done
done
accounting_closes

# After kill -9 the next start takes over what was left.
kill -KILL "$gateway_pid"
wait "$gateway_pid" 2>/dev/null || true
gateway_start "$lab_dir/stormgate.conf"
wait_for 5 get --max-time 1 "http://[$vip6]/"
pings client 2001:db8:1::11
accounting_closes
