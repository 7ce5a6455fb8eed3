// Everything in the config file but the services and the policy.
//
// Filled by the config file reader, validated together with the services, then read-only. Most of
// it holds for the life of the process; some may be changed with the file while stormgate runs
// (control/reload.h), and are then a part of the desired state (state.h), as shared settings.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/addr.h"
#include "service/limits.h"

enum sg_poll {
	SG_POLL_BUSY,
	SG_POLL_ADAPTIVE,
};

enum sg_unserved {
	SG_UNSERVED_DROP,
	SG_UNSERVED_REJECT,
};

#define SG_DEFAULT_SHUTDOWN_TIMEOUT_S 5
#define SG_MAX_PORT_ADDRESSES         16

// A device, or a VLAN of one: a port of its own to everything but the device's queues.
struct sg_port_settings {
	char name[SG_MAX_NAME_BYTES];
	char device[256]; // as DPDK takes it: PCI address or vdev
	char twin[16];    // the kernel interface's name (IFNAMSIZ)
	struct {
		struct sg_addr addr;
		uint8_t length;
	} addresses[SG_MAX_PORT_ADDRESSES];
	unsigned n_addresses;
	uint16_t mtu;                        // bytes of IP packet
	uint16_t vlan;                       // 0: a device
	char parent_name[SG_MAX_NAME_BYTES]; // of a VLAN: its device's port
	uint8_t parent;                      // the same as a number
	int line;
};

// Seconds. 0 stands for the default wherever an operator writes it: sg_timeouts_fill.
struct sg_timeouts {
	uint32_t syn;
	uint32_t tcp;
	uint32_t tcp_half_closed;
	uint32_t tcp_fin;
	uint32_t udp_new;
	uint32_t udp;
	uint32_t drain;
};

struct sg_settings {
	// dataplane
	char instance[SG_MAX_NAME_BYTES]; // "stormgate"
	unsigned workers[SG_MAX_WORKERS]; // CPU numbers; may repeat
	unsigned n_workers;               // 0: choose from the affinity mask at start
	int control_cpu;                  // -1: choose at start
	uint32_t flows_per_worker;
	bool hugepages;
	enum sg_poll poll;
	bool poll_given; // otherwise it follows `hugepages`
	enum sg_unserved unserved;
	uint64_t maglev_seed;
	int dataplane_line;

	struct sg_port_settings ports[SG_MAX_PORTS];
	unsigned n_ports;

	// snat
	struct sg_addr snat_addresses[SG_MAX_SNAT_ADDRESSES];
	unsigned n_snat_addresses;
	uint16_t snat_port_min, snat_port_max;
	bool snat_ports_given;
	int snat_line;

	struct sg_timeouts timeouts;

	// control
	char socket_path[108];
	mode_t socket_mode;
	char socket_group[64];  // empty: not set
	char monitor_path[108]; // of the socket that only answers questions; empty: there is none
	mode_t monitor_mode;
	char monitor_group[64];
	char state_file[1024];       // empty: what the socket changes ends with the process
	uint32_t shutdown_timeout_s; // 0: at once
	int control_line;

	bool backend_cidrs_given;
	struct sg_prefix backend_cidrs[SG_MAX_BACKEND_CIDRS];
	unsigned n_backend_cidrs;
};

// Shared by the states in which they are the same.
struct sg_shared_settings {
	unsigned refs; // base/refs.h
	struct sg_settings settings;
};

// A copy with one reference, free to edit until it is put into a state. NULL without memory.
struct sg_shared_settings *sg_shared_settings_create(const struct sg_settings *settings);
struct sg_shared_settings *sg_shared_settings_ref(
	struct sg_shared_settings *shared);                       // NULL is fine
void sg_shared_settings_unref(struct sg_shared_settings *shared); // NULL is fine

// Puts the default in the place of every timeout that is 0.
void sg_timeouts_fill(struct sg_timeouts *timeouts);

// Every default of the design; no port.
void sg_settings_init(struct sg_settings *settings);
