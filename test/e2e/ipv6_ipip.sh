#!/usr/bin/env bash
# Mode ipip over IPv6: packets reach the pod inside another IPv6 packet, over a router, and the pod answers the client
# directly. The pod takes the outer header off with a small program, so that the story needs no kernel module.
#
#   client 2001:db8:1::7 ---- p0 [stormgate] p1 fd00::1 ---- fd00::2 router ---- fd00:1::11 pod1
#             fd00:2::7 ---------------------------------------------------- fd00:2::11
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 0
node pod1
add_pod router 10.0.0.2
link router pods pod1 eth0
link client direct pod1 direct
address router pods fd00:1::1/64
address pod1 eth0 fd00:1::11/64
address client direct fd00:2::7/64
address pod1 direct fd00:2::11/64
on router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
route pod1 fd00::/64 via fd00:1::1
# The way of answers to the client, which leaves room for an outer header in what he sends.
on pod1 ip -6 route add 2001:db8:1::/64 via fd00:2::7 advmss 1400

start pod1 python3 "$here/lib/decapsulate.py"
wait_for 10 on pod1 ip link show decap
on pod1 ip link set decap up
on pod1 ip address add $vip6/128 dev decap
web_server pod1 80
head -c 3000000 /dev/urandom >"$lab_dir/pod1/www/3m"
serve <<END
services: ( { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; forward = "ipip";
  backends = ( { address = "fd00:1::11"; } ); } );
END
route gateway fd00:1::/64 via fd00::2 dev sg-p1

wait_for 10 get --max-time 1 "http://[$vip6]/"
expect "who answers" "$(ask client "http://[$vip6]" 50 | sort -u)" pod1
expect "a download" "$(get --max-time 60 "http://[$vip6]/3m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/3m")"
# An upload fills packets to the brim: they fit, because the pod says how long they may be.
get --max-time 60 -T "$lab_dir/pod1/www/3m" "http://[$vip6]/put/3m"
expect "an upload" "$(sha256sum <"$lab_dir/pod1/www/put/3m")" "$(sha256sum <"$lab_dir/pod1/www/3m")"
# And if he does not say, the gateway does.
on pod1 ip -6 route change 2001:db8:1::/64 via fd00:2::7
get --max-time 60 -T "$lab_dir/pod1/www/3m" "http://[$vip6]/put/again"
expect "an upload over the MTU" "$(sha256sum <"$lab_dir/pod1/www/put/again")" "$(sha256sum <"$lab_dir/pod1/www/3m")"
expect_like "the client's MTU to the VIP" "$(on client ip route get $vip6)" '*mtu 1460*'
expect "packets to clients" "$(stats '.services[0].packets_to_client')" 0
accounting_closes
