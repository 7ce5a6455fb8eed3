#!/usr/bin/env bash
# Who may not connect does not, from the moment that it is said; what becomes of connections that exist is the
# operator's choice; and each loss has a name and a service.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
head -c 30000000 /dev/urandom >"$lab_dir/pod1/www/slow"
web_service 1 | serve

# gone SERVICE: it has no flow any more.
gone() {
	[ "$(stats ".services[] | select(.name == \"$1\").flows")" = 0 ]
}

# download NAME: begins one that takes seconds, and returns when it is under way. Sets `download`.
download() {
	get --limit-rate 5M --max-time 60 -f -o "$lab_dir/$1" "http://$vip/slow" &
	download=$!
	wait_for 10 test -s "$lab_dir/$1"
}

# The service keeps what exists: the download goes on, and nobody else comes in.
download kept
ctl service set web --deny 198.51.100.0/24
refused "http://$vip" --max-time 1 || fail "a denied client was served"
wait $download || fail "the download did not survive a policy that keeps"
cmp "$lab_dir/kept" "$lab_dir/pod1/www/slow"
ctl service set web --deny nobody
get "http://$vip" >/dev/null

# The policy for all ends what exists: the download stops in its tracks.
download ended
ctl policy set --deny 198.51.100.7 --existing end
wait_for 10 gone web
kill $download 2>/dev/null || true
wait $download && fail "a download went on that the policy ends"
[ "$(stat -c %s "$lab_dir/ended")" -lt 30000000 ] || fail "the download is whole"
at_least "losses of web by name" "$(stats '.services[] | select(.name == "web").dropped_to_backend.denied')" 1
ctl policy set --deny nobody
get "http://$vip" >/dev/null
accounting_closes
