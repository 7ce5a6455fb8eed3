# Takes the outer IPv4 header off what comes in IP-in-IP packets and gives the rest to the kernel, as an ipip interface
# would, so that no kernel module is needed. The kernel itself puts an outer packet's fragments together.
import fcntl
import os
import socket
import struct

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"decap", IFF_TUN_NO_PI))
outer = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
outer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
while True:
    packet = outer.recv(70000)
    os.write(tun, packet[(packet[0] & 15) * 4:])
