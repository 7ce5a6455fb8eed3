#!/usr/bin/env bash
# Four workers on two CPUs: flows are handed to their homes, and each of ten thousand connections is counted by one worker.
#
#   client ---- [stormgate x 4] ---- (=) ---- pod1 pod2 pod3
. "$(dirname "$0")/lib/story.sh"

cpus=$(nproc)
two_arms 3
web_server pod1
web_server pod2
web_server pod3
head -c 20000000 /dev/urandom >"$lab_dir/pod1/www/20m"
cp "$lab_dir/pod1/www/20m" "$lab_dir/pod2/www/"
cp "$lab_dir/pod1/www/20m" "$lab_dir/pod3/www/"
web_service 1 2 3 | serve "workers = [0, $((1 % cpus)), 0, $((1 % cpus))];"

# Every pod has been spoken to, so that no first packet waits for ARP below.
all_answer() { [ "$(ask client "http://$vip" 12 | sort -u | paste -sd ' ')" = 'pod1 pod2 pod3' ]; }
wait_for 10 all_answer

# A download beside it, and connections that ask once each, 200 at a time.
cat >"$lab_dir/connections.py" <<'END'
import asyncio, collections, sys
async def ask(vip):
    reader, writer = await asyncio.open_connection(vip, 80)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n\r\n")[1].decode().strip()
async def ask_often(vip, n, answers):
    for _ in range(n):
        try:
            answers[await asyncio.wait_for(ask(vip), 30)] += 1
        except (OSError, IndexError, asyncio.TimeoutError) as error:
            answers[repr(error)] += 1
async def main(vip, n):
    answers = collections.Counter()
    await asyncio.gather(*(ask_often(vip, n // 200, answers) for _ in range(200)))
    print(*(f"{answer} {times}" for answer, times in sorted(answers.items())), sep="\n")
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
END
connections=10000
before=$(stats '[.workers[].new_flows] | add')
on client python3 "$lab_dir/connections.py" $vip $connections >"$lab_dir/answers" &
asking=$!
# Not faster than what an inbox holds of it while a worker's CPU is elsewhere for a third of a second.
expect "a download beside it" "$(get --max-time 60 --limit-rate 8M "http://$vip/20m" | sha256sum)" \
	"$(sha256sum <"$lab_dir/pod1/www/20m")"
wait $asking
expect "who answered" "$(cut -d ' ' -f 1 "$lab_dir/answers" | paste -sd ' ')" 'pod1 pod2 pod3'
expect "answers" "$(awk '{ n += $2 } END { print n }' "$lab_dir/answers")" $connections

expect "workers" "$(ctl status -o json | jq .workers)" 4
expect "connections that workers count" "$(stats '[.workers[].new_flows] | add')" $((before + connections + 1))
expect "connections that backends count" "$(stats '[.services[0].backends[].new_flows] | add')" $((before + connections + 1))
for worker in 0 1 2 3; do
	at_least "connections of worker $worker" "$(stats ".workers[$worker].new_flows")" $((connections / 8))
done
expect "drops" "$(ctl drops -o json | jq -c '[.drops[] | select(.count > 0)]')" '[]'
expect "hand-offs out and in" "$(stats '[.workers[], .twin | .handed_out - .handed_in] | add')" 0
accounting_closes
