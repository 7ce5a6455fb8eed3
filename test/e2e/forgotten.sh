#!/usr/bin/env bash
# Connections that a gateway which was killed and started again knows nothing of: where its table is needed, the client hears at
# once that his is over; where maglev says without a table who has it, it goes on as if nothing had happened.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2 pod3, whose default route is the gateway
. "$(dirname "$0")/lib/story.sh"

two_arms 3
for pod in pod1 pod2 pod3; do
	on $pod ip route replace default via 10.0.0.1
	web_server $pod
done
pods='{ address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; }'
serve <<END
services: (
	{ name = "snat"; vip = "$vip"; protocol = "tcp"; port = 80; backends = ( $pods ); },
	{ name = "dnat"; vip = "$vip"; protocol = "tcp"; port = 81; forward = "dnat"; backends = ( $pods ); },
	{ name = "turns"; vip = "$vip"; protocol = "tcp"; port = 82; forward = "dnat"; scheduler = "rr";
	  backends = ( { address = "10.0.0.13"; port = 8080; } ); }
);
END
# One connection to each service; asks on each, waits for a line on stdin, and asks once more.
cat >"$lab_dir/client.py" <<'END'
import http.client, sys
def ask(connection):
    connection.request("GET", "/")
    return connection.getresponse().read().decode().strip()
connections = [http.client.HTTPConnection(sys.argv[1], port, timeout=20) for port in (80, 81, 82)]
for connection in connections:
    connection.connect()
    connection.auto_open = 0
before = [ask(connection) for connection in connections]
print("open", flush=True)
sys.stdin.readline()
for port, connection, first in zip((80, 81, 82), connections, before):
    try:
        print(port, "goes on" if ask(connection) == first else "is with another pod", flush=True)
    except ConnectionResetError:
        print(port, "is reset", flush=True)
END
mkfifo "$lab_dir/ask" "$lab_dir/told"
on client python3 "$lab_dir/client.py" $vip <"$lab_dir/ask" >"$lab_dir/told" 2>"$lab_dir/client.log" &
client=$!
exec 3>"$lab_dir/ask" 4<"$lab_dir/told"
read -r -t 20 said <&4 || fail "the connections were not opened"

kill -9 "$gateway_pid"
wait "$gateway_pid" 2>/dev/null || true
gateway_start "$lab_dir/stormgate.conf"
wait_for 10 get --max-time 1 "http://$vip/"
echo >&3
for want in '80 is reset' '81 goes on' '82 is reset'; do
	# Long before any timeout of the client's.
	read -r -t 15 said <&4 || fail "no word about ${want%% *}: $(cat "$lab_dir/client.log")"
	expect "the connection to port ${want%% *}" "$said" "$want"
done
exec 3>&-
wait $client
expect "who answers now" "$(ask client "http://$vip" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
accounting_closes
