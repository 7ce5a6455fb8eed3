#!/usr/bin/env bash
# As many connections as a limit says, and no more: the others are lost by its name, and counted for the service; and when
# one ends, another gets in. Exact with one worker; with two, as close as they promise.
#
#   client ---- [stormgate] ---- (=) ---- pod1 pod2
. "$(dirname "$0")/lib/story.sh"

attempts=24 # of connections that are to be kept, more than any limit
two_arms 2
on client ip address add 198.51.100.8/24 dev eth0
web_server pod1
web_server pod2
pods='{ address = "10.0.0.11"; port = 8080; }, { address = "10.0.0.12"; port = 8080; }'

# service NAME PORT LIMIT
service() {
	echo "{ name = \"$1\"; vip = \"$vip\"; protocol = \"tcp\"; port = $2; backends = ( $pods ); $3; }"
}

# hold NAME PORT SOURCE...: begins connections that wait to be let in. Sets `holder`.
hold() {
	local name=$1 port=$2
	shift 2
	rm -f "$lab_dir/$name.held"
	start client python3 "$here/lib/hold.py" "$lab_dir/$name.held" $vip "$port" $attempts "$@"
	holder=$started
}

# admitted NAME: how many connections it has now. lost NAME DROP: how many packets that cost it.
admitted() {
	stats ".services[] | select(.name == \"$1\").flows"
}

lost() {
	stats ".services[] | select(.name == \"$1\") | .dropped_to_backend.$2 // 0"
}

# got_in NAME: how many connections of the holder have ever been established.
got_in() {
	wc -l <"$lab_dir/$1.held"
}

# closed NAME N: so many of them the holder has closed.
closed() {
	[ "$(wc -l <"$lab_dir/$1.held.closed")" -ge "$2" ]
}

# has NAME LEAST DROP MORE: at least so many got in, and at least so many more packets were lost since `lost_before`.
has() {
	[ "$(got_in "$1")" -ge "$2" ] && [ "$(lost "$1" "$3")" -ge $((lost_before + $4)) ]
}

# fills NAME PORT DROP LEAST MOST SOURCE...: among many attempts a number of connections in this range gets in, while every
# other attempt is lost more than once; and for one that ends another gets in.
fills() {
	local name=$1 port=$2 drop=$3 least=$4 most=$5 n i
	shift 5
	lost_before=$(lost "$name" "$drop")
	hold "$name" "$port" "$@"
	wait_for 30 has "$name" "$least" "$drop" $((2 * attempts))
	n=$(got_in "$name")
	at_least "connections of $name" "$n" "$least"
	[ "$n" -le "$most" ] || fail "$n connections of $name got in, and no more than $most should"
	expect "flows of $name" "$(admitted "$name")" "$n"
	# Where more than the limit got in, as many have to end before there is room.
	for ((i = 1; i <= n - least + 1; i++)); do
		kill -USR1 "$holder"
		wait_for 10 closed "$name" $i
	done
	wait_for 30 has "$name" $((n + 1)) "$drop" 0
	n=$(lost "$name" "$drop")
	at_least "losses of all by that name" "$(dropped "$drop")" "$n"
	kill "$holder"
	wait "$holder" || true
}

# never_faster NAME RATE: at no time had more got in than the rate allows, with a second's worth saved up.
never_faster() {
	awk -v rate="$2" '$1 > rate * ($3 + 1) + 1 { print; bad = 1 } END { exit bad }' "$lab_dir/$1.held" ||
		fail "connections of $1 began faster than $2 a second"
}

# story WORKERS DATAPLANE SETTING: with so many workers, up to workers - 1 more than a limit may get in.
story() {
	local workers=$1 more=$(($1 - 1))
	serve "$2" <<-END
		timeouts: { tcp_fin = 1; };
		services: ( $(service all 80 'max_connections = 7'),
			$(service client 81 'max_connections_per_client = 4'),
			$(service backend 82 'max_connections_per_backend = 3'),
			$(service rate 83 'max_new_per_second = 4'),
			$(service free 84 'max_connections = 0') );
	END
	expect "workers" "$(ctl status -o json | jq .workers)" "$workers"
	fills all 80 service_limit 7 $((7 + more)) 198.51.100.7
	# Two clients, each with its own limit, of which two workers give half each.
	fills client 81 client_limit 8 8 198.51.100.7 198.51.100.8
	expect "clients that got in" "$(head -n 8 "$lab_dir/client.held" | cut -d ' ' -f 2 | sort | uniq -c | xargs)" \
		'4 198.51.100.7 4 198.51.100.8'
	fills backend 82 backend_limit 6 $((6 + 2 * more)) 198.51.100.7
	# A rate lets everybody in, one after the other.
	lost_before=0
	hold rate 83 198.51.100.7
	wait_for 60 has rate $attempts service_rate 1
	never_faster rate 4
	kill "$holder"
	wait "$holder" || true
	# Who has no limit has nobody refused, whatever the others have.
	expect "answers without a limit" "$(ask client "http://$vip:84" 50 | grep -c '^pod[12]$')" 50
	expect "losses without a limit" "$(stats '.services[] | select(.name == "free").dropped_to_backend')" '{}'
	accounting_closes
}

story 1 ''
kill "$gateway_pid"
wait "$gateway_pid" || fail "stormgate ended with $?"
story 2 "workers = [0, $((1 % $(nproc)))];"
