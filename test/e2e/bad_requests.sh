#!/usr/bin/env bash
# The socket takes anything: malformed JSON, half lines, huge lines, unknown methods, 1,100 connections. Each is answered
# with an error or closed, nothing else happens, and stormctl still gets in.
#
#   client ---- [stormgate] ---- (=) ---- pod1
. "$(dirname "$0")/lib/story.sh"

two_arms 1
web_server pod1
web_service 1 | serve
before=$(ctl export -o json)

cat >"$lab_dir/hostile.py" <<'END'
import json, os, resource, socket, subprocess, sys
path, stormctl = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(path) # waits while the backlog is full
    s.settimeout(5)
    return s

def answer(s):
    got = b''
    while not got.endswith(b'\n'):
        more = s.recv(65536)
        if not more:
            return None
        got += more
    return json.loads(got)

def error_of(line):
    s = connect()
    s.sendall(line)
    a = answer(s)
    assert a is not None, 'no answer to %r' % line[:60]
    return a['error']['code']

def expect(line, code):
    got = error_of(line)
    assert got == code, 'error %s instead of %s for %r' % (got, code, line[:60])

expect(b'{"jsonrpc":"2.0","id":1,"method":\n', -32700)
expect(b'hello\n', -32700)
expect(b'\x00\xff\xfe\n', -32700)
expect(b'[]\n', -32600)
expect(b'42\n', -32600)
expect(b'{"jsonrpc":"2.0","id":1}\n', -32600)
expect(b'{"jsonrpc":"2.0","id":1,"method":"no_such_method"}\n', -32601)
expect(b'{"jsonrpc":"2.0","id":1,"method":"apply","params":7}\n', -32602)
expect(b'[' * 20000 + b'\n', -32700)

# A huge line: answered with an error or closed, not swallowed.
s = connect()
try:
    for _ in range(1024):
        s.sendall(b'x' * 65536)
    a = answer(s)
    assert a is None or 'error' in a, 'a line of 64 MB was taken'
except (BrokenPipeError, ConnectionResetError):
    pass

# Half a line stays half a line; the other half completes it.
s = connect()
s.sendall(b'{"jsonrpc":"2.0","id":7,')
s.sendall(b'"method":"hello"}\n')
assert answer(s)['id'] == 7

# Two requests in one write are two answers.
s = connect()
s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"hello"}\n{"jsonrpc":"2.0","id":2,"method":"hello"}\n')
f = s.makefile()
assert {json.loads(f.readline())['id'] for _ in range(2)} == {1, 2}

# Whoever closes at once, or never reads, harms nobody.
for _ in range(200):
    s = connect(); s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"stats"}\n'); s.close()

crowd = []
for _ in range(1100):
    s = connect()
    s.sendall(b'{')
    crowd.append(s)
subprocess.run([stormctl, '-s', path, 'status'], check=True, timeout=5, stdout=subprocess.DEVNULL)
END
exits 0 on gateway timeout 60 /usr/bin/python3 "$lab_dir/hostile.py" "$lab_dir/stormgate.sock" "$build/app/stormctl/stormctl"

expect "the state afterwards" "$(ctl export -o json)" "$before"
expect "the service" "$(get "http://$vip/")" pod1
accounting_closes
