# Takes the outer header off what comes in IP-in-IP packets, IPv4 in IPv4 and IPv6 in IPv6, and gives the rest to the
# kernel, as an ipip or ip6tnl interface would, so that no kernel module is needed. The kernel itself puts an outer packet's
# fragments together.
import fcntl
import os
import select
import socket
import struct

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
IPV6_IN_IP = 41

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"decap", IFF_TUN_NO_PI))


def listen(family, protocol):
    outer = socket.socket(family, socket.SOCK_RAW, protocol)
    outer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return outer


outer4 = listen(socket.AF_INET, socket.IPPROTO_IPIP)
outer6 = listen(socket.AF_INET6, IPV6_IN_IP)  # gives what is behind the outer header
while True:
    ready, _, _ = select.select([outer4, outer6], [], [])
    if outer4 in ready:
        packet = outer4.recv(70000)
        os.write(tun, packet[(packet[0] & 15) * 4:])
    if outer6 in ready:
        os.write(tun, outer6.recv(70000))
