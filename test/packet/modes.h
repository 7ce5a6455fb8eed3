// A service in one of the forwarding modes, and what the tests of the modes look at in frames.
#pragma once

#include "rig.h"

// A service "web" on port 80 with POD, in this mode; dsr and ipip translate no port.
struct sg_service_spec *put_mode(
	struct rig *rig, enum sg_forward forward, enum sg_scheduler scheduler, uint8_t proto);
void open_mode(struct rig *rig, enum sg_forward forward, enum sg_scheduler scheduler, uint8_t proto,
	uint32_t max_flows);
// What lies behind so many bytes of IP, as a frame of its own.
struct frame behind(const struct frame *frame, unsigned bytes);
void expect_same_behind_ip(const struct frame *a, const struct frame *b);
// Of a packet that was forwarded: an error about it, from a router behind the gateway.
void write_error_about(struct frame *frame, uint8_t port, const char *router,
	const struct frame *quoted, const char *sender);
// The client hears of the MTU, about the packet as it came: its header and 64 bits (RFC 792), or as
// much as fits into 1,280 bytes (RFC 4443).
void expect_too_big(struct rig *rig, uint16_t mtu, const struct frame *sent);
