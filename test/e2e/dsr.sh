#!/usr/bin/env bash
# Mode dsr: packets reach the pod as the client sent them, and the pod answers the client directly.
#
#   client 10.0.0.7 ----+
#   [stormgate] p0 -----(=)---- pod1 pod2, each with the VIP 10.0.0.50 on lo
#   10.0.0.1
. "$(dirname "$0")/lib/story.sh"

vip=10.0.0.50
switch switch
node client gateway
plug switch client eth0
plug switch gateway eth0
address client eth0 10.0.0.7/24
for n in 1 2; do
	add_pod pod$n 10.0.0.1$n
	# As the README says: the VIP on lo, and no ARP about it.
	on pod$n ip address add $vip/32 dev lo
	on pod$n sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
	web_server pod$n 80
done
links_up gateway eth0
head -c 5000000 /dev/urandom | tee "$lab_dir/pod1/www/5m" >"$lab_dir/pod2/www/5m"
cat >"$lab_dir/stormgate.conf" <<END
dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; };
ports: ( { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["10.0.0.1/24"]; } );
control: { socket = "$lab_dir/stormgate.sock"; shutdown_timeout = 0; };
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; forward = "dsr"; scheduler = "rr";
  backends = ( { address = "10.0.0.11"; }, { address = "10.0.0.12"; } ); } );
END
gateway_start "$lab_dir/stormgate.conf"

expect "pods that answer" "$(ask client "http://$vip" 100 | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd ' ')" \
	'50 pod1 50 pod2'
expect "a download" "$(get --max-time 60 "http://$vip/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/5m")"
# Answers went another way: there was no packet towards a client.
expect "packets to clients" "$(stats '.services[0].packets_to_client')" 0
at_least "packets to backends" "$(stats '.services[0].packets_to_backend')" 500
accounting_closes
