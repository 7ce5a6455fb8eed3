#!/usr/bin/env bash
# Pods behind nodes, reached by the routes on the twin; a route that moves to another node takes effect.
#
#   client ---- p0 [stormgate] p1 ---- (=) ---- node1 ---- pod1 10.1.0.11
#                                       +------ node2 ------+
. "$(dirname "$0")/lib/story.sh"

two_arms 0
add_pod node1 10.0.0.2
add_pod node2 10.0.0.3
node pod1
for n in 1 2; do
	link "node$n" pods pod1 "eth$n"
	address "node$n" pods "10.1.$n.1/24"
	address pod1 "eth$n" "10.1.$n.2/24"
	route "node$n" 10.1.0.11/32 via "10.1.$n.2"
	on "node$n" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
done
address pod1 lo 10.1.0.11/32
route pod1 default via 10.1.1.1
web_server pod1
serve <<END
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80;
  backends = ( { address = "10.1.0.11"; port = 8080; } ); } );
END

exits 28 get --max-time 1 "http://$vip/"
at_least "no route yet" "$(($(dropped no_route) + $(dropped nexthop_unresolved) + $(dropped no_backend)))" 1

route gateway 10.1.0.0/24 via 10.0.0.2 dev sg-p1
wait_for 5 get --max-time 1 "http://$vip/"
load_start client "http://$vip"
load_goes_on 100
on gateway ip route replace 10.1.0.0/24 via 10.0.0.3 dev sg-p1
load_goes_on 100
link_off() {
	ip -n "$lab-node1" link set pods down
	ip -n "$lab-pod1" route replace default via 10.1.2.1
}
link_off
load_goes_on 100
load_stop
at_least "answered requests" "$(load_answered)" 300
accounting_closes
