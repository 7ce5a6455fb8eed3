// Clients on the link, at the MAC address that their own first packet came from.
//
// A client that nobody has resolved yet would have its first reply wait for ARP. Until the kernel
// knows it, it is answered where it spoke from. A direct-mapped cache of one worker: an entry that
// another client took is just learned again.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "net/addr.h"

#define SG_LEARNED_ENTRIES 4096
#define SG_LEARNED_ASK_MS  1000 // the kernel is asked for one address at most this often

struct sg_learned_client {
	struct sg_addr addr; // of no family: empty
	uint8_t mac[6];
	uint8_t port;
	uint8_t reserved;
	uint64_t asked_ms;
};

struct sg_learned {
	struct sg_learned_client *clients; // [SG_LEARNED_ENTRIES]
};

static inline struct sg_learned_client *sg_learned_slot(
	struct sg_learned *learned, const struct sg_addr *addr)
{
	uint64_t words[2];

	memcpy(words, addr->bytes, sizeof(words));
	return &learned->clients[sg_mix64(sg_mix64(words[0]) ^ words[1]) % SG_LEARNED_ENTRIES];
}

static inline void sg_learned_put(
	struct sg_learned *learned, const struct sg_addr *addr, uint8_t port, const uint8_t mac[6])
{
	struct sg_learned_client *client = sg_learned_slot(learned, addr);

	if (!sg_addr_equal(&client->addr, addr) || client->port != port)
		client->asked_ms = 0;
	client->addr = *addr;
	client->port = port;
	memcpy(client->mac, mac, 6);
}

// NULL when it was never learned, or was displaced.
static inline struct sg_learned_client *sg_learned_find(
	struct sg_learned *learned, const struct sg_addr *addr, uint8_t port)
{
	struct sg_learned_client *client = sg_learned_slot(learned, addr);

	return sg_addr_equal(&client->addr, addr) && client->port == port ? client : NULL;
}
