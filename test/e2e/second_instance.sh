#!/usr/bin/env bash
# A second stormgate of the same instance is refused by name, and the first does not notice. Another instance starts.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve

exits 1 on gateway timeout 20 "$build/app/stormgate/stormgate" -c "$lab_dir/stormgate.conf"
[[ $said == *"$lab"* ]] || fail "the instance is not named: $said"
expect "the first" "$(get "http://$vip/")" pod1
ctl status >/dev/null

# Another machine's worth of namespace, the same filesystem: another instance name is enough.
node other
ip -n "$lab-other" link add eth0 type veth peer name eth1
for end in eth0 eth1; do
	ip -n "$lab-other" link set $end up
done
sed "s/instance = \"$lab\"/instance = \"$lab-b\"/; s/stormgate.sock/other.sock/" "$lab_dir/stormgate.conf" \
	>"$lab_dir/other.conf"
start other "$build/app/stormgate/stormgate" -c "$lab_dir/other.conf"
wait_for 20 "$build/app/stormctl/stormctl" -s "$lab_dir/other.sock" status
expect "the first beside it" "$(get "http://$vip/")" pod1
kill -TERM "$started"
wait "$started" || fail "the other instance did not end cleanly"
