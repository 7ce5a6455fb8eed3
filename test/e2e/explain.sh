#!/usr/bin/env bash
# What stormgate says would happen to a packet is what happens, and the exit status says whether it gets there.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
web_server pod1
web_server pod2
serve <<END2
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; scheduler = "rr"; backends = (
  { address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; } ); } );
END2

# Whom it names is who answers, turn after turn; asking takes no turn and makes no flow.
wait_for 10 get "http://$vip"
for _ in 1 2 3 4; do
	backend=$(ctl explain tcp 198.51.100.7:40000 "$vip:80" -o json | jq -r .backend)
	expect "asked again" "$(ctl explain tcp 198.51.100.7:40000 "$vip:80" -o json | jq -r .backend)" "$backend"
	flows=$(stats '[.workers[].new_flows] | add')
	expect "who answers" "$(get "http://$vip")" "$([ "$backend" = 10.0.0.11:8080 ] && echo pod1 || echo pod2)"
	expect "new flows" "$(stats '[.workers[].new_flows] | add')" $((flows + 1))
done

exits 0 ctl explain tcp 198.51.100.7:40000 "$vip:80"
for step in packet worker flow service policy choice backend rewrite 'next hop' port end; do
	expect_like "the step $step" "$said" *$'\n'"$step  "*
done
exits 1 ctl explain tcp 198.51.100.7:40000 "$vip:81"
expect_like "an undeclared port" "$said" '*dropped as unserved_port:*'
ctl policy set --deny 198.51.100.0/25
exits 1 ctl explain tcp 198.51.100.7:40000 "$vip:80"
expect_like "a denied source" "$said" '*denied: 198.51.100.0/25 is in deny of the policy for all services*'
refused "http://$vip" || fail "a denied client was served"
ctl policy set --deny nobody
exits 0 ctl explain tcp 198.51.100.7:40000 "$vip:80"
get "http://$vip" >/dev/null
accounting_closes
