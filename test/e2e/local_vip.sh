#!/usr/bin/env bash
# A VIP that the node has on lo, too, is served all the same, and whoever looks at the log or at `status` learns of it.
#
#   client ---- [stormgate, 192.0.2.10 on lo] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
address gateway lo $vip/32
web_service 1 | serve

warnings() {
	ctl status -o json | jq -r '.warnings[]'
}

warned() {
	[[ $(warnings) == *"$vip"* ]]
}

told() {
	grep -c "warning: VIP $vip is also an address of lo: .*arp_ignore" "$lab_dir/gateway.log" || true
}

wait_for 5 warned
expect "a request" "$(get http://$vip/)" pod1
expect_like "status" "$(ctl status 2>&1)" "*VIP $vip is also an address of lo*"
# Another change of either side is no reason to say it again.
address gateway lo 192.0.2.99/32
ctl backend set web 10.0.0.11:8080 --weight 2 >/dev/null
ctl service add dns --vip 192.0.2.99 --protocol udp --port 53 >/dev/null
both_are_warned_of() {
	[[ $(warnings) == *192.0.2.99* ]]
}
wait_for 5 both_are_warned_of
expect "lines about it" "$(told)" 1

ip -n "$lab-gateway" address delete $vip/32 dev lo
ip -n "$lab-gateway" address delete 192.0.2.99/32 dev lo
is_over() {
	[ -z "$(warnings)" ]
}
wait_for 5 is_over
