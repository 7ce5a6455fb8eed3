#!/usr/bin/env bash
# With unserved = "reject" an undeclared port answers at once, as does a service without backends.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
serve 'unserved = "reject";' <<END
services: ( { name = "empty"; vip = "$vip"; protocol = "tcp"; port = 80; backends = (); } );
END

# curl's exit code 7 is "connection refused".
exits 7 get "http://$vip:81/"
exits 7 get "http://$vip/"
# A UDP client is told, too: dig sees the ICMP message.
exits 9 on client dig +time=2 +tries=1 "@$vip" name.test
[[ $said == *refused* ]] || fail "dig was not refused: $said"
# And traceroute, which sends UDP to ports that nobody has, ends at the VIP, on the first hop.
exits 0 on client traceroute -n -q 1 -w 3 -m 5 "$vip"
expect "hops on the way" "$(grep -c '^ *[0-9]' <<<"$said")" 1
expect_like "the last hop" "$(tail -n 1 <<<"$said")" " 1  $vip *ms*"
expect "drops of it" "$(dropped unserved_port)" 0
accounting_closes
