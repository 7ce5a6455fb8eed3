#!/usr/bin/env bash
# dig asks three dnsmasqs behind one address, over UDP and over TCP.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

two_arms 3
for pod in 1 2 3; do
	name_server "pod$pod" "203.0.113.$pod"
done
pods='{ address = "10.0.0.11"; }, { address = "10.0.0.12"; }, { address = "10.0.0.13"; }'
serve <<END
services: (
	{ name = "dns"; vip = "$vip"; protocol = "udp"; port = 53; backends = ( $pods ); },
	{ name = "dns-tcp"; vip = "$vip"; protocol = "tcp"; port = 53; backends = ( $pods ); }
);
END

for ((i = 0; i < 60; i++)); do
	echo name.test
done >"$lab_dir/names"
on client dig +short +time=2 +tries=1 "@$vip" -f "$lab_dir/names" >"$lab_dir/answers"
expect "answers over UDP" "$(grep -c '^203\.0\.113\.[123]$' "$lab_dir/answers")" 60
expect "pods that answered" "$(sort -u "$lab_dir/answers" | wc -l)" 3
expect_like "an answer over TCP" "$(on client dig +tcp +short +time=2 +tries=1 "@$vip" name.test)" '203.0.113.[123]'
accounting_closes
