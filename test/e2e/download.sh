#!/usr/bin/env bash
# 100 MB of random bytes down and up again, each compared by its checksum.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve

file=$lab_dir/pod1/www/100m
head -c 100000000 /dev/urandom >"$file"
sum=$(sha256sum <"$file")

expect "what came down" "$(get --max-time 120 "http://$vip/100m" | sha256sum)" "$sum"
get --max-time 120 -T "$file" "http://$vip/put/up" >/dev/null
expect "what came up" "$(sha256sum <"$lab_dir/pod1/www/put/up")" "$sum"
accounting_closes
