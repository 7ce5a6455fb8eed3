#!/usr/bin/env bash
# Datagrams longer than the way: a client behind an MTU of 1400 and pods behind 1500 say 9,000 bytes and more to each
# other through the gateway, in every mode. Then what must not be put together.
#
#   client ---- MTU 1400 ---- p0 [stormgate] p1 ---- MTU 1500 ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
for end in client gateway; do
	ip -n "$lab-$end" link set eth0 mtu 1400
done
direct=192.0.2.11 tunnel=192.0.2.12
# pod1 answers through the gateway as in mode dnat; pod2 has two VIPs for dsr and ipip, and answers the client directly.
on pod1 ip route replace default via 10.0.0.1
link client direct pod2 direct
address client direct 10.2.0.7/24
address pod2 direct 10.2.0.12/24
route pod2 198.51.100.0/24 via 10.2.0.7
ip -n "$lab-client" link set direct mtu 1400
ip -n "$lab-pod2" link set direct mtu 1400
for end in client pod2; do
	on $end sh -c 'for all in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$all; done'
done
on pod2 ip address add $direct/32 dev lo
on pod2 ip address add $tunnel/32 dev lo
on pod2 sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
start pod1 python3 "$here/lib/echo.py" serve 0.0.0.0 7
start pod1 python3 "$here/lib/echo.py" serve 0.0.0.0 8
start pod2 python3 "$here/lib/echo.py" serve $direct 7
start pod2 python3 "$here/lib/echo.py" serve $tunnel 7
start pod2 python3 "$here/lib/decapsulate.py"
wait_for 10 on pod2 ip link show decap
on pod2 ip link set decap up
on pod2 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/decap/rp_filter'
# Its answer has 30 strings of 255 bytes, and EDNS lets it be one datagram.
long=$(printf 'x%.0s' {1..255})
start pod1 dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts \
	--edns-packet-max=9000 --txt-record="long.test$(printf ",$long%.0s" {1..30})"
wait_for 10 on pod1 dig +short +time=1 +tries=1 @127.0.0.1 long.test TXT
start pod1 iperf3 -s

# Fragments are at home where their addresses are, datagrams where their ports are, too.
{
	config_two_arms 'workers = [0, 0, 0]; control_cpu = 0;' | sed 's/twin = "sg-p0";/& mtu = 1400;/'
	cat <<-END
		services: (
		  { name = "echo"; vip = "$vip"; protocol = "udp"; port = 7; backends = ( { address = "10.0.0.11"; } ); },
		  { name = "kept"; vip = "$vip"; protocol = "udp"; port = 8; forward = "dnat"; backends = ( { address = "10.0.0.11"; } ); },
		  { name = "direct"; vip = "$direct"; protocol = "udp"; port = 7; forward = "dsr"; backends = ( { address = "10.0.0.12"; } ); },
		  { name = "tunnel"; vip = "$tunnel"; protocol = "udp"; port = 7; forward = "ipip"; backends = ( { address = "10.0.0.12"; } ); },
		  { name = "dns"; vip = "$vip"; protocol = "udp"; port = 53; backends = ( { address = "10.0.0.11"; } ); },
		  { name = "iperf"; vip = "$vip"; protocol = "tcp"; port = 5201; scheduler = "sh"; backends = ( { address = "10.0.0.11"; } ); },
		  { name = "iperf-udp"; vip = "$vip"; protocol = "udp"; port = 5201; scheduler = "sh"; backends = ( { address = "10.0.0.11"; } ); }
		);
	END
} >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"

sizes='100 1372 1480 1481 5000 9000 20001 65000 65507'
for service in "$vip 7" "$vip 8" "$direct 7"; do
	expect "echoes of $service" "$(on client python3 "$here/lib/echo.py" ask $service $sizes)" 'all the same'
done
# The outer header takes 20 bytes of the 65,535 that there can be.
expect "echoes of $tunnel" "$(on client python3 "$here/lib/echo.py" ask $tunnel 7 ${sizes/65507/65487})" 'all the same'
expect "a long answer" "$(on client dig +notcp +ignore +bufsize=9000 +short +time=2 +tries=1 @"$vip" long.test TXT | tr -cd x | wc -c)" 7650
on client ping -c 3 -i 0.2 -W 2 -s 9000 $vip | grep -q ' 0% packet loss'
on client iperf3 -c $vip -u -l 9000 -b 10M -k 200 -J >"$lab_dir/iperf.json" 2>/dev/null
at_least "datagrams of iperf3 that arrived" "$(jq '.end.sum | .packets - .lost_packets' "$lab_dir/iperf.json")" 150
# The node itself is reached with its own fragments, which are not touched.
on client ping -c 3 -i 0.2 -W 2 -s 5000 198.51.100.11 | grep -q ' 0% packet loss'
accounting_closes
expect "what was lost of fragments" "$(stats '[.dropped | to_entries[] | select(.key | startswith("fragment")).value] | add')" 0

# What must not be joined, and what never becomes whole: by name, each fragment of it.
on client python3 "$here/lib/bad_fragments.py" eth0 198.51.100.7 $vip 7
wait_for 5 drops_at_least fragment_timeout 3
expect "overlapping" "$(dropped fragment_overlap)" 4
expect "twice the same" "$(dropped fragment_duplicate)" 1
expect "tiny" "$(dropped fragment_tiny)" 2
expect "impossible" "$(dropped fragment_bad)" 3
expect "incomplete" "$(dropped fragment_timeout)" 3
# Of two the first fragment had come: their sender hears so.
told() {
	[ "$(on client nstat -asz IcmpInTimeExcds | awk '$1 == "IcmpInTimeExcds" { print $2 }')" = 2 ]
}
wait_for 5 told
accounting_closes
