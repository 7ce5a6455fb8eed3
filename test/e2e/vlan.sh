#!/usr/bin/env bash
# VLANs: a client and a pod behind a tag each, beside others without, over both families. A VLAN of a port is a port of its
# own; the kernel meets it on a twin of its own.
#
#   client 198.51.100.7 ------+-- p0         [stormgate]         p1 --(=)--+-- pod1 10.0.0.11
#          198.18.0.7 tag 100-+   p0.100 198.18.0.1   10.2.0.1 p1.200      +-- pod2 10.2.0.12 tag 200
#        2001:db8:64::7              2001:db8:64::1    fd00:2::1                    fd00:2::12
. "$(dirname "$0")/lib/story.sh"

# vlan_device NODE INTERFACE VLAN ADDRESS/LENGTH...: an interface "tagged" there.
vlan_device() {
	start "$1" python3 "$here/lib/vlan_device.py" "$2" "$3" tagged
	wait_for 10 on "$1" ip link show tagged
	address "$1" tagged "${@:4}"
	on "$1" ip link set tagged up
}

dual_stack
two_arms 2
tagged=192.0.2.20 tagged6=2001:db8:2::20 # VIPs that the client asks for through its VLAN
vlan_device client eth0 100 198.18.0.7/24 2001:db8:64::7/64
route client $tagged dev tagged src 198.18.0.7
route client $tagged6 dev tagged src 2001:db8:64::7
ip -n "$lab-pod2" address flush dev eth0
vlan_device pod2 eth0 200 10.2.0.12/24 fd00:2::12/64
route pod2 default via 10.2.0.1
route pod2 default via fd00:2::1
for pod in 1 2; do
	web_server pod$pod
done
head -c 5000000 /dev/urandom | tee "$lab_dir/pod1/www/5m" >"$lab_dir/pod2/www/5m"
start pod2 python3 "$here/lib/echo.py" serve 0.0.0.0 7
start pod2 python3 "$here/lib/echo.py" serve fd00:2::12 7
both="\"$tagged\", \"$tagged6\""
{
	config_two_arms 'workers = [0, 0, 0]; control_cpu = 0;' | sed 's,^\(ports: (\),&\
		{ name = "p0.100"; parent = "p0"; vlan = 100; addresses = ["198.18.0.1/24"\, "2001:db8:64::1/64"]; }\,\
		{ name = "p1.200"; parent = "p1"; vlan = 200; addresses = ["10.2.0.1/24"\, "fd00:2::1/64"]; }\,,'
	cat <<-END
		services: (
		  { name = "to-untagged"; vip = [$both]; protocol = "tcp"; port = 80;
		    backends = ( { address = "10.0.0.11"; port = 8080; }, { address = "fd00::11"; port = 8080; } ); },
		  { name = "to-tagged"; vip = [$both]; protocol = "tcp"; port = 81;
		    backends = ( { address = "10.2.0.12"; port = 8080; }, { address = "fd00:2::12"; port = 8080; } ); },
		  { name = "kept"; vip = [$both]; protocol = "tcp"; port = 82; forward = "dnat";
		    backends = ( { address = "10.2.0.12"; port = 8080; }, { address = "fd00:2::12"; port = 8080; } ); },
		  { name = "echo"; vip = [$both]; protocol = "udp"; port = 7;
		    backends = ( { address = "10.2.0.12"; }, { address = "fd00:2::12"; } ); },
		  { name = "web"; vip = ["$vip", "$vip6"]; protocol = "tcp"; port = 80;
		    backends = ( { address = "10.0.0.11"; port = 8080; }, { address = "10.2.0.12"; port = 8080; },
		                 { address = "fd00::11"; port = 8080; }, { address = "fd00:2::12"; port = 8080; } ); }
		);
	END
} >"$lab_dir/stormgate.conf"
gateway_start "$lab_dir/stormgate.conf"

for family in 4 6; do
	host=$tagged untagged=$vip
	[ $family = 4 ] || host="[$tagged6]" untagged="[$vip6]"
	expect "a pod without a tag, for $host" "$(ask client "http://$host" 20 | sort -u)" pod1
	expect "a pod with another tag, for $host" "$(ask client "http://$host:81" 20 | sort -u)" pod2
	expect "the same in mode dnat, for $host" "$(ask client "http://$host:82" 20 | sort -u)" pod2
	expect "both pods, for $untagged" "$(ask client "http://$untagged" 100 | sort -u | paste -sd ' ')" 'pod1 pod2'
	expect "a download from $host" "$(get --max-time 60 "http://$host:81/5m" | sha256sum)" "$(sha256sum <"$lab_dir/pod2/www/5m")"
done
for host in $tagged $tagged6; do
	expect "long datagrams to $host, in fragments with tags" \
		"$(on client python3 "$here/lib/echo.py" ask $host 7 1452 9000 30000)" 'all the same'
	on client ping -c 1 -W 2 $host | grep -q ' 0% packet loss'
done
# The kernel has the VLAN on a twin of its own: it is reached there, and knows its neighbours.
on client ping -c 1 -W 2 198.18.0.1 | grep -q ' 0% packet loss'
on client ping -c 1 -W 2 2001:db8:64::1 | grep -q ' 0% packet loss'
expect_like "the kernel's neighbour in the VLAN" "$(on gateway ip neighbour show dev sg-p0.100)" '*198.18.0.7 lladdr*'
expect_like "and over IPv6" "$(on gateway ip neighbour show dev sg-p0.100)" '*2001:db8:64::7 lladdr*'
# Its address is not reached from outside of the VLAN.
on client ip route add 198.18.0.1/32 via 198.51.100.11
on client ip route add 2001:db8:64::1/128 via 2001:db8:1::11
! on client ping -c 1 -W 1 198.18.0.1 >/dev/null
! on client ping -c 1 -W 1 2001:db8:64::1 >/dev/null
at_least "packets to it from outside" "$(dropped not_local)" 2

# Tags that no port has, and two at once.
on client python3 - eth0 "$vip" <<'END'
import sys
from scapy.all import IP, TCP, Dot1AD, Dot1Q, Ether, getmacbyip, sendp
interface, vip = sys.argv[1:]
frame = Ether(dst=getmacbyip(vip))
syn = IP(src="198.51.100.7", dst=vip) / TCP(sport=4000, dport=80, flags="S")
sendp(frame / Dot1Q(vlan=300) / syn, iface=interface, verbose=False)
sendp(frame / Dot1Q(vlan=100) / Dot1Q(vlan=100) / syn, iface=interface, verbose=False)
sendp(frame / Dot1AD(vlan=100) / Dot1Q(vlan=100) / syn, iface=interface, verbose=False)
END
wait_for 5 drops_at_least vlan_stacked 2
expect "of a VLAN that no port has" "$(dropped vlan_tag)" 1
accounting_closes
