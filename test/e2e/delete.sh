#!/usr/bin/env bash
# A deleted backend finishes its flows for timeouts.drain, then both sides are told; with --now they are told at once.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
for pod in pod1 pod2; do
	head -c 50000000 /dev/urandom >"$lab_dir/$pod/www/slow"
done
{ web_service 1 2; echo 'timeouts: { drain = 2; };'; } | serve

# download: one that would take 25 seconds; curl's exit code 56 is "connection reset".
download() {
	rm -f "$lab_dir/slow"
	get --limit-rate 2M --max-time 60 -f -o "$lab_dir/slow" "http://$vip/slow" &
	download=$!
	wait_for 10 test -s "$lab_dir/slow"
}
reset() {
	local status=0
	wait "$download" || status=$?
	expect "curl's exit code" $status 56
}

ctl backend drain web 10.0.0.12:8080
download
ctl backend delete web 10.0.0.11:8080
ctl backend set web 10.0.0.12:8080 --weight 1
size=$(stat -c %s "$lab_dir/slow")
wait_for 2 bash -c "[ \$(stat -c %s '$lab_dir/slow') -gt $((size + 1000000)) ]"
reset
expect "the pod that is left" "$(ask client "http://$vip" 20 | sort -u)" pod2

download
ctl backend delete web 10.0.0.12:8080 --now
reset
accounting_closes
