#!/usr/bin/env bash
# Path MTU discovery through the gateway, in each mode: a router on the way to a client, and one on the way to a pod, have
# too little room and say so; what they say reaches whoever has to send smaller packets, and files arrive.
#
#   far 10.9.0.7 ---- r1 --1300-- r2 .2 ----(=)---- r3 .3 --1400-- r4 ---- pod1 10.1.0.11, pod2 .20, pod5 .40
#            near 10.7.0.7 -------/          | |
#                198.51.100.11 [stormgate] --+ +---- pod3 .23, pod4 .24, which answer past the gateway, through r2, as pod5 does
. "$(dirname "$0")/lib/story.sh"

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
	on $name sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		for all in /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$all; done'
done

address far eth0 10.9.0.7/24
address r1 far 10.9.0.1/24
address r1 narrow 10.8.0.1/24
address r2 narrow 10.8.0.2/24
address r2 eth0 198.51.100.2/24
address near eth0 10.7.0.7/24
address r2 near 10.7.0.1/24
address r3 eth0 198.51.100.3/24
address r3 narrow 10.2.0.1/24
address r4 narrow 10.2.0.2/24
address r4 pods1 10.1.0.1/28
address r4 pods2 10.1.0.17/28
address pod1 eth0 10.1.0.11/28
address pod2 eth0 10.1.0.20/28
address r4 pods5 10.1.0.33/28
address pod5 eth0 10.1.0.40/28
address r2 direct 10.6.0.1/24
address pod5 direct 10.6.0.5/24
address pod3 eth0 198.51.100.23/24
address pod4 eth0 198.51.100.24/24
route far default via 10.9.0.1
route r1 default via 10.8.0.2
route r2 10.9.0.0/24 via 10.8.0.1
route r2 $vip/32 dev eth0
route near default via 10.7.0.1
# As dnat wants it, answers of the pods behind r3 come back to the gateway; those of dsr and ipip go their own way.
route r3 default via 198.51.100.11
route r3 10.1.0.0/24 via 10.2.0.2
route r4 default via 10.2.0.1
route pod1 default via 10.1.0.1
route pod2 default via 10.1.0.17
route pod3 default via 198.51.100.2
route pod4 default via 198.51.100.2
route pod5 default via 10.6.0.1

on pod3 sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
on pod3 ip address add $vip/32 dev lo
for pod in pod4 pod5; do
	on $pod sh -c 'for all in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$all; done
		echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
	start $pod python3 "$here/lib/decapsulate.py"
	wait_for 10 on $pod ip link show decap
	on $pod ip link set decap up
	on $pod ip address add $vip/32 dev decap
	on $pod sh -c 'echo 0 >/proc/sys/net/ipv4/conf/decap/rp_filter'
done
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
ports: ( { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["198.51.100.11/24"]; } );
snat: { addresses = ["198.51.100.100"]; };
control: { socket = "$lab_dir/stormgate.sock"; };
services: (
	{ name = "snat"; vip = "$vip"; protocol = "tcp"; port = 80; backends = ( { address = "10.1.0.11"; port = 8080; } ); },
	{ name = "dnat"; vip = "$vip"; protocol = "tcp"; port = 81; forward = "dnat";
	  backends = ( { address = "10.1.0.20"; port = 8080; } ); },
	{ name = "dsr"; vip = "$vip"; protocol = "tcp"; port = 82; forward = "dsr";
	  backends = ( { address = "198.51.100.23"; } ); },
	{ name = "ipip"; vip = "$vip"; protocol = "tcp"; port = 83; forward = "ipip";
	  backends = ( { address = "198.51.100.24"; } ); },
	{ name = "tunnel"; vip = "$vip"; protocol = "tcp"; port = 84; forward = "ipip";
	  backends = ( { address = "10.1.0.40"; } ); }
);
END
gateway_start "$lab_dir/stormgate.conf"
route gateway 10.9.0.0/24 via 198.51.100.2 dev sg-p0
route gateway 10.7.0.0/24 via 198.51.100.2 dev sg-p0
route gateway 10.1.0.0/24 via 198.51.100.3 dev sg-p0

mtu_to() {
	on "$1" ip route get "$2" | grep -o 'mtu [0-9]*' || true
}

# How often r3 has said that something was too long.
said_too_long() {
	on r3 nstat -asz IcmpOutDestUnreachs | awk '$1 == "IcmpOutDestUnreachs" { print $2 }'
}

# uploads PORT POD MTU: a client beside the gateway sends the file, over r3 to the pod. First, while pods have learned nothing:
# they announce only segments that fit the way that they know.
uploads() {
	on near ip route flush cache
	wait_for 10 on near curl -sf --max-time 2 -o "$lab_dir/first" "http://$vip:$1/"
	on near curl -sS --max-time 20 -T "$lab_dir/file" "http://$vip:$1/put/file" || fail "port $1: no upload through the narrow hop"
	cmp "$lab_dir/file" "$lab_dir/$2/www/put/file"
	expect "what the client has learned of its way to port $1" "$(mtu_to near $vip)" "mtu $3"
}
uploads 80 pod1 1400
uploads 81 pod2 1400
# In ipip, what r3 says is about the outer packet; and what one client has learned so, the gateway tells the next.
uploads 84 pod5 1380
said=$(said_too_long)
uploads 84 pod5 1380
expect "how often r3 has said it" "$(said_too_long)" "$said"

# downloads PORT: a client behind r2 gets the file, though the pod's first packets were too long for the way to him.
downloads() {
	wait_for 10 on far curl -sf --max-time 2 -o "$lab_dir/first" "http://$vip:$1/"
	on far curl -sS --max-time 20 -o "$lab_dir/got" "http://$vip:$1/file" || fail "port $1: no download through the narrow hop"
	cmp "$lab_dir/file" "$lab_dir/got"
}
downloads 80
expect "what pod1 has learned of its way" "$(mtu_to pod1 198.51.100.100)" 'mtu 1300'
downloads 81
expect "what pod2 has learned of its way" "$(mtu_to pod2 10.9.0.7)" 'mtu 1300'
downloads 82
expect "what pod3 has learned of its way" "$(mtu_to pod3 10.9.0.7)" 'mtu 1300'
downloads 83
expect "what pod4 has learned of its way" "$(mtu_to pod4 10.9.0.7)" 'mtu 1300'

expect "errors that no flow had asked for" "$(dropped icmp_unmatched)" 0
accounting_closes
