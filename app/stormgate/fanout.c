// What the net_af_packet driver asks of the kernel, put right.
//
// It joins its sockets in a fanout group that reassembles IPv4 fragments, and no argument of it
// turns that off. A packet longer than a frame of its ring then arrives cut off, so that a large
// ping to the node is lost. What a fragment becomes is for the pipeline and the kernel behind the
// twin to decide.
//
// The driver's call finds this setsockopt before libc's, whether it is linked statically or loaded
// at run time.
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	unsigned fanout; // id in the low half, type and flags in the high one

	if (level == SOL_PACKET && name == PACKET_FANOUT && length == sizeof(fanout)) {
		memcpy(&fanout, value, sizeof(fanout));
		fanout &= ~((unsigned)PACKET_FANOUT_FLAG_DEFRAG << 16);
		value = &fanout;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}
