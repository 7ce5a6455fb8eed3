// What is too long for the way that it goes, in fragments. Sees DPDK.
#pragma once

#include <stdint.h>

struct rte_mbuf;
struct sg_worker;

// Sends a frame, longer than `mtu` bytes of IP, in fragments that each fit. What must not be
// fragmented is dropped as `too_big`; the stages have answered it, if they saw it. Of n fragments
// n - 1 are generated.
void sg_refragment(struct sg_worker *worker, uint8_t port, struct rte_mbuf *mbuf, uint16_t mtu);
