#!/usr/bin/env bash
# A backend that is not there costs its packets a name, and nobody else anything.
#
#   client ---- [stormgate] ---- (=) ---- pod1, and nobody at 10.0.0.99
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
serve <<END
services: (
	{ name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; backends = ( { address = "10.0.0.11"; port = 8080; } ); },
	{ name = "gone"; vip = "$vip"; protocol = "tcp"; port = 81; backends = ( { address = "10.0.0.99"; port = 8080; } ); }
);
END

refused --max-time 2 "http://$vip:81/"
wait_for 3 drops_at_least nexthop_unresolved 1
expect "the other service" "$(get "http://$vip/")" pod1

# It appears: the kernel finds it and so does stormgate.
add_pod late 10.0.0.99
web_server late
wait_for 15 get --max-time 2 "http://$vip:81/"
accounting_closes
