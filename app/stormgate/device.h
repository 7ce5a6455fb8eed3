// A port's device as the config file names it: a PCI address, or a DPDK virtual device with its
// arguments.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sg_device {
	bool pci;
	char name[64];               // as DPDK knows it: 0000:3b:00.0, net_af_packet0
	char arguments[512];         // of a virtual device: iface=eth1
	char interface[IF_NAMESIZE]; // the kernel's, below net_af_packet and net_af_xdp; empty:
				     // none
	bool af_packet;
};

bool sg_device_is_pci(const char *text);

// Takes the text apart. Two virtual devices of one name get different ones by their port's number.
// For net_af_packet it adds frames large enough for `mtu` unless the operator chose their size.
void sg_device_parse(
	struct sg_device *ret_device, const char *text, unsigned port_number, uint16_t mtu);

// Makes DPDK open it, and finds its DPDK port. `port` is the operator's name for it, for sentences.
// After EAL's start. Errors: -ENODEV (not there), -EIO (DPDK cannot open it; the sentence has its
// reason).
int sg_device_attach(const struct sg_device *device, const char *port, uint16_t *ret_dpdk_id,
	struct sg_error *error);
