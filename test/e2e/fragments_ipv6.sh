#!/usr/bin/env bash
# fragments.sh over IPv6, where only end points make fragments: what came in some is put together for its backend and leaves
# in some again, and a datagram that came whole and does not fit is answered with the MTU that is left.
#
#   client ---- MTU 1400 ---- p0 [stormgate] p1 ---- MTU 1500 ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 2
for end in client gateway; do
	ip -n "$lab-$end" link set eth0 mtu 1400
done
snat=2001:db8:2::10 direct=2001:db8:2::11 tunnel=2001:db8:2::12
# pod1 answers through the gateway as in mode dnat; pod2 has two VIPs for dsr and ipip, and answers the client directly.
on pod1 ip -6 route replace default via fd00::1
link client direct pod2 direct
address client direct 2001:db8:3::7/64
address pod2 direct 2001:db8:3::12/64
on pod2 ip -6 route add 2001:db8:1::/64 via 2001:db8:3::7
ip -n "$lab-client" link set direct mtu 1400
ip -n "$lab-pod2" link set direct mtu 1400
on pod2 ip address add $direct/128 dev lo
on pod2 ip address add $tunnel/128 dev lo
start pod1 python3 "$here/lib/echo.py" serve :: 7
start pod1 python3 "$here/lib/echo.py" serve :: 8
start pod2 python3 "$here/lib/echo.py" serve $direct 7
start pod2 python3 "$here/lib/echo.py" serve $tunnel 7
start pod2 python3 "$here/lib/decapsulate.py" ipv6
wait_for 10 on pod2 ip link show decap
on pod2 ip link set decap up
long=$(printf 'x%.0s' {1..255})
start pod1 dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts \
	--edns-packet-max=9000 --txt-record="long.test$(printf ",$long%.0s" {1..30})"
wait_for 10 on pod1 dig +short +time=1 +tries=1 @::1 long.test TXT

{
	config_two_arms 'workers = [0, 0, 0]; control_cpu = 0;' | sed 's/twin = "sg-p0";/& mtu = 1400;/'
	cat <<-END
		services: (
		  { name = "echo"; vip = "$snat"; protocol = "udp"; port = 7; backends = ( { address = "fd00::11"; } ); },
		  { name = "kept"; vip = "$snat"; protocol = "udp"; port = 8; forward = "dnat"; backends = ( { address = "fd00::11"; } ); },
		  { name = "direct"; vip = "$direct"; protocol = "udp"; port = 7; forward = "dsr"; backends = ( { address = "fd00::12"; } ); },
		  { name = "tunnel"; vip = "$tunnel"; protocol = "udp"; port = 7; forward = "ipip"; backends = ( { address = "fd00::12"; } ); },
		  { name = "dns"; vip = "$snat"; protocol = "udp"; port = 53; backends = ( { address = "fd00::11"; } ); }
		);
	END
} >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"

sizes='100 1352 1353 1452 1453 5000 9000 20001 65000'
for service in "$snat 7" "$snat 8" "$direct 7" "$tunnel 7"; do
	expect "echoes of $service" "$(on client python3 "$here/lib/echo.py" ask $service $sizes)" 'all the same'
done
expect "a long answer" "$(on client dig +notcp +ignore +bufsize=9000 +short +time=2 +tries=1 @$snat long.test TXT | tr -cd x | wc -c)" 7650
on client ping -c 3 -i 0.2 -W 2 -s 9000 $snat | grep -q ' 0% packet loss'
# The node itself is reached with its own fragments, which are not touched.
on client ping -c 3 -i 0.2 -W 2 -s 5000 2001:db8:1::11 | grep -q ' 0% packet loss'
accounting_closes
expect "what was lost of fragments" "$(stats '[.dropped | to_entries[] | select(.key | startswith("fragment")).value] | add')" 0

# What must not be joined, and what never becomes whole: by name, each fragment of it.
on client python3 "$here/lib/bad_fragments.py" eth0 2001:db8:1::7 $snat 7
wait_for 5 drops_at_least fragment_timeout 3
expect "overlapping" "$(dropped fragment_overlap)" 4
expect "twice the same" "$(dropped fragment_duplicate)" 1
expect "tiny" "$(dropped fragment_tiny)" 1
expect "impossible" "$(dropped fragment_bad)" 3
expect "incomplete" "$(dropped fragment_timeout)" 3
# Of two the first fragment had come: their sender hears so.
told() {
	[ "$(on client nstat -asz Icmp6InTimeExcds | awk '$1 == "Icmp6InTimeExcds" { print $2 }')" = 2 ]
}
wait_for 5 told
accounting_closes
