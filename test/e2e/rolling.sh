#!/usr/bin/env bash
# Backends come, go, drain and change weight while requests run, and no request fails.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3 pod4
. "$(dirname "$0")/lib/story.sh"

two_arms 4
for pod in pod1 pod2 pod3 pod4; do
	web_server $pod
done
web_service 1 2 3 | serve

load_start client "http://$vip"
load_goes_on 200
ctl backend drain web 10.0.0.12:8080
load_goes_on 200
ctl backend add web 10.0.0.14:8080 --weight 2
load_goes_on 200
ctl backend delete web 10.0.0.13:8080
load_goes_on 200
ctl backend set web 10.0.0.12:8080 --weight 3
load_goes_on 200
ctl backend delete web 10.0.0.11:8080
load_goes_on 200
load_stop
expect "failed requests of $load_asked" "$load_failed" 0

ask client "http://$vip" 200 | sort -u >"$lab_dir/pods"
expect "pods that answer in the end" "$(paste -sd ' ' "$lab_dir/pods")" 'pod2 pod4'
accounting_closes
