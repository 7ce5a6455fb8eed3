#!/usr/bin/env bash
# One service with an IPv4 and an IPv6 address: each client gets a pod of its own family, and sees nothing of the other.
#
#   client 198.51.100.7 ---- p0 [stormgate] p1 ---- (=) ---- pod1 10.0.0.11   pod2 10.0.0.12   pod3
#         2001:db8:1::7                                                             fd00::12   fd00::13
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 3
for pod in pod1 pod2 pod3; do
	web_server $pod
done
for pod in pod2 pod3; do
	head -c 5000000 /dev/urandom >"$lab_dir/$pod/www/5m"
done
cp "$lab_dir/pod2/www/5m" "$lab_dir/pod3/www/5m"
name_server pod1 192.0.2.77
name_server pod3 2001:db8::77
serve 'workers = [0, 0, 0]; control_cpu = 0;' <<END
services: (
  { name = "web"; vip = ["$vip", "$vip6"]; protocol = "tcp"; port = 80; backends = (
    { address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; },
    { address = "fd00::12"; port = 8080; }, { address = "fd00::13"; port = 8080; } ); },
  { name = "dns"; vip = ["$vip6", "$vip"]; protocol = "udp"; port = 53;
    backends = ( { address = "10.0.0.11"; }, { address = "fd00::13"; } ); },
  { name = "dns-tcp"; vip = "$vip6"; protocol = "tcp"; port = 53; backends = ( { address = "fd00::13"; } ); },
  { name = "sticky"; vip = "$vip6"; protocol = "tcp"; port = 82; scheduler = "rr"; affinity = "client-ip";
    backends = ( { address = "fd00::12"; port = 8080; }, { address = "fd00::13"; port = 8080; } ); }
);
END

# who FAMILY: the pods that answer there, of a name that has both addresses.
who() {
	on client curl -sS "-$1" --max-time 10 -H 'Connection: close' --resolve "web.test:80:$vip,[$vip6]" \
		'http://web.test/?[1-60]' | sort -u | paste -sd ' '
}

expect "who answers IPv4" "$(who 4)" 'pod1 pod2'
expect "who answers IPv6" "$(who 6)" 'pod2 pod3'
expect "a download" "$(get --max-time 60 "http://[$vip6]/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod2/www/5m")"
get --max-time 60 -T "$lab_dir/pod2/www/5m" "http://[$vip6]/put/5m"
expect "an upload" "$(cat "$lab_dir"/pod?/www/put/5m | sha256sum)" "$(sha256sum <"$lab_dir/pod2/www/5m")"
expect "a name over IPv4" "$(on client dig +short +time=2 +tries=1 "@$vip" name.test)" 192.0.2.77
expect "a name over IPv6" "$(on client dig +short +time=2 +tries=1 "@$vip6" name.test AAAA)" 2001:db8::77
expect "a name over IPv6 and TCP" "$(on client dig +tcp +short +time=2 +tries=1 "@$vip6" name.test AAAA)" 2001:db8::77
exits 0 on client ping -c 3 -i 0.2 -W 2 "$vip6"
[[ $said == *' 3 received'* && $said != *DUP* ]] || fail "ping $vip6: $said"

expect "pods that a client with affinity sees" "$(ask client "http://[$vip6]:82" 20 | sort -u | wc -l)" 1

# A client that has no address but its link-local one.
on client ip -6 address delete 2001:db8:1::7/64 dev eth0
on client ip -6 route replace "$vip6" dev eth0
expect_like "a client's source" "$(on client ip -6 route get "$vip6")" '* src fe80:*'
expect "who answers a link-local client" "$(ask client "http://[$vip6]" 20 | sort -u | paste -sd ' ')" 'pod2 pod3'
expect "a download over the link" "$(get --max-time 60 "http://[$vip6]/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod2/www/5m")"
address client eth0 2001:db8:1::7/64
on client ip -6 route delete "$vip6" dev eth0

# What stormctl adds, and whom a policy lets in.
ctl service add late --vip 2001:db8:2::11 --protocol tcp --port 80 --scheduler lc
ctl backend add late '[fd00::12]:8080'
expect "a service that came later" "$(get 'http://[2001:db8:2::11]/')" pod2
ctl service set late --allow 2001:db8:1::/120 --deny 2001:db8:1::8/125
expect "an allowed source" "$(get 'http://[2001:db8:2::11]/')" pod2
ctl service set late --allow 0.0.0.0/0
refused --max-time 1 'http://[2001:db8:2::11]/'
at_least "drops of a source that is not allowed" "$(dropped not_allowed)" 1

# What people see of it.
flow=$(ctl flows --service web --limit 1000 -o json | jq -c 'first(.flows[] | select(.vip | startswith("[")))')
expect "the VIP of a flow" "$(jq -r .vip <<<"$flow")" "[$vip6]:80"
expect_like "its client" "$(jq -r .client <<<"$flow")" '\[2001:db8:1::7\]:*'
expect_like "its SNAT address" "$(jq -r .snat <<<"$flow")" '\[fd00::10[01]\]:*'
expect_like "its backend" "$(jq -r .backend <<<"$flow")" '\[fd00::1[23]\]:8080'

# Without a backend of its family a client is refused, and the other family does not notice.
ctl backend delete web '[fd00::13]:8080' --now
expect "who answers IPv6 now" "$(who 6)" pod2
ctl backend delete web '[fd00::12]:8080' --now
exits 7 get "http://[$vip6]/"
expect "who answers IPv4 now" "$(who 4)" 'pod1 pod2'
ctl backend add web '[fd00::13]:8080'
expect "who answers IPv6 at last" "$(who 6)" pod3
exits 28 get --max-time 1 "http://[$vip6]:81/"
at_least "drops at another port" "$(dropped unserved_port)" 1
accounting_closes
