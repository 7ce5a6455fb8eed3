#!/usr/bin/env bash
# Jumbo frames on the pods' side, and first on both. Then the client's side has 1,500: TCP agrees on what fits, datagrams
# that may not be fragmented are refused with the MTU that is left, and those that may arrive in fragments.
#
#   client ---- p0 [stormgate] p1 ---- (=) ---- pod1
#        9000, then 1500        9000
. "$(dirname "$0")/lib/story.sh"

jumbo() { ip -n "$lab-$1" link set "$2" mtu "${3:-9000}"; }

two_arms 1
jumbo client eth0
jumbo gateway eth0
jumbo gateway eth1
jumbo switch gateway-eth1
jumbo switch pod1-eth0
jumbo pod1 eth0
web_server pod1
head -c 20000000 /dev/urandom >"$lab_dir/pod1/www/20m"
sum=$(sha256sum <"$lab_dir/pod1/www/20m")
start pod1 python3 "$here/lib/echo.py" serve 0.0.0.0 7

config() {
	config_two_arms | sed "s/twin = \"sg-p0\";/& mtu = $1;/; s/twin = \"sg-p1\";/& mtu = 9000;/"
	web_service 1 | sed '$s/);$//'
	echo ", { name = \"echo\"; vip = \"$vip\"; protocol = \"udp\"; port = 7; backends = ( { address = \"10.0.0.11\"; } ); } );"
}

config 9000 >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"
expect "a download" "$(get --max-time 60 "http://$vip/20m" | sha256sum)" "$sum"
received=$(stats .received)
# Segments of 8,960 bytes: 2,232 of them, not 13,700 of 1,460.
[ "$received" -lt 10000 ] || fail "$received packets for 20 MB: no jumbo frames"
expect "echoes" "$(on client python3 "$here/lib/echo.py" ask $vip 7 1473 8972 8973 30000)" 'all the same'
expect_like "a frame filled to the brim, with DF" "$(on client ping -M do -c 1 -W 2 -s 8972 $vip)" '*1 received*'
accounting_closes
kill "$gateway_pid"
wait "$gateway_pid" || true

jumbo client eth0 1500
jumbo gateway eth0 1500
config 1500 >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"
expect "a download into a smaller MTU" "$(get --max-time 60 "http://$vip/20m" | sha256sum)" "$sum"
expect "echoes, in fragments on one side" "$(on client python3 "$here/lib/echo.py" ask $vip 7 1473 8972 8973 30000)" 'all the same'
# A frame that is longer than the port takes is not taken for a shorter one.
jumbo client eth0
jumbo gateway eth0
on client ping -M do -c 1 -W 1 -s 5000 $vip >/dev/null && fail "a frame of 5,000 bytes passed a port of MTU 1500"
at_least "frames cut off" "$(dropped truncated)" 1
accounting_closes
