# A lab: hosts, cables and switches as network namespaces, with servers and a stormgate in them.
# Sourced by app/demo/run and by the stories of test/e2e; needs root.
#
# A lab is a directory in /tmp plus the namespaces named after it. Both carry names that no other lab has, and
# everything that runs in a lab runs in one of its namespaces, so that a lab is removed whole without touching anything
# else, also long after whoever made it was killed (lab_sweep).

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C
umask 022

top=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
build=${STORMGATE_BUILD:-$top/build}
lab=''     # its name; namespaces are $lab-NODE
lab_dir='' # its directory

# --- speaking -----------------------------------------------------------------------------------------------------

# Prints one line for a step that is done, with the seconds since the step before.
step_started=${EPOCHREALTIME/./}
step() {
	local now=${EPOCHREALTIME/./}
	printf '%7s s  %s\n' "$(seconds $((now - step_started)))" "$*"
	step_started=$now
}

# packages SECTION...: docker/install, which prints its own steps.
packages() {
	"$top/docker/install" "$@" || exit 1
	step_started=${EPOCHREALTIME/./}
}

seconds() {
	printf '%d.%d' $(($1 / 1000000)) $(($1 / 100000 % 10))
}

fail() {
	echo "$0: $*" >&2
	exit 1
}

# Both commands of the README need root, and become root by themselves where sudo exists.
become_root() {
	[ "$(id -u)" != 0 ] || return 0
	if command -v sudo >/dev/null; then
		exec sudo -- "$(readlink -f "$0")" "$@"
	fi
	fail "this needs root, and there is no sudo here: become root with \`su -\` and run it again"
}

# Waits until a command succeeds, at most so many seconds; then says which one did not.
wait_for() {
	local limit=$1
	local deadline=$((${EPOCHREALTIME/./} + limit * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "${EPOCHREALTIME/./}" -ge $deadline ]; then
			echo "not within $limit s: $*" >&2
			return 1
		fi
		sleep 0.05
	done
}

# build_in DIRECTORY [MESON OPTION...] [-- TARGET...]: what the build prints goes to DIRECTORY/build.log and is
# shown only when it fails. A directory that was made with other options is made anew.
build_in() {
	local dir=$1 log=$1/build.log options=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	if [ "$(cat "$dir/build.options" 2>/dev/null)" != "${options[*]}" ] || [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		logged meson setup "$dir" "$top" "${options[@]}"
		echo "${options[*]}" >"$dir/build.options"
	fi
	logged ninja -C "$dir" "${@:2}"
}

logged() {
	"$@" </dev/null >"$log" 2>&1 && return
	cat "$log" >&2
	fail "\`$*\` failed; what it said is above"
}

# --- the life of a lab --------------------------------------------------------------------------------------------

# Makes a lab of a kind ("demo", or a story's name) that lasts until the shell exits, however it exits.
lab_create() {
	lab=stormgate-$1-$$
	lab_dir=$(mktemp -d "/tmp/stormgate-lab.$1.XXXXXXXX")
	chmod 755 "$lab_dir" # nginx's workers are not root
	echo "$$ $(start_of $$) $lab" >"$lab_dir/owner"
	# Nothing ends without a word: whatever fails unexpectedly is named.
	set -E
	trap 'name_failure "$BASH_COMMAND"' ERR
	trap lab_destroy EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Names the command and, of all the lines that led to it, the one of the script itself.
name_failure() {
	echo "$0: line ${BASH_LINENO[-2]}: failed: $1" >&2
}

# Removes the lab at once and whole.
lab_destroy() {
	trap '' INT TERM HUP
	[ -z "$lab_dir" ] || remove_lab "$lab" "$lab_dir"
	lab='' lab_dir=''
}

# Lets the lab outlive this shell, until lab_sweep.
lab_keep() {
	trap - EXIT
	echo "0 0 $lab" >"$lab_dir/owner"
}

# Removes the labs of a kind whose makers are gone: killed, or done with lab_keep.
lab_sweep() {
	local dir pid started name
	for dir in /tmp/stormgate-lab."$1".*; do
		# /tmp is everybody's: only what root has made is believed.
		[ -d "$dir" ] && [ ! -L "$dir" ] && [ -O "$dir" ] || continue
		read -r pid started name 2>/dev/null <"$dir/owner" || continue
		[ "$(start_of "$pid")" != "$started" ] || continue
		remove_lab "$name" "$dir"
	done
}

# When a process started, in ticks since boot; with the pid it names one process for ever.
start_of() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	stat=${stat##*) }
	cut -d ' ' -f 20 <<<"$stat"
}

remove_lab() {
	local name=$1 dir=$2 netns
	local -a all
	mapfile -t all < <(ip netns list | cut -d ' ' -f 1 | grep "^$name-")
	for netns in "${all[@]}"; do
		kill_in "$netns" TERM
	done
	for netns in "${all[@]}"; do
		wait_for 5 is_quiet "$netns" 2>/dev/null || kill_in "$netns" KILL
		ip netns delete "$netns"
	done
	rm -rf "$dir" "/run/dpdk/$name"
}

kill_in() {
	local pids
	pids=$(ip netns pids "$1" 2>/dev/null)
	[ -z "$pids" ] || kill -"$2" $pids 2>/dev/null || true
}

is_quiet() {
	[ -z "$(ip netns pids "$1")" ]
}

# --- hosts, cables, switches --------------------------------------------------------------------------------------

# dual_stack: nodes that are made from now on have IPv6, too, and addresses that are good at once; they ask for no
# router. What two_arms makes has these addresses beside its IPv4 ones:
#
#   client 2001:db8:1::7    gateway 2001:db8:1::11 and fd00::1    pods fd00::11 ... fd00::1N    VIPs 2001:db8:2::/64
ipv6=false
dual_stack() {
	ipv6=true
}

# node NAME...: hosts without any cable. IPv6 is off unless dual_stack came before: no router discovery disturbs what a
# story counts.
node() {
	local name
	for name in "$@"; do
		ip netns add "$lab-$name"
		if [ $ipv6 = true ]; then
			on "$name" sh -c 'cd /proc/sys/net/ipv6/conf/default && echo 0 >disable_ipv6 &&
				echo 0 >accept_dad && echo 0 >accept_ra && echo 0 >router_solicitations'
		else
			on "$name" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6' 2>/dev/null || true
		fi
		ip -n "$lab-$name" link set lo up
	done
}

# on NODE COMMAND...: runs it there.
on() {
	local name=$1
	shift
	ip netns exec "$lab-$name" "$@"
}

# start NODE COMMAND...: runs it there in the background until the lab ends, its output in NODE.log. Sets `started`
# to its process id.
start() {
	local name=$1
	shift
	ip netns exec "$lab-$name" setsid "$@" </dev/null >>"$lab_dir/$name.log" 2>&1 &
	started=$!
}

# link NODE INTERFACE NODE INTERFACE: a cable. Both ends compute checksums and segments in software, because a packet
# socket (net_af_packet) would otherwise see TCP segments whose checksum is left to a NIC that does not exist.
link() {
	ip link add "$2" netns "$lab-$1" type veth peer name "$4" netns "$lab-$3"
	cable_end "$1" "$2"
	cable_end "$3" "$4"
}

cable_end() {
	on "$1" ethtool -K "$2" tx off gro off gso off tso off >/dev/null 2>&1
	ip -n "$lab-$1" link set "$2" up
}

# links_up NODE INTERFACE...: waits until the kernel has noticed that they are; it takes up to a second.
links_up() {
	local name=$1 interface
	shift
	for interface in "$@"; do
		wait_for 5 on "$name" grep -qx up "/sys/class/net/$interface/operstate"
	done
}

# switch NAME: a node that only switches; `plug SWITCH NODE INTERFACE` puts a cable into it.
switch() {
	ipv6=false node "$1"
	ip -n "$lab-$1" link add br0 type bridge mcast_snooping 0
	ip -n "$lab-$1" link set br0 up
}

plug() {
	link "$2" "$3" "$1" "$2-$3"
	ip -n "$lab-$1" link set "$2-$3" master br0
}

# address NODE INTERFACE ADDRESS/LENGTH...
address() {
	local name=$1 interface=$2 one
	shift 2
	for one in "$@"; do
		ip -n "$lab-$name" address add "$one" dev "$interface"
	done
}

# route NODE ROUTE...: as `ip route add` takes it.
route() {
	local name=$1
	shift
	ip -n "$lab-$name" route add "$@"
}

# --- what runs in it ----------------------------------------------------------------------------------------------

# web_server NODE [PORT]: an nginx that answers / with the node's name and serves the files of its www/, and takes
# others into www/put/.
web_server() {
	local name=$1 port=${2:-8080} dir=$lab_dir/$1
	mkdir -p "$dir/www/put"
	chown www-data "$dir/www/put"
	cat >"$dir/nginx.conf" <<-END
		user www-data;
		daemon off;
		worker_processes 1;
		pid $dir/nginx.pid;
		error_log stderr warn;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_max_body_size 0;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			server {
				listen $port backlog=4096 reuseport;
				$([ $ipv6 = false ] || echo "listen [::]:$port backlog=4096 reuseport;")
				root $dir/www;
				location = / { return 200 "$name\n"; }
				location /put/ { dav_methods PUT; }
			}
		}
	END
	start "$name" nginx -e stderr -c "$dir/nginx.conf"
	wait_for 10 on "$name" curl -sf "http://127.0.0.1:$port/"
}

# load_start NODE URL: four clients ask there, each request on a connection of its own, until load_stop.
load_start() {
	local client
	load_dir=$lab_dir/load
	rm -rf "$load_dir"
	mkdir "$load_dir"
	load_pids=()
	for client in 1 2 3 4; do
		start "$1" bash -c '
			until [ -e "$1/stop" ]; do
				curl -s --fail-early --max-time 10 -H "Connection: close" -w "%{stderr}%{http_code}\n" \
					"$2/?[1-20]" >>"$1/answers.$3" 2>>"$1/codes.$3"
			done' load "$load_dir" "$2" "$client"
		load_pids+=("$started")
	done
}

# Lets the load go on until so many more requests have been answered.
load_goes_on() {
	wait_for 30 load_reaches $(($(load_answered) + $1))
}

load_reaches() {
	[ "$(load_answered)" -ge "$1" ]
}

load_answered() {
	cat "$load_dir"/codes.* 2>/dev/null | grep -c '^200$' || true
}

# Ends the load when each client has finished what it was asking. Sets `load_asked` and `load_failed`; the answers
# are in $load_dir/answers.*.
load_stop() {
	touch "$load_dir/stop"
	wait "${load_pids[@]}" || true
	load_asked=$(cat "$load_dir"/codes.* | wc -l)
	load_failed=$((load_asked - $(load_answered)))
}

# ask NODE URL N: so many requests one after the other, each on a connection of its own; prints the answers.
ask() {
	on "$1" curl -s --max-time 10 -H 'Connection: close' "$2/?[1-$3]"
}

# The usual lab:
#
#   client                    gateway                      switch     pod1 ... podN
#   198.51.100.7 ---- eth0 p0 [stormgate] p1 eth1 --------- (=) ----- 10.0.0.11 ... 10.0.0.1N
#                  198.51.100.11        10.0.0.1
#
# The client believes VIPs (192.0.2.0/24) to be on its link, as behind any gateway that answers ARP for them.
two_arms() {
	local i
	node client gateway
	link client eth0 gateway eth0
	address client eth0 198.51.100.7/24
	route client 192.0.2.0/24 dev eth0
	if [ $ipv6 = true ]; then
		address client eth0 2001:db8:1::7/64
		route client 2001:db8:2::/64 dev eth0
	fi
	switch switch
	plug switch gateway eth1
	for ((i = 1; i <= $1; i++)); do
		add_pod "pod$i" "10.0.0.$((10 + i))"
	done
	links_up gateway eth0 eth1
}

# add_pod NAME ADDRESS: one more host on the switch; with dual_stack, 10.0.0.N is fd00::N, too.
add_pod() {
	node "$1"
	plug switch "$1" eth0
	address "$1" eth0 "$2/24"
	[ $ipv6 = false ] || address "$1" eth0 "fd00::${2##*.}/64"
}

# The part of a config file that fits two_arms and lets several stormgates share a machine; the arguments are further
# settings of `dataplane`.
config_two_arms() {
	local p0='"198.51.100.11/24"' p1='"10.0.0.1/24"' snat='"10.0.0.100-10.0.0.101"'
	if [ $ipv6 = true ]; then
		p0+=', "2001:db8:1::11/64"' p1+=', "fd00::1/64"' snat+=', "fd00::100-fd00::101"'
	fi
	cat <<-END
		dataplane: { instance = "$lab"; hugepages = false; flows_per_worker = 65536; $* };
		ports: (
			{ name = "p0"; device = "net_af_packet0,iface=eth0"; twin = "sg-p0";
			  addresses = [$p0]; },
			{ name = "p1"; device = "net_af_packet1,iface=eth1"; twin = "sg-p1";
			  addresses = [$p1]; }
		);
		snat: { addresses = [$snat]; };
		control: { socket = "$lab_dir/stormgate.sock"; shutdown_timeout = ${shutdown_timeout:-0};
		           ${control_settings:-} };
	END
}

# web_service POD...: the part that serves port 80 of 192.0.2.10 from port 8080 of 10.0.0.1POD; with dual_stack, of
# 2001:db8:2::10 from fd00::1POD, too.
web_service() {
	local pod rows=() vips='"192.0.2.10"'
	for pod in "$@"; do
		rows+=("{ address = \"10.0.0.1$pod\"; port = 8080; }")
		[ $ipv6 = false ] || rows+=("{ address = \"fd00::1$pod\"; port = 8080; }")
	done
	[ $ipv6 = false ] || vips+=', "2001:db8:2::10"'
	echo "services: ( { name = \"web\"; vip = [$vips]; protocol = \"tcp\"; port = 80;"
	(IFS=,; echo "backends = ( ${rows[*]} ); } );")
}

# gateway_start FILE [NODE]: starts stormgate with a config file and waits until it forwards, which is when its
# socket appears. Sets `gateway_pid`.
gateway_start() {
	start "${2:-gateway}" "$build/app/stormgate/stormgate" -c "$1"
	gateway_pid=$started
	wait_for 20 forwards_or_died || true
	ctl status >/dev/null 2>&1 && return
	cat "$lab_dir/${2:-gateway}.log" >&2
	fail "stormgate did not start; what it said is above"
}

forwards_or_died() {
	ctl status || [ ! -d "/proc/$gateway_pid" ]
}

ctl() {
	"$build/app/stormctl/stormctl" -s "$lab_dir/stormgate.sock" "$@"
}
