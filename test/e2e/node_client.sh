#!/usr/bin/env bash
# The node itself is a client of the VIP, and a VIP is no way around its services.
#
#   client ---- p0 [stormgate, curl] p1 ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve
route gateway 192.0.2.0/24 dev sg-p0

expect "the VIP from the node" "$(on gateway curl -sS --max-time 5 "http://$vip/")" pod1
exits 28 on gateway curl -sS --max-time 1 "http://$vip:81/"
at_least "drops" "$(dropped unserved_port)" 1
accounting_closes
