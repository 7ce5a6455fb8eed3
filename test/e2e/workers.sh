#!/usr/bin/env bash
# Four workers on two CPUs: flows are handed to their homes, each connection is counted by one worker.
#
#   client ---- [stormgate x 4] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

cpus=$(nproc)
two_arms 3
web_server pod1
web_server pod2
web_server pod3
head -c 20000000 /dev/urandom >"$lab_dir/pod1/www/20m"
cp "$lab_dir/pod1/www/20m" "$lab_dir/pod2/www/"
cp "$lab_dir/pod1/www/20m" "$lab_dir/pod3/www/"
web_service 1 2 3 | serve "workers = [0, $((1 % cpus)), 0, $((1 % cpus))];"

load_start client "http://$vip"
load_goes_on 1000
expect "a download beside it" "$(get --max-time 60 "http://$vip/20m" | sha256sum)" \
	"$(sha256sum <"$lab_dir/pod1/www/20m")"
load_stop
expect "failed requests of $load_asked" "$load_failed" 0
expect "workers" "$(ctl status -o json | jq .workers)" 4
expect "flows created" "$(stats '[.workers[].new_flows] | add')" $((load_asked + 1))
for worker in 0 1 2 3; do
	at_least "flows of worker $worker" "$(stats ".workers[$worker].new_flows")" $((load_asked / 20))
done
expect "hand-offs out and in" "$(stats '[.workers[], .twin | .handed_out - .handed_in] | add')" 0
accounting_closes
