#!/usr/bin/env bash
# A UDP client that keeps its port moves on to another backend when its own is deleted, without losing a query.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

two_arms 2
for pod in 1 2; do
	name_server "pod$pod" "203.0.113.$pod"
done
serve <<END
services: ( { name = "dns"; vip = "$vip"; protocol = "udp"; port = 53;
  backends = ( { address = "10.0.0.11"; }, { address = "10.0.0.12"; } ); } );
END

query() {
	on client dig -b 198.51.100.7#5353 +short +time=2 +tries=1 "@$vip" name.test
}

first=$(query)
expect_like "the first answer" "$first" '203.0.113.[12]'
for ((i = 0; i < 20; i++)); do
	expect "an answer of the same flow" "$(query)" "$first"
done
pod=${first##*.}
ctl backend delete dns "10.0.0.1$pod:53"
for ((i = 0; i < 20; i++)); do
	expect "an answer after the delete" "$(query)" "203.0.113.$((3 - pod))"
done
accounting_closes
