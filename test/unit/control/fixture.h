// A control thread without threads: the real control over a data plane that does what the test
// says.
//
// Included by the tests of lib/control that need more than one file: commands, rollout, the fuzz
// target.
#pragma once

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../../guarded.h"
#include "control/config_file.h"
#include "control/control_internal.h"
#include "flatten.h"

#define FAKE_WORKERS    2
#define FAKE_MAX_FLOWS  1024
#define FAKE_MAX_ANSWER 64

struct fake_dataplane {
	const struct sg_snapshot *published; // last
	uint64_t n_published;
	uint64_t n_passed;      // publications that every worker has seen
	bool stuck;             // worker 1 passes nothing
	uint32_t backend_flows; // of any backend
	struct sg_counters totals[FAKE_WORKERS + 1];
	struct sg_worker_counters counters[FAKE_WORKERS + 1];
	struct sg_flow_table *tables[FAKE_WORKERS];
	void *addresses[FAKE_WORKERS]; // of IPv6 flows
	struct sg_publisher publisher;
	struct sg_question question; // the last one
	struct sg_explanation explanation;
};

static uint64_t fake_publish(void *context, const struct sg_snapshot *snapshot)
{
	struct fake_dataplane *fake = context;

	fake->published = snapshot;
	return ++fake->n_published;
}

static bool fake_passed(void *context, uint64_t token, unsigned *ret_late_worker)
{
	struct fake_dataplane *fake = context;

	if (!fake->stuck)
		fake->n_passed = fake->n_published;
	if (ret_late_worker)
		*ret_late_worker = 1;
	return token <= fake->n_passed;
}

static bool fake_next_wish(void *context, struct sg_wish *ret_wish)
{
	(void)context;
	(void)ret_wish;
	return false;
}

static uint32_t fake_backend_flows(void *context, uint32_t slot)
{
	(void)slot;
	return ((struct fake_dataplane *)context)->backend_flows;
}

// Says of every packet what the test has laid down.
static int fake_explain(void *context, const struct sg_snapshot *snapshot,
	const struct sg_question *question, struct sg_explanation *ret_explanation,
	struct sg_error *error)
{
	struct fake_dataplane *fake = context;

	(void)snapshot;
	(void)error;
	fake->question = *question;
	*ret_explanation = fake->explanation;
	return 0;
}

#define SERVICE_BYTES      (SG_MAX_SERVICES * sizeof(struct sg_traffic))
#define BACKEND_BYTES      (SG_MAX_BACKENDS * sizeof(struct sg_traffic))
#define SERVICE_LOSS_BYTES (SG_MAX_SERVICES * sizeof(struct sg_losses))
#define BACKEND_LOSS_BYTES (SG_MAX_BACKENDS * sizeof(struct sg_losses))

static inline void fake_open(struct fake_dataplane *fake)
{
	struct sg_hash_key key = {.words = {1, 2}};
	size_t bytes = (sg_flow_table_bytes(FAKE_MAX_FLOWS) + 4095) & ~(size_t)4095;
	void *memory;

	*fake = (struct fake_dataplane){0};
	for (unsigned i = 0; i <= FAKE_WORKERS; i++) {
		fake->counters[i].totals = &fake->totals[i];
		if (i == FAKE_WORKERS)
			break;
		fake->counters[i].services = guarded_map(SERVICE_BYTES);
		fake->counters[i].backends = guarded_map(BACKEND_BYTES);
		fake->counters[i].service_losses = guarded_map(SERVICE_LOSS_BYTES);
		fake->counters[i].backend_losses = guarded_map(BACKEND_LOSS_BYTES);
		memory = aligned_alloc(4096, bytes);
		memset(memory, 0, bytes);
		fake->tables[i] = sg_flow_table_init(memory, FAKE_MAX_FLOWS, &key);
		fake->addresses[i] = guarded_map(sg_flow_addresses_bytes(FAKE_MAX_FLOWS));
		sg_flow_table_attach_addresses(fake->tables[i], fake->addresses[i]);
	}
	fake->publisher = (struct sg_publisher){.dataplane = fake,
		.n_workers = FAKE_WORKERS,
		.counters = fake->counters,
		.flows = fake->tables,
		.publish = fake_publish,
		.passed = fake_passed,
		.next_wish = fake_next_wish,
		.backend_flows = fake_backend_flows,
		.explain = fake_explain};
}

static inline void fake_close(struct fake_dataplane *fake)
{
	for (unsigned i = 0; i < FAKE_WORKERS; i++) {
		guarded_unmap(fake->counters[i].services, SERVICE_BYTES);
		guarded_unmap(fake->counters[i].backends, BACKEND_BYTES);
		guarded_unmap(fake->counters[i].service_losses, SERVICE_LOSS_BYTES);
		guarded_unmap(fake->counters[i].backend_losses, BACKEND_LOSS_BYTES);
		guarded_unmap(fake->addresses[i], sg_flow_addresses_bytes(FAKE_MAX_FLOWS));
		free(fake->tables[i]);
	}
}

#define FIXTURE_CONFIG                                                                              \
	"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );" \
	"snat: { addresses = [\"10.0.0.100\"]; };"                                                  \
	"backend_cidrs = [\"10.0.0.0/8\"];"                                                         \
	"timeouts: { drain = 1; };"                                                                 \
	"services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; "       \
	"backends = ( { address = \"10.0.0.2\"; port = 8080; }, "                                   \
	"{ address = \"10.0.0.3\"; port = 8080; } ); } );"

struct fixture {
	struct fake_dataplane fake;
	struct sg_settings settings;
	struct sg_control *control;
	// The originals.
	void (*answer_socket)(void *context, uint64_t connection, struct sg_text *text);
	size_t (*unsent_of_socket)(void *context, uint64_t connection);
	char *answers[FAKE_MAX_ANSWER]; // in the order of their arrival
	unsigned n_answers;
};

static void fixture_take_answer(void *context, uint64_t connection, struct sg_text *text)
{
	struct fixture *fixture = context;

	(void)connection;
	assert(fixture->n_answers < FAKE_MAX_ANSWER);
	fixture->answers[fixture->n_answers++] = flatten(text);
}

static size_t fixture_unsent(void *context, uint64_t connection)
{
	(void)context;
	(void)connection;
	return 0;
}

static inline struct fixture *fixture_create(const char *config)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sg_error error = {0};
	struct sg_state state;
	int err;

	fake_open(&fixture->fake);
	err = sg_config_file_read_text(config, strlen(config), &fixture->settings, &state, &error);
	if (!err)
		err = sg_control_create(&fixture->control, &fixture->settings, &state,
			&fixture->fake.publisher, NULL, &error);
	if (!err)
		err = sg_control_first_publish(fixture->control, &error);
	if (err) {
		fprintf(stderr, "fixture: %d: %s\n", error.line, error.text);
		abort();
	}
	fixture->answer_socket = fixture->control->answer;
	fixture->unsent_of_socket = fixture->control->unsent;
	fixture->control->answer = fixture_take_answer;
	fixture->control->unsent = fixture_unsent;
	fixture->control->answer_context = fixture;
	sg_control_turn(fixture->control);
	return fixture;
}

static inline void fixture_forget_answers(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->n_answers; i++)
		free(fixture->answers[i]);
	fixture->n_answers = 0;
}

static inline void fixture_destroy(struct fixture *fixture)
{
	sg_control_destroy(fixture->control);
	fixture_forget_answers(fixture);
	fake_close(&fixture->fake);
	free(fixture);
}

static inline void fixture_send(struct fixture *fixture, uint64_t connection, const char *line)
{
	struct sg_peer peer = {0};

	sg_command_handle(fixture->control, connection, &peer, line, strlen(line));
}

// Whether the helper is at it, or about to be.
static inline bool fixture_is_helped(const struct fixture *fixture)
{
	const struct sg_control *control = fixture->control;

	return control->reading || sg_change_is_waiting(control) ||
	       sg_rollout_is_busy(control->rollout);
}

// Turns until the helper has nothing to do, and what it has done is published.
static inline void fixture_settle(struct fixture *fixture)
{
	struct sg_control *control = fixture->control;

	for (unsigned turn = 0; turn < 1000 && fixture_is_helped(fixture); turn++)
		sg_loop_run_once(control->loop, sg_control_turn, control, 0);
	sg_control_turn(control);
}

// Turns until there is an answer, or nobody is left who would give one.
static inline void fixture_wait(struct fixture *fixture)
{
	struct sg_control *control = fixture->control;

	for (unsigned turn = 0, idle = 0; turn < 1000 && idle < 100 && !fixture->n_answers;
		turn++) {
		// The disk tells by a descriptor as well.
		bool is_helped = control->keeper || fixture_is_helped(fixture);

		sg_loop_run_once(control->loop, sg_control_turn, control, !is_helped);
		idle += !is_helped;
	}
}

// One request with its answer: the whole of it, the caller's. `params` is JSON.
static inline json_t *fixture_ask(struct fixture *fixture, const char *method, const char *params)
{
	char *line;
	json_t *answer;

	fixture_forget_answers(fixture);
	if (asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
		    method, params) < 0)
		abort();
	fixture_send(fixture, 1, line);
	free(line);
	fixture_wait(fixture);
	answer = fixture->n_answers == 1 ? json_loads(fixture->answers[0], 0, NULL) : NULL;
	fixture_forget_answers(fixture);
	return answer;
}
