#!/usr/bin/env bash
# What services and backends count adds up to what all of it counts, over IPv4 and IPv6, by name and in both directions; and stays so
# while backends come and go under load, policies and limits refuse some, and it is all rolled back. No counter of a service goes back.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

dual_stack
two_arms 3
on client ip address add 198.51.100.8/24 dev eth0
on client ip address add 2001:db8:1::8/64 dev eth0
for pod in 1 2 3; do
	web_server pod$pod
done
web_service 1 2 3 | serve
exits 0 ctl service add limited --vip 192.0.2.20,2001:db8:2::20 --protocol tcp --port 80
exits 0 ctl backend add limited 10.0.0.11:8080
exits 0 ctl backend add limited '[fd00::11]:8080'

# What a service counts, and the same of those of its backends that are listed.
counted='[.packets_to_backend, .bytes_to_backend, .packets_to_client, .bytes_to_client, .new_flows, .dropped]'
of_web() {
	stats ".services[] | select(.name == \"web\") | $counted | @tsv"
}

# never_less: no figure of web is below what it was at the last call.
seen='0 0 0 0 0 0'
never_less() {
	local now i
	now=$(of_web)
	for i in 1 2 3 4 5 6; do
		[ "$(cut -f $i <<<"$now")" -ge "$(cut -d ' ' -f $i <<<"$seen")" ] || fail "web counted $seen, and then $now"
	done
	seen=${now//$'\t'/ }
}

# adds_up: what was lost of services by each of these names, and the connections that began.
adds_up() {
	[ "$(stats '. as $all | [
		("denied", "not_allowed", "service_rate", "client_rate", "service_limit", "client_limit", "backend_limit") as $name |
		([.services[] | .dropped_to_backend[$name] // 0, .dropped_to_client[$name] // 0] | add) == ($all.dropped[$name] // 0),
		([.services[].new_flows] | add) == ([.workers[].new_flows] | add),
		(.services[] | .packets_to_backend >= ([.backends[].packets_to_backend] | add),
			.dropped == ([.dropped_to_backend[], .dropped_to_client[]] | add // 0))] | all')" = true ]
}

load_start client "http://$vip"
first=("${load_pids[@]}")
load_goes_on 20
for pod in 1 2; do
	exits 0 ctl backend delete web 10.0.0.1$pod:8080 --now
	never_less
	exits 0 ctl backend delete web "[fd00::1$pod]:8080"
	get "http://[$vip6]" >/dev/null
	never_less
	exits 0 ctl rollback
	never_less
	load_goes_on 5
	exits 0 ctl backend add web 10.0.0.1$pod:8080
	exits 0 ctl backend set web 10.0.0.1$pod:8080 --weight 2
	never_less
	load_goes_on 5
done
load_stop

# Who is refused is counted at the service, whichever family and policy.
exits 0 ctl service set web --deny 198.51.100.8,2001:db8:1::8
for source in 198.51.100.8 2001:db8:1::8; do
	[[ $source == *:* ]] && url="http://[$vip6]" || url=http://$vip
	refused "$url" --interface $source --max-time 0.3 || fail "$source was served"
done
never_less
at_least "denied at web" "$(stats '.services[] | select(.name == "web").dropped_to_backend.denied')" 2
exits 0 ctl policy set --allow 198.51.100.0/24
refused "http://[2001:db8:2::20]" --max-time 0.3 || fail "a client was served that is not allowed"
at_least "not allowed at the other" "$(stats '.services[] | select(.name == "limited").dropped_to_backend.not_allowed')" 1
exits 0 ctl rollback
get "http://[2001:db8:2::20]" >/dev/null
exits 0 ctl service set limited --max-new-per-second-per-client 1 --client-prefix6 64
# too_fast: two connections from one prefix, though of two addresses, come within a second.
too_fast() {
	get "http://[2001:db8:2::20]" --max-time 0.3 >/dev/null 2>&1 || true
	get "http://[2001:db8:2::20]" --interface 2001:db8:1::8 --max-time 0.3 >/dev/null 2>&1 || true
	[ "$(stats '.services[] | select(.name == "limited") | .dropped_to_backend.client_rate // 0')" -ge 1 ]
}
wait_for 20 too_fast
wait_for 5 adds_up || fail "it does not add up: $(ctl stats -o json)"
# A service that is deleted and comes back begins anew; what all of it counts goes on.
exits 0 ctl service delete limited
exits 0 ctl rollback
expect "the new service's connections" "$(stats '.services[] | select(.name == "limited").new_flows')" 0
never_less
accounting_closes
