// The doorbell: whoever sleeps is woken, whoever is awake costs nobody a system call, and however
// two threads run beside each other, no ring is lost.
#include "base/doorbell.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_MS 5000
#define N_LETTERS   20000

static bool is_readable(const struct sg_doorbell *bell)
{
	return poll(&(struct pollfd){.fd = bell->fd, .events = POLLIN}, 1, 0) == 1;
}

static void only_a_sleeper_is_rung(void **unused)
{
	struct sg_doorbell bell = {0};
	struct sg_error error;

	(void)unused;
	assert_int_equal(sg_doorbell_open(&bell, &error), 0);
	sg_doorbell_ring(&bell);
	assert_false(is_readable(&bell));
	sg_doorbell_go_to_bed(&bell);
	assert_false(is_readable(&bell));
	sg_doorbell_ring(&bell);
	sg_doorbell_ring(&bell);
	assert_true(is_readable(&bell));
	sg_doorbell_get_up(&bell, true);
	assert_false(is_readable(&bell));
	sg_doorbell_ring(&bell);
	assert_false(is_readable(&bell));
	sg_doorbell_close(&bell);
	sg_doorbell_close(&bell);
}

// A letter box of one letter, and one bell on each side. Both sleep without a timeout of their own:
// a ring that is lost leaves both asleep until the deadline.
struct correspondence {
	struct sg_doorbell bells[2];
	unsigned letter;
	bool late;
};

static unsigned read_letter(const struct correspondence *letters)
{
	return __atomic_load_n(&letters->letter, __ATOMIC_ACQUIRE);
}

static bool wait_for_letter(
	struct correspondence *letters, struct sg_doorbell *bell, unsigned number)
{
	while (read_letter(letters) < number) {
		int n = 0;

		sg_doorbell_go_to_bed(bell);
		if (read_letter(letters) < number) {
			n = poll(
				&(struct pollfd){.fd = bell->fd, .events = POLLIN}, 1, DEADLINE_MS);
			letters->late |= n == 0;
		}
		sg_doorbell_get_up(bell, n == 1);
		if (letters->late)
			return false;
	}
	return true;
}

static void correspond(struct correspondence *letters, unsigned side)
{
	for (unsigned i = side; i < N_LETTERS; i += 2) {
		if (!wait_for_letter(letters, &letters->bells[side], i))
			return;
		__atomic_store_n(&letters->letter, i + 1, __ATOMIC_RELEASE);
		sg_doorbell_ring(&letters->bells[!side]);
	}
}

static void *answer(void *context)
{
	correspond(context, 1);
	return NULL;
}

static void no_ring_is_lost(void **unused)
{
	struct correspondence letters = {0};
	struct sg_error error;
	pthread_t thread;

	(void)unused;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sg_doorbell_open(&letters.bells[i], &error), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer, &letters), 0);
	correspond(&letters, 0);
	pthread_join(thread, NULL);
	assert_false(letters.late);
	assert_int_equal(letters.letter, N_LETTERS);
	for (unsigned i = 0; i < 2; i++)
		sg_doorbell_close(&letters.bells[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_sleeper_is_rung),
		cmocka_unit_test(no_ring_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
