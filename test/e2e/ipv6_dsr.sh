#!/usr/bin/env bash
# Mode dsr over IPv6: packets reach the pod as the client sent them, and the pod answers the client directly.
#
#   client fd00::7 -----+
#   [stormgate] p0 -----(=)---- pod1 pod2, each with the VIP fd00::50 on lo
#   fd00::1
. "$(dirname "$0")/lib/story.sh"

vip6=fd00::50
dual_stack
switch switch
node client gateway
plug switch client eth0
plug switch gateway eth0
address client eth0 fd00::7/64
for n in 1 2; do
	add_pod pod$n 10.0.0.1$n
	# As the README says.
	on pod$n ip address add $vip6/128 dev lo
	web_server pod$n 80
done
links_up gateway eth0
head -c 5000000 /dev/urandom | tee "$lab_dir/pod1/www/5m" >"$lab_dir/pod2/www/5m"
cat >"$lab_dir/stormgate.conf" <<END
dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; };
ports: ( { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["fd00::1/64"]; } );
control: { socket = "$lab_dir/stormgate.sock"; };
services: ( { name = "web"; vip = "$vip6"; protocol = "tcp"; port = 80; forward = "dsr"; scheduler = "rr";
  backends = ( { address = "fd00::11"; }, { address = "fd00::12"; } ); } );
END
gateway_start "$lab_dir/stormgate.conf"

expect "pods that answer" "$(ask client "http://[$vip6]" 100 | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd ' ')" \
	'50 pod1 50 pod2'
expect "a download" "$(get --max-time 60 "http://[$vip6]/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/5m")"
# Answers went another way: there was no packet towards a client.
expect "packets to clients" "$(stats '.services[0].packets_to_client')" 0
at_least "packets to backends" "$(stats '.services[0].packets_to_backend')" 500
accounting_closes
