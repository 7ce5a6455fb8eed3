#!/usr/bin/env bash
# Mode ipip: packets reach the pod inside another packet, over a router, and the pod answers the client directly. The pod
# takes the outer header off with a small program, so that the story needs no kernel module.
#
#   client 198.51.100.7 ---- p0 [stormgate] p1 10.0.0.1 ---- 10.0.0.2 router ---- 10.1.0.11 pod1
#         10.2.0.7 --------------------------------------------------------------- 10.2.0.11
. "$(dirname "$0")/lib/story.sh"

two_arms 0
node pod1
add_pod router 10.0.0.2
link router pods pod1 eth0
link client direct pod1 direct
address router pods 10.1.0.1/24
address pod1 eth0 10.1.0.11/24
address client direct 10.2.0.7/24
address pod1 direct 10.2.0.11/24
on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
route pod1 10.0.0.0/24 via 10.1.0.1
# The way of answers to the client, which leaves room for an outer header in what he sends.
on pod1 ip route add 198.51.100.0/24 via 10.2.0.7 advmss 1440
on pod1 sh -c 'for all in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$all; done'
on client sh -c 'for all in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$all; done'

start pod1 python3 "$here/lib/decapsulate.py"
wait_for 10 on pod1 ip link show decap
on pod1 ip link set decap up
on pod1 ip address add $vip/32 dev decap
on pod1 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/decap/rp_filter'
web_server pod1 80
head -c 3000000 /dev/urandom >"$lab_dir/pod1/www/3m"
serve <<END
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; forward = "ipip";
  backends = ( { address = "10.1.0.11"; } ); } );
END
route gateway 10.1.0.0/24 via 10.0.0.2 dev sg-p1

wait_for 10 get --max-time 1 "http://$vip/"
expect "who answers" "$(ask client "http://$vip" 50 | sort -u)" pod1
expect "a download" "$(get --max-time 60 "http://$vip/3m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/3m")"
# An upload fills packets to the brim: they fit, because the pod says how long they may be.
get --max-time 60 -T "$lab_dir/pod1/www/3m" "http://$vip/put/3m"
expect "an upload" "$(sha256sum <"$lab_dir/pod1/www/put/3m")" "$(sha256sum <"$lab_dir/pod1/www/3m")"
# And if he does not say, the gateway does.
on pod1 ip route change 198.51.100.0/24 via 10.2.0.7
get --max-time 60 -T "$lab_dir/pod1/www/3m" "http://$vip/put/again"
expect "an upload over the MTU" "$(sha256sum <"$lab_dir/pod1/www/put/again")" "$(sha256sum <"$lab_dir/pod1/www/3m")"
expect_like "the client's MTU to the VIP" "$(on client ip route get $vip)" '*mtu 1480*'
expect "packets to clients" "$(stats '.services[0].packets_to_client')" 0
accounting_closes
