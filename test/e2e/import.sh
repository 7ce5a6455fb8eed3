#!/usr/bin/env bash
# From IPVS in a minute: the rules that `ipvsadm -S -n` prints become services that serve, and importing them again changes
# nothing.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

two_arms 3
for pod in pod1 pod2 pod3; do
	web_server $pod
done
name_server pod1 203.0.113.1
serve </dev/null

cat >"$lab_dir/rules" <<END
-A -t $vip:80 -s wrr
-a -t $vip:80 -r 10.0.0.11:8080 -m -w 1
-a -t $vip:80 -r 10.0.0.12:8080 -m -w 3
-a -t $vip:80 -r 10.0.0.13:8080 -m -w 0
-A -t $vip:81 -s rr -p 360
-a -t $vip:81 -r 10.0.0.11:8080 -m -w 1
-a -t $vip:81 -r 10.0.0.12:8080 -m -w 1
-A -u $vip:53 -s mh -b mh-fallback,mh-port
-a -u $vip:53 -r 10.0.0.11:53 -m -w 1
-A -f 5 -s rr
-a -f 5 -r 10.0.0.13:8080 -g -w 1
END
# The services by firewall mark have to be left out knowingly.
said=$(ctl import ipvsadm --masquerade-all <"$lab_dir/rules" 2>&1) && fail "a firewall mark was imported"
expect_like "the refusal" "$said" '*-:10: a service by firewall mark has no counterpart*nothing is imported*'
expect "services" "$(ctl service list -o json | jq '.services | length')" 0
sed -i '/ -f 5 /d' "$lab_dir/rules"

ctl import ipvsadm --masquerade-all -f "$lab_dir/rules" >"$lab_dir/services.json"
expect "names" "$(jq -r '[.services[].name] | join(" ")' "$lab_dir/services.json")" "tcp-$vip-80 tcp-$vip-81 udp-$vip-53"
expect_like "a dry run" "$(ctl apply -f "$lab_dir/services.json" --dry-run)" 'would add 3 services*'
ctl apply -f "$lab_dir/services.json" >"$lab_dir/applied"

expect "answers by weight" "$(ask client "http://$vip" 40 | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd ' ')" '10 pod1 30 pod2'
expect "pods of a client with -p" "$(ask client "http://$vip:81" 20 | sort -u | wc -l)" 1
expect "a name" "$(on client dig +short +time=2 +tries=1 @$vip name.test)" 203.0.113.1
expect "the pod of weight 0" "$(ctl service show tcp-$vip-80 -o json |
	jq -c '.backends[] | select(.address == "10.0.0.13") | [.weight, .draining]')" '[0,true]'
expect_like "the same again" "$(ctl import ipvsadm --masquerade-all --apply <"$lab_dir/rules")" '0 services added, 0 changed, 0 removed*'
accounting_closes
