#!/usr/bin/env bash
# Devices with fewer queues than there are workers: two pairs towards the clients, one towards the pods, four workers. Every
# mode that comes back through the gateway, with and without affinity, works as with one worker, over both families.
#
#   client ---- p0, 2 queues [stormgate x 4] p1, 1 queue ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 2
for pod in pod1 pod2; do
	on $pod ip route replace default via 10.0.0.1
	on $pod ip route replace default via fd00::1
	web_server $pod
	head -c 3000000 /dev/urandom >"$lab_dir/$pod/www/3m"
done
cp "$lab_dir/pod1/www/3m" "$lab_dir/pod2/www/3m"
name_server pod1 203.0.113.1
name_server pod2 203.0.113.2
for n in $(seq 20 39); do address client eth0 198.51.100.$n/24 2001:db8:1::$n/64; done
vips="\"$vip\", \"$vip6\""
pods='{ address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; },
	{ address = "fd00::11"; port = 8080; }, { address = "fd00::12"; port = 8080; }'
{
	config_two_arms 'workers = [0, 0, 0, 0]; control_cpu = 0;' | sed 's/net_af_packet0,iface=eth0/&,qpairs=2/'
	cat <<-END
		services: (
			{ name = "snat"; vip = [$vips]; protocol = "tcp"; port = 80; backends = ( $pods ); },
			{ name = "dnat"; vip = [$vips]; protocol = "tcp"; port = 81; forward = "dnat"; scheduler = "rr"; backends = ( $pods ); },
			{ name = "sticky"; vip = [$vips]; protocol = "tcp"; port = 82; scheduler = "rr"; affinity = "client-ip";
			  backends = ( $pods ); },
			{ name = "dns"; vip = [$vips]; protocol = "udp"; port = 53; backends = (
			  { address = "10.0.0.11"; }, { address = "10.0.0.12"; }, { address = "fd00::11"; }, { address = "fd00::12"; } ); }
		);
	END
} >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"
grep -q 'port p0: .*2 receive and 2 transmit queues' "$lab_dir/gateway.log" || fail "p0 has not two queues"
grep -q 'port p1: .*1 receive and 1 transmit queue' "$lab_dir/gateway.log" || fail "p1 has not one queue"

for service in $vip:80 $vip:81 "[$vip6]:80" "[$vip6]:81"; do
	expect "pods of $service" "$(ask client "http://$service" 200 | sort -u | paste -sd ' ')" 'pod1 pod2'
	expect "a download from $service" "$(get --max-time 60 "http://$service/3m" | sha256sum)" \
		"$(sha256sum <"$lab_dir/pod1/www/3m")"
done
for n in $(seq 20 39); do
	get --interface 198.51.100.$n -H 'Connection: close' "http://$vip:82/?[1-5]" | sort -u | wc -l
	get --interface 2001:db8:1::$n -H 'Connection: close' "http://[$vip6]:82/?[1-5]" | sort -u | wc -l
done | sort -u >"$lab_dir/pods_a_client"
expect "pods of each client, with affinity" "$(cat "$lab_dir/pods_a_client")" 1
for ((i = 0; i < 60; i++)); do
	echo name.test
done >"$lab_dir/names"
for server in $vip $vip6; do
	expect "names from $server" "$(on client dig +short +time=2 +tries=1 @$server -f "$lab_dir/names" |
		grep -c '^203\.0\.113\.[12]$')" 60
done

for worker in 0 1 2 3; do
	at_least "flows of worker $worker" "$(stats ".workers[$worker].new_flows")" 80
done
# Two have no queue to take packets from, and one alone sends towards the pods.
expect "workers that no queue feeds" "$(stats '[.workers[] | select(.received == 0)] | length')" 2
at_least "hand-offs" "$(stats '[.workers[].handed_out] | add')" 2000
expect "hand-offs out and in" "$(stats '[.workers[], .twin | .handed_out - .handed_in] | add')" 0
expect "drops" "$(ctl drops -o json | jq -c '[.drops[] | select(.count > 0)]')" '[]'
accounting_closes
