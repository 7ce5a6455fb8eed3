#!/usr/bin/env bash
# One port is enough: clients, pods, VIP and SNAT addresses on the same link.
#
#   client 10.0.0.7 ----+
#   [stormgate] p0 -----(=)---- pod1 pod2
#   10.0.0.1
. "$(dirname "$0")/lib/story.sh"

vip=10.0.0.50
switch switch
node client gateway
plug switch client eth0
plug switch gateway eth0
address client eth0 10.0.0.7/24
add_pod pod1 10.0.0.11
add_pod pod2 10.0.0.12
links_up gateway eth0
web_server pod1
web_server pod2
head -c 5000000 /dev/urandom | tee "$lab_dir/pod1/www/5m" >"$lab_dir/pod2/www/5m"
cat >"$lab_dir/stormgate.conf" <<END
dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; };
ports: ( { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["10.0.0.1/24"]; } );
snat: { addresses = ["10.0.0.100"]; };
control: { socket = "$lab_dir/stormgate.sock"; shutdown_timeout = 0; };
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80;
  backends = ( { address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; } ); } );
END
gateway_start "$lab_dir/stormgate.conf"

expect "pods that answer" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
expect "a download" "$(get --max-time 60 "http://$vip/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod1/www/5m")"
# A pod is a client, too, also of itself.
expect "a pod as client" "$(ask pod1 "http://$vip" 40 | sort -u | paste -sd ' ')" 'pod1 pod2'
exits 0 on client ping -c 2 -i 0.2 -W 2 10.0.0.1
accounting_closes
