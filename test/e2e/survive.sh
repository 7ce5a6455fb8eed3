#!/usr/bin/env bash
# What was asked for through the socket survives: a restart, and kill -9 at twenty odd moments while it is written. Nothing that was
# answered is lost, and a state file that is damaged is set aside instead of being believed.
#
#   client ---- [stormgate, again and again] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

state_file=$lab_dir/state
control_settings="state_file = \"$state_file\";"
two_arms 3
web_server pod1
web_server pod2
web_server pod3
web_service 1 2 3 | serve
config=$lab_dir/stormgate.conf

# weight N: what the gateway says of pod N.
weight() {
	ctl service show web -o json | jq -r ".backends[] | select(.address == \"10.0.0.1$1\").weight"
}

# change N: sets the weight of pod N again and again, and notes what was answered.
change() {
	local n=1
	while :; do
		n=$((n % 60000 + 1))
		ctl backend set web "10.0.0.1$1:8080" --weight $n >/dev/null 2>&1 && echo $n >"$lab_dir/answered$1.new" &&
			mv "$lab_dir/answered$1.new" "$lab_dir/answered$1"
	done
}

answered_more() {
	[ "$(cat "$lab_dir/answered$1" 2>/dev/null || echo 0)" != "$2" ]
}

answers=0
for round in {1..20}; do
	changers=()
	for pod in 1 2 3; do
		before[pod]=$(cat "$lab_dir/answered$pod" 2>/dev/null || echo 0)
		change $pod &
		changers+=($!)
	done
	for pod in 1 2 3; do
		wait_for 10 answered_more $pod "${before[pod]}"
	done
	kill -KILL "$gateway_pid"
	kill -KILL "${changers[@]}"
	wait "$gateway_pid" "${changers[@]}" 2>/dev/null || true
	gateway_start "$config"
	for pod in 1 2 3; do
		last=$(cat "$lab_dir/answered$pod")
		answers=$((answers + last))
		got=$(weight $pod)
		# The one that was on its way may have come to the disk before its answer went out.
		[ "$got" = "$last" ] || [ "$got" = $((last % 60000 + 1)) ] ||
			fail "round $round: weight $last of pod$pod was answered, and after kill -9 it is $got"
	done
done
at_least "answered changes" $answers 60
[ ! -e "$state_file.corrupt" ] || fail "a state file was taken for corrupt"
expect "pods that answer" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2 pod3'

# A service that the file does not have, and an orderly end.
exits 0 ctl service add extra --vip 192.0.2.77 --protocol tcp --port 80
exits 0 ctl backend add extra 10.0.0.11:8080
kill -TERM "$gateway_pid"
wait "$gateway_pid"
gateway_start "$config"
expect "the service that was added" "$(get http://192.0.2.77/)" pod1

# A damaged file: nothing of it is used, and it is kept for who wants to look.
kill -TERM "$gateway_pid"
wait "$gateway_pid"
truncate -s -10 "$state_file"
gateway_start "$config"
[ -e "$state_file.corrupt" ] || fail "the damaged state file is not set aside"
grep -q "$state_file is corrupt (it is cut off)" "$lab_dir/gateway.log" || fail "the log does not say that the state file is corrupt"
expect "services" "$(ctl service list -o json | jq -c '[.services[].name]')" '["web"]'
expect "weights of the config file" "$(weight 1) $(weight 2) $(weight 3)" '1 1 1'

# A disk that refuses stops nobody.
rm "$state_file"
mkdir -p "$state_file.new"
ctl service delete web 2>&1 | grep -q 'would not survive a restart' || fail "nobody says that it is not kept"
expect "status" "$(ctl status -o json | jq .persisted)" false
rmdir "$state_file.new"
persisted() {
	[ "$(ctl status -o json | jq .persisted)" = true ]
}
wait_for 5 persisted
