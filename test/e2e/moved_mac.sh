#!/usr/bin/env bash
# A pod that comes back with another MAC address is found at once, by new flows and by those that run.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
head -c 20000000 /dev/urandom >"$lab_dir/pod1/www/slow"
web_service 1 | serve
get --limit-rate 4M --max-time 60 -f -o "$lab_dir/slow" "http://$vip/slow" &
download=$!
wait_for 10 test -s "$lab_dir/slow"

on pod1 ip link set eth0 down
on pod1 ip link set eth0 address 02:00:00:00:00:77
on pod1 ip link set eth0 up
# As any host that comes up, it speaks: that is how the gateway's kernel hears of the new address.
wait_for 5 on pod1 ping -c 1 -W 1 10.0.0.1
wait_for 5 get --max-time 1 "http://$vip/"
wait $download || fail "the running download did not survive"
cmp "$lab_dir/slow" "$lab_dir/pod1/www/slow"
accounting_closes
