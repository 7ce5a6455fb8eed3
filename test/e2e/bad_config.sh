#!/usr/bin/env bash
# Each bad config file is answered with FILE:LINE: and a sentence, exit status 1, and leaves nothing behind. So is one that
# is good but asks for what this machine has not.
#
#   [stormgate] with cables into nothing
. "$(dirname "$0")/lib/story.sh"

two_arms 0
good=$lab_dir/good.conf
bad=$lab_dir/bad.conf
cat >"$good" <<END
dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; };
ports: (
  { name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0"; addresses = ["198.51.100.11/24"]; mtu = 1500; }
);
snat: { addresses = ["10.0.0.100"]; };
control: { socket = "$lab_dir/stormgate.sock"; mode = "0660"; };
backend_cidrs = ["10.0.0.0/8"];
services: (
  { name = "web"; vip = "192.0.2.10"; protocol = "tcp"; port = 80; backends = ( { address = "10.0.0.11"; port = 8080; } ); }
);
END
exits 0 "$build/app/stormgate/stormgate" -c "$good" --check

# row LINE PATTERN SED: the good file, edited so, is refused at that line, in words that fit the pattern.
row() {
	sed "$3" "$good" >"$bad"
	! cmp -s "$good" "$bad" || fail "the row edits nothing: $3"
	echo "row: $3"
	local how
	for how in --check ''; do
		exits 1 on gateway timeout 20 "$build/app/stormgate/stormgate" -c "$bad" $how
		[[ $said == *"$bad:$1: "* ]] || fail "not FILE:$1: for $3: $said"
		[[ $said == *$2* ]] || fail "no word of $2 for $3: $said"
		nothing_left
	done
}

nothing_left() {
	[ ! -e "$lab_dir/stormgate.sock" ] || fail "a socket is left behind"
	[ ! -e "/run/dpdk/$lab" ] || fail "/run/dpdk/$lab is left behind"
	expect "network interfaces" "$(on gateway ls /sys/class/net | paste -sd ' ')" 'eth0 eth1 lo'
	expect "nftables" "$(on gateway nft list ruleset 2>&1)" ''
}

row 1 colour 's/hugepages = false;/hugepages = false; colour = "blue";/'
row 1 hugepages 's/hugepages = false;/hugepages = "no";/'
row 1 flows_per_worker 's/flows_per_worker = 65536/flows_per_worker = -1/'
row 3 mtu 's/mtu = 1500/mtu = 10/'
row 3 devise 's/device =/devise =/'
row 3 198.51.100 's,"198.51.100.11/24","198.51.100/24",'
row 5 10.0.0 's/"10.0.0.100"/"10.0.0.300"/'
row 5 198.51.100.11 's/"10.0.0.100"/"198.51.100.11"/'
row 6 mode 's/mode = "0660"/mode = 660/'
row 7 backend_cidrs 's,"10.0.0.0/8","10.0.0.0/99",'
row 9 10.0.0.11 's,"10.0.0.0/8","10.9.0.0/16",'
row 9 port 's/port = 80;/port = 80000;/'
row 9 sctp 's/"tcp"/"sctp"/'
row 9 vip 's/vip = "192.0.2.10"; //'
row 9 198.51.100.11 's/192.0.2.10/198.51.100.11/'
row 9 10.0.0.100 's/192.0.2.10/10.0.0.100/'
row 9 fastest 's/port = 80;/port = 80; scheduler = "fastest";/'
row 10 web '8{s/$/\n  { name = "web"; vip = "192.0.2.11"; protocol = "tcp"; port = 80; },/}'
row 10 192.0.2.10 '8{s/$/\n  { name = "other"; vip = "192.0.2.10"; protocol = "tcp"; port = 80; },/}'
row 10 comma '9s/$/,/'
row 1 ports '2,4d'
row 10 '' '10d'

# What only the start can know: --check looks at nothing but the file.
at_start() {
	sed "$2" "$good" >"$bad"
	echo "at start: $2"
	exits 0 on gateway "$build/app/stormgate/stormgate" -c "$bad" --check
	exits 1 on gateway timeout 20 "$build/app/stormgate/stormgate" -c "$bad"
	[[ $said == *$1* ]] || fail "no word of $1: $said"
	nothing_left
}
at_start eth7 's/iface=eth0/iface=eth7/'
at_start no-such-group 's/mode = "0660"/group = "no-such-group"/'
at_start 999 's/flows_per/workers = [999]; flows_per/'

exits 1 on gateway "$build/app/stormgate/stormgate" -c "$lab_dir/absent.conf"
[[ $said == *"$lab_dir/absent.conf"* ]] || fail "the absent file is not named: $said"

# option PATTERN ARGUMENT...: a wrong command line is answered with one line that begins with the program's name.
option() {
	local pattern=$1
	shift
	exits 2 "$build/app/stormgate/stormgate" "$@"
	expect_like "what stormgate says of $*" "$said" "stormgate: error: $pattern: see stormgate --help"
	expect "lines" "$(wc -l <<<"$said")" 1
}

option 'there is no option --nonsense' --nonsense
option 'there is no option -x' -x
option '--config wants a value' --config
option '-c wants a value' -c
option '--check takes no value' -c "$good" --check=3
option '"more" is no option' -c "$good" more
option '-c FILE is wanted, the configuration' --check
