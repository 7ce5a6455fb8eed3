#!/usr/bin/env bash
# With one worker, taking turns is exact: each pod gets its weight's share, to the request.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

two_arms 3
web_server pod1
web_server pod2
web_server pod3
serve <<END
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; scheduler = "rr"; backends = (
  { address = "10.0.0.11"; port = 8080; weight = 1; },
  { address = "10.0.0.12"; port = 8080; weight = 2; },
  { address = "10.0.0.13"; port = 8080; weight = 3; } ); } );
END

# share N: how many of N requests each pod gets, in their order.
share() {
	ask client "http://$vip" "$1" | sort | uniq -c | while read -r count _; do
		echo -n "$count "
	done
}

expect "rr" "$(share 60)" '20 20 20 '
ctl service set web --scheduler wrr
expect "wrr 1 : 2 : 3" "$(share 60)" '10 20 30 '
# Nobody has a connection when the next request comes, or one that is being closed: only the weights are certain.
for scheduler in lc wlc maglev; do
	ctl service set web --scheduler $scheduler
	expect "answers with $scheduler" "$(ask client "http://$vip" 60 | grep -c '^pod[123]$')" 60
done
accounting_closes
