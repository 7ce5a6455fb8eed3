#!/usr/bin/env bash
# The gateway is a hop like any other: TTL 1 is answered with time exceeded, TTL 2 arrives as 1.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve
get "http://$vip/" >/dev/null

start pod1 tcpdump -nvl -i eth0 tcp dst port 8080
wait_for 10 grep -q listening "$lab_dir/pod1.log"
cat >"$lab_dir/ttl.py" <<'END'
import sys
from scapy.all import IP, TCP, ICMP, sr1, conf
conf.verb = 0
vip = sys.argv[1]
answer = sr1(IP(dst=vip, ttl=1) / TCP(sport=40001, dport=80, flags='S', seq=7), timeout=3)
assert answer is not None, 'no answer to TTL 1'
assert answer.haslayer(ICMP) and answer[ICMP].type == 11 and answer[ICMP].code == 0, answer.summary()
inner = answer[ICMP].payload
assert inner.dst == vip and inner.payload.dport == 80 and inner.payload.seq == 7, repr(inner)
answer = sr1(IP(dst=vip, ttl=2) / TCP(sport=40002, dport=80, flags='S', seq=7), timeout=3)
assert answer is not None and answer.haslayer(TCP) and answer[TCP].flags == 'SA', 'no answer to TTL 2'
END
exits 0 on client timeout 30 /usr/bin/python3 "$lab_dir/ttl.py" "$vip"
wait_for 5 grep -q 'ttl 1,' "$lab_dir/pod1.log"
accounting_closes
