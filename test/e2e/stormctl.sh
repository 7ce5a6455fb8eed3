#!/usr/bin/env bash
# The operator's client: every verb, its exit code, and the stable JSON that other programs read.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
exits 3 ctl status
serve </dev/null

exits 2 ctl
exits 2 ctl no-such-verb
exits 2 ctl backend drain
exits 0 ctl --help
for object in status:version,instance,generation,uptime_s,workers,services,flows \
	stats:received,generated,forwarded,punted,consumed,in_flight,dropped,workers,services drops:drops; do
	ctl "${object%%:*}" -o json | jq -e --arg keys "${object#*:}" '. as $o | $keys | split(",") | all(in($o))' >/dev/null ||
		fail "stormctl ${object%%:*} -o json lacks one of ${object#*:}"
done
expect "the instance" "$(ctl -o json status | jq -r .instance)" "$lab"

exits 0 ctl service list
exits 0 ctl service add web --vip $vip --protocol tcp --port 80
exits 1 ctl service add web --vip $vip --protocol tcp --port 80
[[ $said == *web* ]] || fail "the service is not named: $said"
exits 1 ctl service add bad --vip 300.1.1.1 --protocol tcp --port 80
exits 1 ctl service show no-such-service
exits 0 ctl backend add web 10.0.0.11:8080
exits 0 ctl backend add web 10.0.0.12:8080 --weight 3
exits 1 ctl backend add no-such-service 10.0.0.11:8080
exits 1 ctl backend drain web 10.0.0.99:8080
exits 0 ctl service show web
[[ $said == *10.0.0.12* ]] || fail "show does not name the backend: $said"
expect "pods that answer" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
exits 0 ctl service set web --scheduler rr
[ "$(ctl flows --service web -o json | jq '.flows | length')" -gt 0 ] || fail "no flow is shown"
exits 0 ctl flows --limit 1
exits 0 ctl drops

exits 0 ctl service delete web
refused --max-time 1 "http://$vip/"
exits 1 ctl service delete web
accounting_closes
