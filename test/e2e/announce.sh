#!/usr/bin/env bash
# The workers answer ARP for VIPs and SNAT addresses, the kernel for its own, each once; gratuitous ARP at start
# and when a link comes up.
#
#   client ---- p0 [stormgate] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
# The VIP is also the kernel's, as with kube-ipvs0 or lo: it must not answer twice.
address gateway lo $vip/32
start client tcpdump -nl -i eth0 arp
start pod1 tcpdump -nl -i eth0 arp
wait_for 10 grep -q listening "$lab_dir/client.log"
wait_for 10 grep -q listening "$lab_dir/pod1.log"
web_service 1 | serve
told="Request who-has $vip tell $vip"
wait_for 5 grep -q "$told" "$lab_dir/client.log"
wait_for 5 grep -q 'Request who-has 10.0.0.100 tell 10.0.0.100' "$lab_dir/pod1.log"
before=$(grep -c "$told" "$lab_dir/pod1.log")
ip -n "$lab-switch" link set gateway-eth1 down
wait_for 5 grep -q 'p1: the link is down' "$lab_dir/gateway.log"
ip -n "$lab-switch" link set gateway-eth1 up
wait_for 5 bash -c "[ \$(grep -c '$told' '$lab_dir/pod1.log') -gt $before ]"

# who NODE ADDRESS...: who answers ARP for them there, one `ADDRESS MAC` a line.
cat >"$lab_dir/who.py" <<'END'
import logging, sys
logging.disable()
from scapy.all import ARP, Ether, srp, conf
conf.verb = 0
ask = [Ether(dst='ff:ff:ff:ff:ff:ff') / ARP(pdst=address) for address in sys.argv[1:]]
answered, _ = srp(ask, iface='eth0', timeout=1, multi=True)
for _, answer in answered:
    print(answer[ARP].psrc, answer[ARP].hwsrc)
END
who() {
	on "$1" timeout 20 /usr/bin/python3 "$lab_dir/who.py" "${@:2}" | sort
}
mac=$(on gateway cat /sys/class/net/eth0/address)
expect "who answers the client" "$(who client $vip 198.51.100.11 10.0.0.1)" "$vip $mac
198.51.100.11 $mac"
mac=$(on gateway cat /sys/class/net/eth1/address)
expect "who answers the pod" "$(who pod1 10.0.0.1 10.0.0.100 10.0.0.101 198.51.100.11)" "10.0.0.1 $mac
10.0.0.100 $mac
10.0.0.101 $mac"
accounting_closes
