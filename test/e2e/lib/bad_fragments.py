# Fragments that a host should not send, each kind to be lost by a name of its own.
#   bad_fragments.py INTERFACE SOURCE VIP PORT
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it misses routes that a frame does not need

from scapy.all import IP, TCP, UDP, Ether, IPv6, IPv6ExtHdrFragment, Raw, conf, getmacbyip, getmacbyip6, sendp

conf.verb = 0
interface, source, vip, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ipv6 = ":" in vip
mac = getmacbyip6(vip) if ipv6 else getmacbyip(vip)
datagram = bytes(UDP(sport=4000, dport=port, chksum=0) / Raw(b"x" * 1592))


def send(ident, offset, length, more, proto=17, payload=None):
    payload = datagram[offset:offset + length] if payload is None else payload
    if ipv6:
        header = IPv6(src=source, dst=vip) / IPv6ExtHdrFragment(id=ident, nh=proto, m=int(more), offset=offset // 8)
    else:
        header = IP(src=source, dst=vip, id=ident, proto=proto, flags="MF" if more else 0, frag=offset // 8)
    sendp(Ether(dst=mac) / header / Raw(payload), iface=interface)


# Overlapping: the second writes over the first, and the datagram is lost whole, also what comes later.
send(1, 0, 800, True)
send(1, 400, 800, True)
send(1, 0, 800, True)
send(1, 1200, 400, False)
# Twice the same: lost alone.
send(2, 0, 800, True)
send(2, 0, 800, True)
send(2, 800, 800, False)
# TCP's header split (RFC 1858, RFC 3128, RFC 7112). Of IPv6, only what is first can be known to split it.
segment = bytes(TCP(sport=4000, dport=port, flags="S"))
send(3, 0, 8, True, 6, segment[:8])
if not ipv6:
    send(3, 8, 12, False, 6, segment[8:])
# Beyond what a datagram can be, empty, and no multiple of 8.
send(4, 65528, 100, False, payload=b"x" * 100)
send(5, 800, 0, False, payload=b"")
send(6, 0, 801, True)
# Never whole: a first without a last, a last without a first, a hole.
send(7, 0, 800, True)
send(8, 800, 800, False)
send(9, 0, 800, True)
