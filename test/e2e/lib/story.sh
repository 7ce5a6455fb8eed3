# What every story starts with: a fresh lab of its own, and words to judge what happens in it.
#
# A story is one bash file. It draws its hosts and cables in the first lines, then reads as a list of commands; the first
# one that fails ends it. It waits for events with deadlines (wait_for), never for time to pass. Everything that it starts
# ends with it. When it fails, what stormgate said and counted is printed below.
set -euo pipefail
shopt -s lastpipe # `... | serve` runs in this shell, and what it starts is this shell's child

. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../../app/demo/lab.sh"

here=$(dirname "$(readlink -f "$0")") # the stories' folder
vip=192.0.2.10
vip6=2001:db8:2::10 # in a lab with IPv6, see dual_stack
gateway_pid=
# A jq filter: the stats without what is zero.
terse='del(.services) | walk(if type == "object" then with_entries(select(.value != 0 and .value != {})) else . end)'

[ -x "$build/app/stormgate/stormgate" ] || fail "there is no $build/app/stormgate/stormgate: run test/run, or set STORMGATE_BUILD"
lab_create story
trap story_end EXIT

story_end() {
	local status=$?
	[ $status = 0 ] || aftermath
	lab_destroy
	exit $status
}

aftermath() {
	local file
	set +e
	trap - ERR
	for file in "$lab_dir"/*.log; do
		[ ! -s "$file" ] || { echo "--- ${file##*/}"; tail -n 40 "$file"; }
	done
	[ ! -S "$lab_dir/stormgate.sock" ] || { echo '--- stormctl stats'; timeout 3 "$build/app/stormctl/stormctl" \
		-s "$lab_dir/stormgate.sock" stats -o json | jq -c "$terse"; } 2>&1
}

# A story that cannot be told here says why and is counted as skipped.
skip() {
	echo "$*"
	exit 77
}

# serve [DATAPLANE SETTINGS...] <REST OF THE CONFIG FILE: starts stormgate in the lab of two_arms.
serve() {
	{ config_two_arms "$@"; cat; } >"$lab_dir/stormgate.conf"
	gateway_start "$lab_dir/stormgate.conf"
}

# name_server NODE ANSWER: a dnsmasq whose name.test is that address.
name_server() {
	start "$1" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts \
		--bind-interfaces --address="/name.test/$2"
	wait_for 10 on "$1" dig +short +time=1 +tries=1 @127.0.0.1 name.test
}

# --- judging ------------------------------------------------------------------------------------------------------

# exits CODE COMMAND...: it must end with that code; what it said is in `said`.
exits() {
	local want=$1 got=0
	shift
	said=$("$@" 2>&1 </dev/null) || got=$?
	[ "$got" = "$want" ] || fail "exit $got instead of $want: $*"$'\n'"$said"
}

# expect WHAT GOT WANT: both are the same.
expect() {
	[ "$2" = "$3" ] || fail "$1: $2 instead of $3"
}

# expect_like WHAT GOT PATTERN
expect_like() {
	# shellcheck disable=SC2053
	[[ $2 == $3 ]] || fail "$1: $2 does not look like $3"
}

# at_least WHAT GOT LEAST
at_least() {
	[ "$2" -ge "$3" ] || fail "$1: $2, and should be at least $3"
}

# get URL [CURL OPTION...]: what the client gets, at most 5 seconds later.
get() {
	on client curl -sS --max-time 5 "$@"
}

refused() {
	! get "$@" >/dev/null 2>&1
}

# stats FILTER: a figure of `stormctl stats`, by a jq filter.
stats() {
	ctl stats -o json | jq -r "$1"
}

# dropped NAME: how many packets were lost under that name.
dropped() {
	stats ".dropped.\"$1\" // 0"
}

drops_at_least() {
	[ "$(dropped "$1")" -ge "$2" ]
}

# Every packet has gone somewhere that has a name, in the sum and for each worker and the twin. Asked when nothing is sent any more;
# what is still on its way has the deadline to arrive.
accounting_closes() {
	wait_for 5 balanced || fail "the accounting does not close: $(ctl stats -o json | jq -c "$terse")"
}

balanced() {
	[ "$(stats '
		def missing: .received + .generated + (.handed_in // 0) - .forwarded - .punted - .consumed
			- ([.dropped[]] | add // 0) - (.handed_out // 0) - .in_flight;
		[., .workers[], .twin] | map(select(missing != 0)) | length')" = 0 ]
}
