#!/usr/bin/env bash
# The workers answer NDP for VIPs and SNAT addresses, the kernel for its own, each once; unsolicited advertisements at
# start and when a link comes up.
#
#   client ---- p0 [stormgate] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 1
web_server pod1
# The VIP is also the kernel's, as with kube-ipvs0 or lo: it must not answer twice.
address gateway lo $vip6/128
for node in client pod1; do
	start $node tcpdump -nl -i eth0 'icmp6 and ip6[40] == 136'
	wait_for 10 grep -q listening "$lab_dir/$node.log"
done
serve <<END
services: ( { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; backends = ( { address = "fd00::11"; port = 8080; } ); } );
END
wait_for 5 grep -q "$vip6 > ff02::1: .*neighbor advertisement, tgt is $vip6" "$lab_dir/client.log"
wait_for 5 grep -q 'fd00::100 > ff02::1: .*neighbor advertisement, tgt is fd00::100' "$lab_dir/pod1.log"
told="$vip6 > ff02::1: .*tgt is $vip6"
before=$(grep -c "$told" "$lab_dir/pod1.log")
ip -n "$lab-switch" link set gateway-eth1 down
wait_for 5 grep -q 'p1: the link is down' "$lab_dir/gateway.log"
ip -n "$lab-switch" link set gateway-eth1 up
wait_for 5 bash -c "[ \$(grep -c '$told' '$lab_dir/pod1.log') -gt $before ]"

# who NODE ADDRESS...: who answers NDP for them there, one `ADDRESS MAC` a line. They are asked as Linux asks: to the
# group of the address.
cat >"$lab_dir/who.py" <<'END'
import logging, sys
logging.disable()
from scapy.all import Ether, IPv6, ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6NDOptSrcLLAddr, ICMPv6NDOptDstLLAddr
from scapy.all import AsyncSniffer, conf, get_if_hwaddr, in6_getnsma, in6_getnsmac, sendp
from scapy.utils6 import inet_pton, inet_ntop
import socket, time
conf.verb = 0
source, mac = sys.argv[1], get_if_hwaddr('eth0')
ask = []
for address in sys.argv[2:]:
    group = in6_getnsma(inet_pton(socket.AF_INET6, address))
    ask.append(Ether(src=mac, dst=in6_getnsmac(group)) / IPv6(src=source, dst=inet_ntop(socket.AF_INET6, group), hlim=255) /
               ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=mac))
listener = AsyncSniffer(iface='eth0', filter='icmp6 and ip6[40] == 136', timeout=1, started_callback=lambda: sendp(ask, iface='eth0'))
listener.start()
listener.join()
for answer in listener.results:
    if answer.haslayer(ICMPv6ND_NA) and answer[IPv6].dst == source and answer[ICMPv6ND_NA].S:
        print(answer[ICMPv6ND_NA].tgt, answer[ICMPv6NDOptDstLLAddr].lladdr)
END
who() {
	on "$1" timeout 20 /usr/bin/python3 "$lab_dir/who.py" "${@:2}" | sort
}
mac=$(on gateway cat /sys/class/net/eth0/address)
expect "who answers the client" "$(who client 2001:db8:1::7 $vip6 2001:db8:1::11 fd00::1)" "2001:db8:1::11 $mac
$vip6 $mac"
mac=$(on gateway cat /sys/class/net/eth1/address)
expect "who answers the pod" "$(who pod1 fd00::11 fd00::1 fd00::100 fd00::101 2001:db8:1::11)" "fd00::1 $mac
fd00::100 $mac
fd00::101 $mac"
# What asks for them comes to multicast MACs, which the interface below must let through.
for interface in eth0 eth1; do
	expect_like "$interface" "$(ip -n "$lab-gateway" -d link show $interface)" '*allmulti 1*'
done
expect "the VIP" "$(get "http://[$vip6]/")" pod1
accounting_closes
