# Datagrams there and back.
#   echo.py serve ADDRESS PORT          answers each with itself
#   echo.py ask ADDRESS PORT SIZE...    sends one of each size, again if need be (path MTU discovery costs the first);
#                                       prints "all the same", or what did not come back
import os
import socket
import sys

verb, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
link = socket.socket(family, socket.SOCK_DGRAM)


def serve():
    link.bind((address, port))
    while True:
        try:
            data, sender = link.recvfrom(70000)
            link.sendto(data, sender)
        except OSError:
            pass  # an answer before this one was too long for the way


def exchange(size):
    data = os.urandom(size)
    try:
        link.send(data)
        while True:
            answer = link.recv(70000)
            if len(answer) == size:  # an answer to an earlier question may be late
                return answer == data
    except OSError:
        return False


def ask(sizes):
    link.settimeout(1)
    link.connect((address, port))
    lost = [size for size in sizes if not any(exchange(size) for _ in range(15))]
    print(f"not the same: {lost}" if lost else "all the same")


if verb == "serve":
    serve()
else:
    ask([int(size) for size in sys.argv[4:]])
