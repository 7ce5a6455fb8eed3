#!/usr/bin/env bash
# A draining backend gets nothing new, finishes what it has, and comes back with its weight.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
head -c 20000000 /dev/urandom >"$lab_dir/pod1/www/slow"
web_service 1 2 | serve

# A download that is limited by the client runs across the drain, on pod1: pod2 has no such file.
until_pod1() {
	get --limit-rate 5M --max-time 60 -f -o "$lab_dir/slow" "http://$vip/slow"
}
ctl backend drain web 10.0.0.12:8080
until_pod1 &
download=$!
wait_for 10 test -s "$lab_dir/slow"
ctl backend drain web 10.0.0.11:8080
ctl backend set web 10.0.0.12:8080 --weight 1
expect "pods while pod1 drains" "$(ask client "http://$vip" 50 | sort -u)" pod2
wait $download || fail "the download did not survive the drain of its backend"
cmp "$lab_dir/slow" "$lab_dir/pod1/www/slow"

ctl backend drain web 10.0.0.11:8080 # again: nothing changes
ctl backend set web 10.0.0.11:8080 --weight 1
expect "pods in the end" "$(ask client "http://$vip" 100 | sort -u | wc -l)" 2
accounting_closes
