// Whether the memory that EAL is asked for holds the buffers that are then made of it.
#include "buffers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lcores.h"

// Whoever loses its CPU halfway through a put or a get holds up no other thread: no order among
// those who put, and room for as many of them as there are slots.
static void assert_ring_relaxed(const struct rte_ring *ring)
{
	assert_int_equal(rte_ring_get_prod_sync_type(ring), RTE_RING_SYNC_MT_RTS);
	assert_true(rte_ring_get_prod_htd_max(ring) >= rte_ring_get_capacity(ring));
}

static void assert_nobody_waits(const struct sg_dataplane *dataplane)
{
	for (unsigned i = 0; i < dataplane->n_workers; i++)
		assert_ring_relaxed(dataplane->inboxes[i]);
	for (unsigned i = 0; i < dataplane->n_ports; i++) {
		assert_ring_relaxed(dataplane->ports[i].punt);
		assert_ring_relaxed(dataplane->ports[i].punt_urgent);
	}
	assert_string_equal(
		rte_mempool_get_ops(dataplane->mempool->ops_index)->name, "ring_mt_rts");
}

// EAL starts once in a process, so each row has its own. Returns whether the buffers were made.
static bool make(unsigned n_ports, unsigned n_workers, uint16_t mtu)
{
	static struct sg_settings settings;
	static struct sg_dataplane dataplane;
	struct sg_lcores lcores = {.n_workers = 1};
	struct sg_error error = {0};

	sg_settings_init(&settings);
	settings.hugepages = false;
	snprintf(settings.instance, sizeof(settings.instance), "unit-buffers-%d", (int)getpid());
	settings.n_ports = n_ports;
	for (unsigned i = 0; i < n_ports; i++) {
		settings.ports[i].mtu = mtu;
		snprintf(settings.ports[i].device, sizeof(settings.ports[i].device), "net_null0");
	}
	if (sg_eal_start(&lcores, &settings, sg_buffers_memory_mb(&settings, n_workers), &error) !=
		0)
		return fprintf(stderr, "%s\n", error.text), false;
	dataplane.n_ports = n_ports;
	dataplane.n_workers = n_workers;
	if (sg_buffers_create(&dataplane, &settings, &error) != 0)
		return fprintf(stderr, "%s\n", error.text), sg_eal_stop(), false;
	assert_nobody_waits(&dataplane);
	sg_buffers_destroy(&dataplane);
	sg_eal_stop();
	return true;
}

static bool make_in_a_process(unsigned n_ports, unsigned n_workers, uint16_t mtu)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(make(n_ports, n_workers, mtu) ? 0 : 1);
	waitpid(child, &status, 0);
	return status == 0;
}

static void what_is_asked_for_is_enough_without_hugepages(void **unused)
{
	(void)unused;
	assert_true(make_in_a_process(1, 1, 1500));
	assert_true(make_in_a_process(2, 4, 1500));
	assert_true(make_in_a_process(4, 8, 1500));
	assert_true(make_in_a_process(2, 4, 9000));
	assert_true(make_in_a_process(1, 1, 9600));
}

static void frames_of_the_mtu_fit_a_buffer(void **unused)
{
	(void)unused;
	assert_int_equal(sg_buffer_room(1500), SG_BUFFER_ROOM);
	assert_int_equal(sg_buffer_room(9000) % 1024, 0);
	for (unsigned mtu = 68; mtu <= SG_MAX_MTU; mtu++)
		assert_true(sg_buffer_room((uint16_t)mtu) >= mtu + 14 + 2 * 4);
	// DPDK counts a buffer's bytes in 16 bits.
	assert_true(sg_buffer_room(SG_MAX_MTU) + RTE_PKTMBUF_HEADROOM <= UINT16_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_the_mtu_fit_a_buffer),
		cmocka_unit_test(what_is_asked_for_is_enough_without_hugepages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
