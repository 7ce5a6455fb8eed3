#!/usr/bin/env bash
# SIGTERM first stops answering for the VIPs, lets established connections come to their end, and waits for nothing else.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

shutdown_timeout=30
two_arms 1
web_server pod1
head -c 8000000 /dev/zero >"$lab_dir/pod1/www/long"
log=$lab_dir/gateway.log

# logged PATTERN
logged() {
	grep -q -- "$1" "$log"
}

# announced: whether somebody answers the client's ARP for the VIP.
cat >"$lab_dir/who.py" <<'END'
import logging, sys
logging.disable()
from scapy.all import ARP, Ether, srp1
answer = srp1(Ether(dst='ff:ff:ff:ff:ff:ff') / ARP(pdst=sys.argv[1]), iface='eth0', timeout=1, verbose=0)
print('yes' if answer else 'no')
END
announced() {
	on client timeout 20 /usr/bin/python3 "$lab_dir/who.py" $vip
}

# download FILE: a download into it that stands still until `let_go FILE`; then it goes on to its end.
download() {
	mkfifo "$lab_dir/$1.gate"
	start client bash -c 'curl -sS "$1" | { read -r <"$2.gate"; cat >"$2"; }' download "http://$vip/long" "$lab_dir/$1"
	wait_for 5 is_established
}

is_established() {
	[ "$(ctl flows -o json | jq '[.flows[] | select(.state == "established")] | length')" = 1 ]
}

let_go() {
	echo >"$lab_dir/$1.gate"
}

ends() {
	local status=0
	wait "$gateway_pid" || status=$?
	expect "exit status" $status 0
}

# A download goes on to its end.
web_service 1 | serve
expect "whether the VIP is answered for" "$(announced)" yes
download got
download=$started
kill -TERM "$gateway_pid"
wait_for 5 logged 'the VIPs are not answered for any more'
expect "whether the VIP is answered for while it ends" "$(announced)" no
expect "what a client that knows the way gets" "$(get "http://$vip/")" pod1
let_go got
wait "$download" || fail "the download was cut off"
cmp "$lab_dir/got" "$lab_dir/pod1/www/long"
ends
logged 'no established TCP connection is left' || fail "the log does not say how it ended"

# A second signal ends it at once.
web_service 1 | serve
download second
kill -TERM "$gateway_pid"
wait_for 5 logged 'the VIPs are not answered for any more'
kill -TERM "$gateway_pid"
ends
logged 'stopping at once' || fail "the second signal is not told"

# One that does not end is cut off when the time is over.
shutdown_timeout=1
web_service 1 | serve
download third
kill -TERM "$gateway_pid"
ends
logged '1 s are over: stopping with 1 established' || fail "the log does not say what was cut off"

# Without a connection there is nothing to wait for.
shutdown_timeout=30
web_service 1 | serve
get "http://$vip/" >/dev/null
kill -TERM "$gateway_pid"
ends
