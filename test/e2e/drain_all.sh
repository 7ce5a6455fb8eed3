#!/usr/bin/env bash
# Two thousand open connections over four pods, every other one over IPv6; each pod is drained and removed in turn, and before timeouts.drain has passed
# none of them is reset: all that is sent on any of them is answered, by the pod that it began with.
#
#   client, 2000 connections ---- [stormgate] ---- (=) ---- pod1 pod2 pod3 pod4
. "$(dirname "$0")/lib/story.sh"

connections=2000
dual_stack
two_arms 4
# A pod that answers each line with its name.
cat >"$lab_dir/server.py" <<'END'
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
async def serve(reader, writer):
    while await reader.readline():
        writer.write(sys.argv[1].encode() + b"\n")
async def main():
    await (await asyncio.start_server(serve, ["0.0.0.0", "::"], 8080, backlog=4096)).serve_forever()
asyncio.run(main())
END
# A client that opens them all, and for each line on stdin asks on all of them and says how it went: how many were answered
# as before, and how many were not.
cat >"$lab_dir/client.py" <<'END'
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
async def ask(connection):
    reader, writer = connection
    try:
        writer.write(b"?\n")
        return await asyncio.wait_for(reader.readline(), 30)
    except (OSError, asyncio.TimeoutError) as error:
        return repr(error)
async def main(vips, n):
    connections = []
    for _ in range(n // 50):
        connections += await asyncio.gather(*(asyncio.open_connection(vips[i % len(vips)], 80) for i in range(50)))
    before = await asyncio.gather(*map(ask, connections))
    print(len(before), *sorted(b"".join(set(before)).decode().split()), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        now = await asyncio.gather(*map(ask, connections))
        same = sum(a == b for a, b in zip(before, now))
        print(same, n - same, *sorted({str(b) for a, b in zip(before, now) if a != b})[:3], flush=True)
asyncio.run(main(sys.argv[2:], int(sys.argv[1])))
END
for pod in 1 2 3 4; do
	start pod$pod python3 "$lab_dir/server.py" pod$pod
	wait_for 10 on pod$pod bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080'
done
{ web_service 1 2 3 4; echo 'timeouts: { drain = 100; };'; } | serve

mkfifo "$lab_dir/ask" "$lab_dir/told"
on client python3 "$lab_dir/client.py" $connections $vip $vip6 <"$lab_dir/ask" >"$lab_dir/told" 2>"$lab_dir/client.log" &
client=$!
exec 3>"$lab_dir/ask" 4<"$lab_dir/told"
read -r -t 60 said <&4 || fail "the connections were not opened"
expect "connections and who has them" "$said" "$connections pod1 pod2 pod3 pod4"

# all_answer WHEN
all_answer() {
	echo >&3
	read -r -t 60 said <&4 || fail "$1: no word of the client"
	expect "connections answered and not, $1" "$said" "$connections 0"
}
for backend in {0..7}; do
	at_least "flows of backend $backend" "$(stats ".services[0].backends[$backend].flows")" $((connections / 16))
done
for pod in 1 2 3 4; do
	ctl backend drain web 10.0.0.1$pod:8080
	ctl backend drain web "[fd00::1$pod]:8080"
	all_answer "while pod$pod drains"
	ctl backend delete web 10.0.0.1$pod:8080
	ctl backend delete web "[fd00::1$pod]:8080"
	all_answer "after pod$pod was removed"
done >/dev/null
expect "backends" "$(ctl service show web -o json | jq '.backends | length')" 0
expect "resets that came from us" "$(stats '[.dropped.backend_gone, .dropped.no_flow] | add')" 0
# Nobody serves new ones, and the old ones go on.
for url in "http://$vip/" "http://[$vip6]/"; do
	refused "$url" || fail "a new connection was served without a backend: $url"
done
all_answer "with all pods removed"
exec 3>&-
wait $client
accounting_closes
