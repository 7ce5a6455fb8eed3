# Connections that are kept: N at once, each tried again from another port until it is established.
#   hold.py FILE ADDRESS PORT N SOURCE...   the sources take turns
# How many have been established and when, in seconds since the first attempt, is in FILE, a line each time one is added.
# SIGUSR1: the oldest one is closed for good, which is a line in FILE.closed.
import errno
import selectors
import signal
import socket
import sys
import time

file, address, port, n, sources = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
RETRY = 1
selector = selectors.DefaultSelector()
held, started = [], {}
to_close = 0
log = open(file, "w", buffering=1)
closed = open(file + ".closed", "w", buffering=1)


def attempt(source):
    link = socket.socket()
    link.setblocking(False)
    link.bind((source, 0))
    error = link.connect_ex((address, port))
    if error not in (0, errno.EINPROGRESS):
        raise OSError(error, "connect")
    started[link] = (source, time.monotonic())
    selector.register(link, selectors.EVENT_WRITE)


def leave(link):
    selector.unregister(link)
    return started.pop(link)[0]


def on_signal(*_):
    global to_close
    to_close += 1


signal.signal(signal.SIGUSR1, on_signal)
begun = time.monotonic()
for i in range(n):
    attempt(sources[i % len(sources)])
while True:
    for key, _ in selector.select(0.1):
        link = key.fileobj
        source = leave(link)
        if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            link.close()
            attempt(source)
            continue
        held.append(link)
        print(len(held), source, f"{time.monotonic() - begun:.3f}", file=log)
    while to_close > 0 and held:
        to_close -= 1
        held.pop(0).close()
        print("closed", file=closed)
    for link in [link for link, (_, since) in started.items() if time.monotonic() - since > RETRY]:
        source = leave(link)
        link.close()
        attempt(source)
