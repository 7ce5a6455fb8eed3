#!/usr/bin/env bash
# A port that no service declares is dropped, and `stormctl drops` names it and says what it means.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve

expect "before" "$(dropped unserved_port)" 0
refused --max-time 1 "http://$vip:81/"
at_least "after" "$(dropped unserved_port)" 1
[[ $(ctl drops) == *unserved_port* ]] || fail "stormctl drops does not name unserved_port: $(ctl drops)"
ctl drops -o json | jq -e '.drops[] | select(.name == "unserved_port") | .count > 0 and (.meaning | length > 20)' >/dev/null
expect "the declared port" "$(get "http://$vip/")" pod1
accounting_closes
