// What the parts of the control thread share: control.c owns it, commands work on it.
#pragma once

#include "control/change.h"
#include "control/command.h"
#include "control/control.h"
#include "control/drain_wait.h"
#include "control/helper.h"
#include "control/history.h"
#include "control/keeper.h"
#include "control/listing.h"
#include "control/local_vips.h"
#include "control/reload.h"
#include "control/rollout.h"
#include "control/server.h"
#include "control/shutdown.h"
#include "control/statistics.h"

// A bit in the id of connections to the socket that only answers questions, where lines are short.
#define SG_CONTROL_MONITOR            (UINT64_C(1) << 63)
#define SG_CONTROL_MONITOR_LINE_BYTES (16u << 10)

struct sg_control {
	const struct sg_settings *settings; // of the start, see sg_control_settings
	const struct sg_publisher *publisher;
	struct sg_mirror *mirror;
	struct sg_loop *loop;
	struct sg_statistics *statistics;
	struct sg_state file_state;  // the config file's services, as it was read last
	struct sg_state first_state; // until the first snapshot
	struct sg_rollout *rollout;  // NULL until then
	struct sg_history *history;
	struct sg_keeper *keeper;  // NULL: nothing is kept
	struct sg_server *server;  // NULL until the socket is open
	struct sg_server *monitor; // NULL: there is no such socket
	gid_t socket_gid, monitor_gid;
	uint64_t started_ms;
	uint64_t next_tick_ms;
	int broken; // an error that ends the loop
	struct sg_error error;
	struct sg_helper *helper;
	struct reading *reading; // a long line (command.c); NULL: none
	struct sg_changes changes;
	struct sg_reload_order reload;
	struct sg_drain_waits drain_waits;
	struct sg_listings listings;
	struct sg_shutdown shutdown;
	struct sg_local_vips local_vips;
	// Where answers go: the server, or a test.
	void (*answer)(void *context, uint64_t connection, struct sg_text *text);
	// Bytes that a connection has not read yet.
	size_t (*unsent)(void *context, uint64_t connection);
	void *answer_context;
};

// The settings in force, of which some may be other than at the start.
const struct sg_settings *sg_control_settings(const struct sg_control *control);
// The server that a connection is of; NULL: none, as in tests.
struct sg_server *sg_control_server_of(const struct sg_control *control, uint64_t connection);

// One turn of the loop, see loop.h: what is due without an event.
uint64_t sg_control_turn(void *control);
