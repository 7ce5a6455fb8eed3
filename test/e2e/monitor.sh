#!/usr/bin/env bash
# The second socket answers questions to whoever its mode lets in, and changes nothing.
. "$(dirname "$0")/lib/story.sh"

control_settings="monitor_socket = \"$lab_dir/monitor.sock\"; monitor_mode = \"0666\";"
two_arms 1
web_server pod1
web_service 1 | serve

expect "modes" "$(stat -c %a "$lab_dir/stormgate.sock" "$lab_dir/monitor.sock" | paste -sd ' ')" '660 666'
monitor=("$build/app/stormctl/stormctl" -s "$lab_dir/monitor.sock")
for question in status stats drops flows history export 'service list' 'service show web' 'policy show'; do
	# shellcheck disable=SC2086
	exits 0 "${monitor[@]}" $question
done
exits 1 "${monitor[@]}" service delete web
expect_like "the refusal" "$said" "*\"service delete\" changes something, and this socket only answers questions: use $lab_dir/stormgate.sock*"
exits 1 "${monitor[@]}" backend drain web 10.0.0.11:8080 --dry-run
exits 1 "${monitor[@]}" rollback
expect "the service" "$(get "http://$vip/")" pod1

# Nobody, whom the first socket does not let in.
chmod 755 "$lab_dir"
nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$build/app/stormctl/stormctl" "$@"
}
if setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$build/app/stormctl/stormctl"; then
	exits 3 nobody -s "$lab_dir/stormgate.sock" status
	exits 0 nobody -s "$lab_dir/monitor.sock" status
fi

kill -TERM "$gateway_pid"
wait "$gateway_pid"
[ ! -e "$lab_dir/monitor.sock" ] || fail "the second socket is left behind"
