#!/usr/bin/env bash
# A pod remembers a SNAT port for a minute after its connection (TIME_WAIT), longer than the gateway does, and may refuse a
# SYN from it meanwhile. So ports take turns, and come again only after a third of all: 8,000 connections over 30,000 ports
# meet none twice.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
{
	config_two_arms | sed 's/10.0.0.101"\];/10.0.0.101"]; ports = [20000, 34999];/'
	web_service 1
	echo 'timeouts: { tcp_fin = 1; };'
} >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"

load_start client "http://$vip"
load_goes_on 8000
load_stop
expect "failed requests of $load_asked" "$load_failed" 0
expect "SYNs that the client sent twice" "$(on client nstat -asz TcpExtTCPSynRetrans |
	sed -n 's/^TcpExtTCPSynRetrans *\([0-9]*\).*/\1/p')" 0
accounting_closes
