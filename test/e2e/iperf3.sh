#!/usr/bin/env bash
# iperf3 through the gateway, TCP and UDP, in both directions.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
start pod1 iperf3 -s
wait_for 10 on pod1 bash -c ': </dev/tcp/127.0.0.1/5201'
serve <<END
services: (
	{ name = "iperf3"; vip = "$vip"; protocol = "tcp"; port = 5201; backends = ( { address = "10.0.0.11"; } ); },
	{ name = "iperf3-udp"; vip = "$vip"; protocol = "udp"; port = 5201; backends = ( { address = "10.0.0.11"; } ); }
);
END

# measure FILTER OPTION...: a figure of iperf3's report.
measure() {
	wait_for 5 on pod1 bash -c '! ss -Htn state established sport = 5201 | grep -q .'
	on client timeout 30 iperf3 -c "$vip" --connect-timeout 5000 -J "${@:2}" | jq "$1"
}

at_least "bit/s up" "$(measure '.end.sum_received.bits_per_second | floor' -n 50M)" 20000000
at_least "bit/s down" "$(measure '.end.sum_received.bits_per_second | floor' -n 50M -R)" 20000000
at_least "bit/s of four streams" "$(measure '.end.sum_received.bits_per_second | floor' -n 50M -P 4)" 20000000
lost='.end.sum | .lost_percent < 1 and .packets > 500'
expect "UDP up loses under 1 %" "$(measure "$lost" -u -b 20M -n 1M -l 1000)" true
expect "UDP down loses under 1 %" "$(measure "$lost" -u -b 20M -n 1M -l 1000 -R)" true
accounting_closes
