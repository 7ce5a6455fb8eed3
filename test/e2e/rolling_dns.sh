#!/usr/bin/env bash
# Ten thousand queries a second while the name servers are drained, removed and brought back, one after the other, all the
# time: the gateway loses none. How fast this machine really was is printed, and what a host lost whose buffers were full
# is no loss of the gateway's.
#
#   client, dnsperf ---- [stormgate] ---- (=) ---- pod1 pod2 pod3 pod4
. "$(dirname "$0")/lib/story.sh"

rate=10000 seconds=12
pods='1 2 3 4'
two_arms 4
rows=()
for pod in $pods; do
	name_server pod$pod 203.0.113.$pod
	rows+=("{ address = \"10.0.0.1$pod\"; }")
done
serve <<END
services: ( { name = "dns"; vip = "$vip"; protocol = "udp"; port = 53; scheduler = "rr";
  backends = ( $(IFS=,; echo "${rows[*]}") ); } );
END

# Every pod has been spoken to, so that no query of the load waits for ARP.
all_answer() {
	local n
	for n in {1..8}; do on client dig +short +time=1 +tries=1 @$vip name.test; done | sort -u | grep -c '^203\.0\.113\.[1-4]$' |
		grep -qx 4
}
wait_for 20 all_answer
drops=$(ctl drops -o json)

echo 'name.test A' >"$lab_dir/names"
on client dnsperf -s $vip -d "$lab_dir/names" -c 400 -q 2000 -Q $rate -l $seconds -t 2 >"$lab_dir/dnsperf.log" 2>&1 &
load=$!
queries() {
	[ "$(stats '.services[0].packets_to_backend')" -ge "$1" ]
}
wait_for 20 queries 1000
changes=0
while [ -d /proc/$load ]; do
	for pod in $pods; do
		ctl backend drain dns 10.0.0.1$pod:53
		ctl backend delete dns 10.0.0.1$pod:53
		ctl backend add dns 10.0.0.1$pod:53
		changes=$((changes + 3))
	done >>"$lab_dir/changes.log" 2>&1
done
wait $load || fail "dnsperf: $(cat "$lab_dir/dnsperf.log")"

figure() {
	sed -n "s/^ *$1: *\([0-9]*\).*/\1/p" "$lab_dir/dnsperf.log"
}
sent=$(figure 'Queries sent') completed=$(figure 'Queries completed')
echo "$sent queries in $seconds s, $completed answered, $changes changes"
at_least "changes" $changes 20
expect "changes that failed" "$(grep error "$lab_dir/changes.log" || true)" ''
expect "drops" "$(ctl drops -o json)" "$drops"
# What the gateway has got it has sent on, queries and answers.
expect "packets received and not forwarded" \
	"$(stats '.received + .generated - .forwarded - .punted - .consumed - .in_flight - ([.dropped[]?] | add // 0)')" 0
expect "answers that nobody had asked for" "$(grep -i unexpected "$lab_dir/dnsperf.log" || true)" ''
at_least "answers" "$completed" $((sent * 9 / 10))
accounting_closes
