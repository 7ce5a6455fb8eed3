// What the loop knows of its own turns.
#include "control/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define WORK_NS 3000000u
#define NAP_US  20000

static void work(void *context, int fd, uint32_t events)
{
	uint64_t end_ns = sg_clock_thread_ns() + WORK_NS, count;

	(void)context;
	(void)events;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	while (sg_clock_thread_ns() < end_ns)
		;
}

static uint64_t nap(void *context)
{
	(void)context;
	usleep(NAP_US);
	return 0;
}

// What a turn does is its own; what it waits for, inside or between turns, is not.
static void the_longest_turn_is_one_of_work(void **unused)
{
	struct sg_error error;
	struct sg_loop *loop;
	uint64_t one = 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)unused;
	assert_int_equal(sg_loop_create(&loop, &error), 0);
	assert_int_equal(sg_loop_add(loop, fd, EPOLLIN, work, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sg_loop_run_once(loop, nap, NULL, 1), 0);
	assert_true(sg_loop_longest_turn_ns(loop) < NAP_US * 1000);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sg_loop_run_once(loop, NULL, NULL, 1), 0);
	assert_true(sg_loop_longest_turn_ns(loop) >= WORK_NS);
	assert_true(sg_loop_take_longest_turn_ns(loop) >= WORK_NS);
	assert_int_equal(sg_loop_longest_turn_ns(loop), 0);
	sg_loop_destroy(loop);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_turn_is_one_of_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
