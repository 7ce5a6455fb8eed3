#!/usr/bin/env bash
# With unserved = "reject" an undeclared port answers at once over IPv6, too, and traceroute ends at the VIP.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 1
serve 'unserved = "reject";' <<END
services: ( { name = "empty"; vip = "$vip6"; protocol = "tcp"; port = 80; backends = (); } );
END

# curl's exit code 7 is "connection refused".
exits 7 get "http://[$vip6]:81/"
exits 7 get "http://[$vip6]/"
exits 9 on client dig +time=2 +tries=1 "@$vip6" name.test
[[ $said == *refused* ]] || fail "dig was not refused: $said"
exits 0 on client traceroute -6 -n -q 1 -w 3 -m 5 "$vip6"
expect "hops on the way" "$(grep -c '^ *[0-9]' <<<"$said")" 1
expect_like "the last hop" "$(tail -n 1 <<<"$said")" " 1  $vip6 *ms*"
accounting_closes
