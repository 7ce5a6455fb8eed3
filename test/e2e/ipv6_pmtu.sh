#!/usr/bin/env bash
# Path MTU discovery over IPv6, in each mode: what a router says whose way is too narrow reaches whoever has to send smaller
# packets. Nobody else may cut them here.
#
#   far fd00:9::7 ---- r1 --1300-- r2 ::2 ----(=)---- r3 ::3 --1400-- r4 ---- pod1 fd00:1:1::11, pod2 fd00:1:2::11, pod5 fd00:1:5::11
#             near fd00:7::7 -------/         | |
#              2001:db8:1::11 [stormgate] ----+ +---- pod3 ::23, pod4 ::24, which answer past the gateway, through r2, as pod5 does
. "$(dirname "$0")/lib/story.sh"

dual_stack
switch switch
node far r1 r2 r3 r4 near gateway pod1 pod2 pod3 pod4 pod5
for name in gateway r2 r3 pod3 pod4; do
	plug switch $name eth0
done
link far eth0 r1 far
link near eth0 r2 near
link r1 narrow r2 narrow
link r3 narrow r4 narrow
link r4 pods1 pod1 eth0
link r4 pods2 pod2 eth0
link r4 pods5 pod5 eth0
link r2 direct pod5 direct
for name in r1 r2; do ip -n "$lab-$name" link set narrow mtu 1300; done
for name in r3 r4; do ip -n "$lab-$name" link set narrow mtu 1400; done
for name in r1 r2 r3 r4; do
	on $name sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
done

address far eth0 fd00:9::7/64
address r1 far fd00:9::1/64
address r1 narrow fd00:8::1/64
address r2 narrow fd00:8::2/64
address r2 eth0 2001:db8:1::2/64
address near eth0 fd00:7::7/64
address r2 near fd00:7::1/64
address r3 eth0 2001:db8:1::3/64
address r3 narrow fd00:2::1/64
address r4 narrow fd00:2::2/64
address r4 pods1 fd00:1:1::1/64
address r4 pods2 fd00:1:2::1/64
address pod1 eth0 fd00:1:1::11/64
address pod2 eth0 fd00:1:2::11/64
address r4 pods5 fd00:1:5::1/64
address pod5 eth0 fd00:1:5::11/64
address r2 direct fd00:6::1/64
address pod5 direct fd00:6::5/64
address pod3 eth0 2001:db8:1::23/64
address pod4 eth0 2001:db8:1::24/64
route far default via fd00:9::1
route r1 default via fd00:8::2
route r2 fd00:9::/64 via fd00:8::1
route r2 $vip6/128 dev eth0
route near default via fd00:7::1
# As dnat wants it, answers of the pods behind r3 come back to the gateway; those of dsr and ipip go their own way.
route r3 default via 2001:db8:1::11
route r3 fd00:1::/32 via fd00:2::2
route r4 default via fd00:2::1
route pod1 default via fd00:1:1::1
route pod2 default via fd00:1:2::1
route pod3 default via 2001:db8:1::2
route pod4 default via 2001:db8:1::2
route pod5 default via fd00:6::1

on pod3 ip address add $vip6/128 dev lo
for pod in pod4 pod5; do
	start $pod python3 "$here/lib/decapsulate.py"
	wait_for 10 on $pod ip link show decap
	on $pod ip link set decap up
	on $pod ip address add $vip6/128 dev decap
done
start pod1 python3 "$here/lib/echo.py" serve :: 7
start pod5 python3 "$here/lib/echo.py" serve $vip6 8
web_server pod1 8080
web_server pod2 8080
web_server pod3 82
web_server pod4 83
web_server pod5 84
head -c 1000000 /dev/urandom >"$lab_dir/file"
for pod in pod1 pod2 pod3 pod4 pod5; do
	cp "$lab_dir/file" "$lab_dir/$pod/www/file"
done
links_up gateway eth0
cat >"$lab_dir/stormgate.conf" <<END
dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; workers = [0, 0]; };
ports: ( { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["2001:db8:1::11/64"]; } );
snat: { addresses = ["2001:db8:1::100"]; };
control: { socket = "$lab_dir/stormgate.sock"; };
services: (
	{ name = "snat"; vip = "$vip6"; protocol = "tcp"; port = 80; backends = ( { address = "fd00:1:1::11"; port = 8080; } ); },
	{ name = "dnat"; vip = "$vip6"; protocol = "tcp"; port = 81; forward = "dnat";
	  backends = ( { address = "fd00:1:2::11"; port = 8080; } ); },
	{ name = "dsr"; vip = "$vip6"; protocol = "tcp"; port = 82; forward = "dsr";
	  backends = ( { address = "2001:db8:1::23"; } ); },
	{ name = "ipip"; vip = "$vip6"; protocol = "tcp"; port = 83; forward = "ipip";
	  backends = ( { address = "2001:db8:1::24"; } ); },
	{ name = "tunnel"; vip = "$vip6"; protocol = "tcp"; port = 84; forward = "ipip";
	  backends = ( { address = "fd00:1:5::11"; } ); },
	{ name = "echo"; vip = "$vip6"; protocol = "udp"; port = 7; backends = ( { address = "fd00:1:1::11"; } ); },
	{ name = "tunnel-echo"; vip = "$vip6"; protocol = "udp"; port = 8; forward = "ipip";
	  backends = ( { address = "fd00:1:5::11"; } ); }
);
END
gateway_start "$lab_dir/stormgate.conf"
route gateway fd00:9::/64 via 2001:db8:1::2 dev sg-p0
route gateway fd00:7::/64 via 2001:db8:1::2 dev sg-p0
route gateway fd00:1::/32 via 2001:db8:1::3 dev sg-p0

mtu_to() {
	on "$1" ip route get "$2" | grep -o 'mtu [0-9]*' || true
}

# How often r3 has said that something was too long.
said_too_long() {
	on r3 awk '$1 == "Icmp6OutPktTooBigs" { print $2 }' /proc/net/snmp6
}

# uploads PORT POD MTU: a client beside the gateway sends the file, over r3 to the pod. First, while pods have learned nothing:
# they announce only segments that fit the way that they know.
uploads() {
	on near ip -6 route flush cache
	wait_for 10 on near curl -sf --max-time 2 -o "$lab_dir/first" "http://[$vip6]:$1/"
	on near curl -sS --max-time 20 -T "$lab_dir/file" "http://[$vip6]:$1/put/file" || fail "port $1: no upload through the narrow hop"
	cmp "$lab_dir/file" "$lab_dir/$2/www/put/file"
	expect "what the client has learned of its way to port $1" "$(mtu_to near $vip6)" "mtu $3"
}
uploads 80 pod1 1400
uploads 81 pod2 1400
# In ipip, what r3 says is about the outer packet; and what one client has learned so, the gateway tells the next.
uploads 84 pod5 1360
said=$(said_too_long)
uploads 84 pod5 1360
expect "how often r3 has said it" "$(said_too_long)" "$said"

# downloads PORT: a client behind r2 gets the file, though the pod's first packets were too long for the way to him.
downloads() {
	wait_for 10 on far curl -sf --max-time 2 -o "$lab_dir/first" "http://[$vip6]:$1/"
	on far curl -sS --max-time 20 -o "$lab_dir/got" "http://[$vip6]:$1/file" || fail "port $1: no download through the narrow hop"
	cmp "$lab_dir/file" "$lab_dir/got"
}
downloads 80
expect "what pod1 has learned of its way" "$(mtu_to pod1 2001:db8:1::100)" 'mtu 1300'
downloads 81
expect "what pod2 has learned of its way" "$(mtu_to pod2 fd00:9::7)" 'mtu 1300'
downloads 82
expect "what pod3 has learned of its way" "$(mtu_to pod3 fd00:9::7)" 'mtu 1300'
downloads 83
expect "what pod4 has learned of its way" "$(mtu_to pod4 fd00:9::7)" 'mtu 1300'

expect "errors that no flow had asked for" "$(dropped icmp_unmatched)" 0

# Who cuts his datagrams for the narrow hop finds them cut no longer behind the gateway, which has put them together. (Errors
# about his later fragments are for nobody.)
for port in 8 7; do
	on near ip -6 route flush cache
	expect "echoes of port $port" "$(on near python3 "$here/lib/echo.py" ask $vip6 $port 1300 9000 30000)" 'all the same'
done
accounting_closes
