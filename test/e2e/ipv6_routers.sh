#!/usr/bin/env bash
# Behind routers: the clients' router is learned from its advertisement (a default route to a link-local address), links
# with a small MTU on either side are found by path MTU discovery, and the gateway is a hop like any other.
#
#   client ---- r1 ---- p0 [stormgate] p1 ---- (=) ---- r2 ---- pod1
#          1300, towards the client                        1400, towards the pod
. "$(dirname "$0")/lib/story.sh"

dual_stack
node client gateway r1 pod1
link client eth0 r1 clients
link r1 eth0 gateway eth0
switch switch
plug switch gateway eth1
add_pod r2 10.0.0.2
link r2 pods pod1 eth0
links_up gateway eth0 eth1
address client eth0 2001:db8:3::7/64
address r1 clients 2001:db8:3::1/64
address r1 eth0 fe80::1/64
address r2 pods fd00:1::1/64
address pod1 eth0 fd00:1::11/64
for router in r1 r2; do
	on $router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
done
route client default via 2001:db8:3::1
route r1 2001:db8:2::/64 dev eth0
route pod1 default via fd00:1::1
# The ends of a cable need the same MTU, but a route may have a smaller one.
route r1 2001:db8:3::/64 dev clients metric 1 mtu lock 1300
route r2 fd00:1::/64 dev pods metric 1 mtu lock 1400
web_server pod1
head -c 3000000 /dev/urandom >"$lab_dir/pod1/www/3m"
serve <<END
services: ( { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; backends = ( { address = "fd00:1::11"; port = 8080; } ); } );
END
on gateway sh -c 'echo 2 >/proc/sys/net/ipv6/conf/sg-p0/accept_ra'
route gateway fd00:1::/64 via fd00::2 dev sg-p1

cat >"$lab_dir/advertise.py" <<'END'
from scapy.all import Ether, IPv6, ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, conf, get_if_hwaddr, sendp
conf.verb = 0
mac = get_if_hwaddr('eth0')
sendp(Ether(src=mac, dst='33:33:00:00:00:01') / IPv6(src='fe80::1', dst='ff02::1', hlim=255) /
      ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptSrcLLAddr(lladdr=mac), iface='eth0')
END
on r1 timeout 20 /usr/bin/python3 "$lab_dir/advertise.py"
wait_for 5 bash -c "ip -n $lab-gateway -6 route show default | grep -q 'via fe80::1 dev sg-p0 proto ra'"

wait_for 10 get --max-time 1 "http://[$vip6]/"
expect "who answers" "$(ask client "http://[$vip6]" 20 | sort -u)" pod1
# Segments of 1,440 bytes are what both ends agree on; the routers in between say what fits.
expect "a download" "$(get --max-time 60 "http://[$vip6]/3m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/3m")"
expect_like "the pod's MTU to the gateway" "$(on pod1 ip route get fd00::100; on pod1 ip route get fd00::101)" '*mtu 1300*'
# The pod would offer segments that fit, had it learned that MTU for the SNAT address that comes now.
on pod1 ip -6 route flush cache
get --max-time 60 -T "$lab_dir/pod1/www/3m" "http://[$vip6]/put/3m"
expect "an upload" "$(sha256sum <"$lab_dir/pod1/www/put/3m")" "$(sha256sum <"$lab_dir/pod1/www/3m")"
expect_like "the client's MTU to the VIP" "$(on client ip route get $vip6)" '*mtu 1400*'

# The gateway is the second hop.
cat >"$lab_dir/hops.py" <<'END'
import sys
from scapy.all import IPv6, TCP, ICMPv6TimeExceeded, TCPerror, sr1, conf
conf.verb = 0
vip = sys.argv[1]
answer = sr1(IPv6(dst=vip, hlim=2) / TCP(sport=40001, dport=80, flags='S', seq=7), timeout=3)
assert answer is not None, 'no answer to hop limit 2'
assert answer.haslayer(ICMPv6TimeExceeded) and answer[ICMPv6TimeExceeded].code == 0, answer.summary()
assert answer.src == '2001:db8:1::11', answer.src
assert answer[TCPerror].dport == 80 and answer[TCPerror].seq == 7, repr(answer)
answer = sr1(IPv6(dst=vip, hlim=4) / TCP(sport=40002, dport=80, flags='S', seq=7), timeout=3)
assert answer is not None and answer.haslayer(TCP) and answer[TCP].flags == 'SA', 'no answer to hop limit 4'
END
exits 0 on client timeout 30 /usr/bin/python3 "$lab_dir/hops.py" "$vip6"
expect_like "an echo that may go two hops" "$(on client ping -c 1 -W 2 -t 2 $vip6 || true)" '*1 received*'
accounting_closes
