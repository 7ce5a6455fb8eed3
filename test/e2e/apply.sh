#!/usr/bin/env bash
# apply takes the whole desired state or nothing of it, and export prints what apply accepts.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
serve </dev/null

# state BACKEND...: what `apply` reads.
state() {
	local backends=() one
	for one in "$@"; do
		backends+=("{\"address\":\"$one\",\"port\":8080,\"weight\":1}")
	done
	(IFS=,; cat <<-END
		{"owner":"operator","services":[{"name":"web","vip":"$vip","protocol":"tcp","port":80,
		 "scheduler":"maglev","forward":"snat","backends":[${backends[*]}]}]}
	END
	)
}

state 10.0.0.11 10.0.0.12 >"$lab_dir/two.json"
state 10.0.0.11 10.0.0.300 >"$lab_dir/bad.json"
exits 0 ctl apply --dry-run -f "$lab_dir/two.json"
refused --max-time 1 "http://$vip/"

exits 0 ctl apply -f "$lab_dir/two.json"
expect "pods that answer" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
exported=$(ctl export)

exits 1 ctl apply -f "$lab_dir/bad.json"
[[ $said == *10.0.0.300* ]] || fail "the bad address is not named: $said"
expect "the state after a refusal" "$(ctl export)" "$exported"
exits 1 ctl apply -f "$lab_dir/two.json" --owner somebody
exits 1 ctl apply -f "$lab_dir/absent.json"

load_start client "http://$vip"
load_goes_on 100
state 10.0.0.12 | ctl apply -f -
load_goes_on 100
load_stop
expect "failed requests of $load_asked" "$load_failed" 0
expect "the pod that is left" "$(ask client "http://$vip" 50 | sort -u)" pod2

ctl apply -f - <<<"$exported"
expect "the exported state, applied" "$(ctl export)" "$exported"
expect "pods again" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
accounting_closes
