#!/usr/bin/env bash
# An idle gateway sleeps until something comes: from a client, from the node itself, or from one worker to another.
#
#   client ---- p0 [stormgate x 2] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

cpus=$(nproc)
two_arms 1
web_server pod1
web_service 1 | serve "workers = [0, $((1 % cpus))];"

sleeps() {
	stats '.workers | map(.sleeps) | min'
}

slept() {
	[ "$(sleeps)" -ge "$1" ]
}

# Whoever looks every 200 us sleeps 5,000 times a second.
rests() {
	local before began=${EPOCHREALTIME/./}
	before=$(stats '[.workers[].sleeps] | add')
	wait_for 10 slept $(($(sleeps) + 20))
	[ $((($(stats '[.workers[].sleeps] | add') - before) * 1000)) -lt $((${EPOCHREALTIME/./} - began)) ]
}

# It leads its session, so the kernel serves that before others.
if [ -e /proc/self/autogroup ]; then
	expect_like "the session" "$(cat /proc/$gateway_pid/autogroup)" '*nice -10'
fi
wait_for 10 rests
on client ping -c 3 -i 0.2 -W 2 198.51.100.11
expect "a request to a pod" "$(get http://$vip/)" pod1
expect "the node as a client of a pod" "$(on gateway curl -sS --max-time 5 http://10.0.0.11:8080/)" pod1
# From ports enough that both workers have flows, whichever of them the packets come to.
expect "twenty requests" "$(ask client http://$vip 20 | sort | uniq -c | tr -s ' ')" ' 20 pod1'
at_least "what workers gave each other" "$(stats '[.workers[].handed_out] | add')" 1
wait_for 10 rests

# A cable that is pulled is no reason to stay awake.
ip -n "$lab-client" link set eth0 down
wait_for 10 on gateway grep -q down /sys/class/net/sg-p0/operstate
wait_for 10 rests
ip -n "$lab-client" link set eth0 up
wait_for 10 on client ping -c 1 -W 1 198.51.100.11
accounting_closes
