# Takes the outer header off what comes in IP-in-IP packets, of IPv4 or with `ipv6` of IPv6, and gives the rest to the
# kernel, as an ipip interface would, so that no kernel module is needed. The kernel itself puts an outer packet's
# fragments together.
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
IPIP, IPV6 = 4, 41

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"decap", IFF_TUN_NO_PI))
ipv6 = sys.argv[1:] == ["ipv6"]
outer = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_RAW, IPV6 if ipv6 else IPIP)
outer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
while True:
    packet = outer.recv(70000)
    # Of IPv6, a raw socket gives no header.
    os.write(tun, packet if ipv6 else packet[(packet[0] & 15) * 4:])
