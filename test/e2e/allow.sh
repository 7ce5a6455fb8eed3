#!/usr/bin/env bash
# Only sources in `allow` start flows; the others are dropped by name. An empty list lets nobody in.
#
#   client 198.51.100.7 and .99 ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
address client eth0 198.51.100.99/24
web_server pod1
serve <<END
services: (
	{ name = "some"; vip = "$vip"; protocol = "tcp"; port = 80; allow = ["198.51.100.0/28"];
	  backends = ( { address = "10.0.0.11"; port = 8080; } ); },
	{ name = "none"; vip = "$vip"; protocol = "tcp"; port = 81; allow = [];
	  backends = ( { address = "10.0.0.11"; port = 8080; } ); }
);
END

expect "an allowed source" "$(get --interface 198.51.100.7 "http://$vip/")" pod1
expect "drops so far" "$(dropped not_allowed)" 0
refused --max-time 1 --interface 198.51.100.99 "http://$vip/"
at_least "drops of the other source" "$(dropped not_allowed)" 1
count=$(dropped not_allowed)
refused --max-time 1 --interface 198.51.100.7 "http://$vip:81/"
at_least "drops of the closed service" "$(dropped not_allowed)" $((count + 1))
accounting_closes
