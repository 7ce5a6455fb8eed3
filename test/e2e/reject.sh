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
accounting_closes
