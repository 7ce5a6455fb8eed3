#!/usr/bin/env bash
# Three pods behind one address: every request is answered, and all three answer some.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

two_arms 3
web_server pod1
web_server pod2
web_server pod3
web_service 1 2 3 | serve

ask client "http://$vip" 300 >"$lab_dir/answers"
expect answers "$(wc -l <"$lab_dir/answers")" 300
for pod in pod1 pod2 pod3; do
	at_least "answers of $pod" "$(grep -c "^$pod$" "$lab_dir/answers")" 50
done
at_least "flows created" "$(ctl status -o json | jq .flows)" 1
accounting_closes
