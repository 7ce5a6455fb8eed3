#!/usr/bin/env bash
# A backend on one of the node's own addresses (hostNetwork on the ingress node) is reached through the twin.
#
#   client ---- p0 [stormgate, nginx on 10.0.0.1:8080] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_server gateway 8080
head -c 5000000 /dev/urandom >"$lab_dir/gateway/www/5m"
serve <<END
services: (
	{ name = "own"; vip = "$vip"; protocol = "tcp"; port = 80; backends = ( { address = "10.0.0.1"; port = 8080; } ); },
	{ name = "both"; vip = "$vip"; protocol = "tcp"; port = 81; scheduler = "rr";
	  backends = ( { address = "10.0.0.1"; port = 8080; }, { address = "10.0.0.11"; port = 8080; } ); }
);
END

expect "the node's own nginx" "$(ask client "http://$vip" 20 | sort -u)" gateway
expect "both" "$(ask client "http://$vip:81" 20 | sort -u | paste -sd ' ')" 'gateway pod1'
expect "a download" "$(get --max-time 60 "http://$vip/5m" | sha256sum)" "$(sha256sum <"$lab_dir/gateway/www/5m")"
accounting_closes
