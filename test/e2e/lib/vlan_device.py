# A VLAN interface for a kernel without VLAN devices: what is sent to it leaves by INTERFACE with the tag, and what comes
# in there with the tag is received.
#   vlan_device.py INTERFACE VLAN NAME
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID = 1 << 4

below, vlan, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.bind((below, 0))
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def tag_of(ancillary):
    # The kernel takes the tag off and puts it beside the frame.
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, tag = struct.unpack("I12xH2x", data[:20])
            return tag & 0xFFF if status & TP_STATUS_VLAN_VALID else 0
    return 0


while True:
    for ready in select.select([tap, wire], [], [])[0]:
        if ready is wire:
            frame, ancillary, _, _ = wire.recvmsg(65536, 64)
            if tag_of(ancillary) == vlan:
                os.write(tap, frame)
        else:
            frame = os.read(tap, 65536)
            wire.send(frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:])
