// An eventfd, and a flag that says whether anybody waits for it, see doorbell.h.
#include "base/doorbell.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int sg_doorbell_open(struct sg_doorbell *bell, struct sg_error *error)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return sg_error_set(error, -errno, "no descriptor is left to wake threads by: %s",
			strerror(errno));
	bell->fd = fd;
	bell->asleep = false;
	return 0;
}

void sg_doorbell_close(struct sg_doorbell *bell)
{
	if (bell->fd > 0)
		close(bell->fd);
	bell->fd = 0;
}

bool sg_doorbell_ring(struct sg_doorbell *bell)
{
	// Pairs with the fence in go_to_bed: what was put into the ring, then the flag; there the
	// flag, then the ring.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&bell->asleep, __ATOMIC_RELAXED))
		return false;
	if (!__atomic_exchange_n(&bell->asleep, false, __ATOMIC_RELAXED))
		return false;
	eventfd_write(bell->fd, 1); // fails only after 2^64 - 2 unanswered ones
	return true;
}

void sg_doorbell_go_to_bed(struct sg_doorbell *bell)
{
	__atomic_store_n(&bell->asleep, true, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void sg_doorbell_get_up(struct sg_doorbell *bell, bool rung)
{
	eventfd_t times;

	__atomic_store_n(&bell->asleep, false, __ATOMIC_RELAXED);
	if (rung)
		eventfd_read(bell->fd, &times);
}
