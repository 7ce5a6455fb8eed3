#!/usr/bin/env bash
# Mode dnat over IPv6: pods see the client's own address, and their answers come back through the gateway.
#
#   client 2001:db8:1::7 ---- p0 [stormgate] p1 ---- (=) ---- pod1 pod2
#                                         fd00::1             default via fd00::1
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 2
for pod in pod1 pod2; do
	# As the README says.
	on $pod ip -6 route replace default via fd00::1
	web_server $pod
	head -c 5000000 /dev/urandom >"$lab_dir/$pod/www/5m"
done
cp "$lab_dir/pod1/www/5m" "$lab_dir/pod2/www/5m"
name_server pod1 2001:db8::77
serve 'workers = [0, 0, 0]; control_cpu = 0;' <<END
services: (
  { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; forward = "dnat";
    backends = ( { address = "fd00::11"; port = 8080; }, { address = "fd00::12"; port = 8080; } ); },
  { name = "dns"; vip = "$vip6"; protocol = "udp"; port = 53; forward = "dnat";
    backends = ( { address = "fd00::11"; } ); },
  { name = "translated"; vip = "$vip6"; protocol = "tcp"; port = 81;
    backends = ( { address = "fd00::11"; port = 8080; } ); }
);
END

peers() { on pod1 ss -Htn6 state all 'sport = :8080' | awk '{ print $NF }' | sed 's/:[0-9]*$//' | sort -u | paste -sd ' '; }

expect "pods that answer" "$(ask client "http://[$vip6]" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
expect_like "whom a pod sees" "$(peers)" '*2001:db8:1::7*'
expect "a download" "$(get --max-time 60 "http://[$vip6]/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/5m")"
expect "a name" "$(on client dig +short +time=2 @"$vip6" name.test AAAA)" 2001:db8::77
expect "the snat service beside it" "$(ask client "http://[$vip6]:81" 10 | sort -u)" pod1
expect_like "whom a pod sees then" "$(peers)" '*fd00::10[01]*'
# A pod where nobody listens says so, and the client hears it.
ctl backend delete dns '[fd00::11]:53'
ctl backend add dns '[fd00::12]:53'
expect_like "a pod without a listener" "$(on client dig +time=2 +tries=1 @"$vip6" name.test AAAA 2>&1 || true)" '*refused*'
expect "drops" "$(dropped reply_no_flow) $(dropped not_local)" '0 0'
accounting_closes
