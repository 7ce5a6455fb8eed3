#!/usr/bin/env bash
# Client-IP affinity: a client's connections all go to one pod, whichever worker they meet, and stay there when pods come;
# when its pod is drained they all go to another.
#
#   client (many addresses) ---- p0 [stormgate, 3 workers] p1 ---- (=)---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

two_arms 3
for n in 1 2 3; do web_server pod$n; done
for n in $(seq 20 39); do address client eth0 198.51.100.$n/24; done
serve 'workers = [0, 0, 0]; control_cpu = 0;' <<END
services: ( { name = "web"; vip = "$vip"; protocol = "tcp"; port = 80; scheduler = "rr"; affinity = "client-ip";
  backends = ( { address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; } ); } );
END

# Each client's pods, on ten connections.
pods_of_clients() {
	local n
	for n in $(seq 20 39); do
		echo "$n $(get --interface 198.51.100.$n -H 'Connection: close' "http://$vip/?[1-10]" | sort -u | paste -sd ' ')"
	done
}

before=$(pods_of_clients)
at_least "clients of pod1" "$(grep -c 'pod1$' <<<"$before")" 3
at_least "clients of pod2" "$(grep -c 'pod2$' <<<"$before")" 3
expect "clients with one pod" "$(grep -c '^[0-9]* pod[12]$' <<<"$before")" 20
ctl backend add web 10.0.0.13:8080
expect "clients after a pod was added" "$(pods_of_clients)" "$before"
ctl backend drain web 10.0.0.12:8080
after=$(pods_of_clients)
expect "clients of the pod that stays" "$(grep 'pod1$' <<<"$before" | while read -r n pod; do grep "^$n $pod$" <<<"$after"; done)" \
	"$(grep 'pod1$' <<<"$before")"
expect "clients with one of the others" "$(grep -c '^[0-9]* pod[13]$' <<<"$after")" 20
# What is remembered of clients is no connection.
expect "flows that are none" "$(ctl flows -o json | jq '[.flows[] | select(.client | endswith(":0"))] | length')" 0
accounting_closes
