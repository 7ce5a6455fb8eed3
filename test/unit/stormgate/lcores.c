// Which CPU does what, by settings and affinity mask.
#include "lcores.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static cpu_set_t all_cpus;

// The number of the n-th CPU that this process may use.
static unsigned nth_cpu(unsigned n)
{
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all_cpus) && n-- == 0)
			return cpu;
	}
	fail_msg("this test needs two CPUs");
	return 0;
}

static void allow(unsigned n_cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < n_cpus; i++)
		CPU_SET(nth_cpu(i), &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static struct sg_lcores choose(const struct sg_settings *settings)
{
	struct sg_lcores lcores;
	struct sg_error error;

	assert_int_equal(sg_lcores_choose(&lcores, settings, &error), 0);
	return lcores;
}

static void by_default_control_and_one_worker_have_a_cpu_each(void **unused)
{
	struct sg_settings settings;
	struct sg_lcores lcores;

	(void)unused;
	allow(2);
	sg_settings_init(&settings);
	settings.control_cpu = -1;
	settings.n_workers = 0;
	settings.hugepages = true;
	lcores = choose(&settings);
	assert_int_equal(lcores.n_workers, 1);
	assert_int_equal(lcores.control_cpu, nth_cpu(0));
	assert_int_equal(lcores.worker_cpus[0], nth_cpu(1));
	assert_false(lcores.adaptive);
	settings.hugepages = false;
	assert_true(choose(&settings).adaptive);
	settings.poll_given = true;
	settings.poll = SG_POLL_BUSY;
	assert_false(choose(&settings).adaptive);

	// Control gives way to the workers that were asked for, and the other way round.
	settings.n_workers = 1;
	settings.workers[0] = nth_cpu(0);
	assert_int_equal(choose(&settings).control_cpu, nth_cpu(1));
	settings.n_workers = 0;
	settings.control_cpu = (int)nth_cpu(1);
	assert_int_equal(choose(&settings).worker_cpus[0], nth_cpu(0));
}

static void on_one_cpu_all_share_it_and_sleep(void **unused)
{
	struct sg_settings settings;
	struct sg_lcores lcores;

	(void)unused;
	allow(1);
	sg_settings_init(&settings);
	settings.control_cpu = -1;
	settings.n_workers = 0;
	settings.poll_given = true;
	settings.poll = SG_POLL_BUSY;
	lcores = choose(&settings);
	assert_int_equal(lcores.control_cpu, nth_cpu(0));
	assert_int_equal(lcores.worker_cpus[0], nth_cpu(0));
	assert_true(lcores.adaptive);
}

static void workers_that_share_a_cpu_sleep(void **unused)
{
	struct sg_settings settings;
	struct sg_lcores lcores;

	(void)unused;
	allow(2);
	sg_settings_init(&settings);
	settings.control_cpu = (int)nth_cpu(0);
	settings.n_workers = 3;
	for (unsigned i = 0; i < 3; i++)
		settings.workers[i] = nth_cpu(1);
	settings.poll_given = true;
	settings.poll = SG_POLL_BUSY;
	lcores = choose(&settings);
	assert_int_equal(lcores.n_workers, 3);
	assert_true(lcores.adaptive);
}

static void a_cpu_that_is_not_ours_is_refused(void **unused)
{
	struct sg_settings settings;
	struct sg_lcores lcores;
	struct sg_error error;

	(void)unused;
	allow(1);
	sg_settings_init(&settings);
	settings.n_workers = 1;
	settings.workers[0] = nth_cpu(1);
	assert_int_equal(sg_lcores_choose(&lcores, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text, "dataplane.workers"));
	settings.n_workers = 0;
	settings.control_cpu = 100000;
	assert_int_equal(sg_lcores_choose(&lcores, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text, "dataplane.control_cpu"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_control_and_one_worker_have_a_cpu_each),
		cmocka_unit_test(on_one_cpu_all_share_it_and_sleep),
		cmocka_unit_test(workers_that_share_a_cpu_sleep),
		cmocka_unit_test(a_cpu_that_is_not_ours_is_refused),
	};

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
