// Fragments that wait for the rest of their datagram: which belong together, in which order, and
// when to give up. Knows no mbuf: a fragment is a buffer that the caller means something by.
//
// rte_ip_frag's table is not used for this: it holds 8 fragments of a datagram (one of 64 KB has
// 45), joins fragments that overlap as long as their lengths add up, takes a fragment that comes
// twice for two, and tells datagrams of different protocols apart by nothing. What may not be
// joined is refused here, by name, before anything is joined:
//
// * overlapping: the datagram is given up, and what still comes of it is lost, too, until its time
//   is over (RFC 5722 for IPv6; for IPv4 it is the only answer with which a filter and a host
//   cannot be made to see different datagrams). A fragment that comes twice is lost alone.
// * too late: a datagram has SG_FRAGMENTS_MS from its first fragment on, whichever that is.
// * too many: when there is no room, the oldest datagram makes some. First of its own source, which
//   has at most a quarter of everything, then of all: who sends one whole datagram after the other
//   is never hindered by those who send halves. (Sources are counted by a keyed hash of 8 bits:
//   two that share one share a quarter.)
//
// Threads: one worker's. Nothing allocates.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "service/drop.h"

#define SG_FRAGMENTS_MS           2000
#define SG_FRAGMENTS_HELD         1024 // fragments of all datagrams
#define SG_FRAGMENTS_DATAGRAMS    512
#define SG_FRAGMENTS_PER_DATAGRAM 128 // 64 KB over an MTU of 576 are 119
#define SG_FRAGMENTS_SOURCES      256
#define SG_FRAGMENTS_SHARE        4 // of everything, a source has at most one in so many

// What the fragments of one datagram have in common (RFC 791, RFC 8200). Unused bytes are zero.
struct sg_fragment_key {
	uint8_t src[16], dst[16];
	uint32_t id;
	uint8_t proto; // IPv4 only: 0 for IPv6
	uint8_t domain;
	uint8_t family; // enum sg_family
	uint8_t reserved;
};
static_assert(sizeof(struct sg_fragment_key) == 40, "no padding: it is hashed and compared");

// `length` is not 0, offset + length at most 65,535, and length a multiple of 8 where more follow.
struct sg_fragment {
	void *buffer;
	uint16_t offset; // bytes
	uint16_t length;
	bool more; // fragments follow
};

typedef void sg_fragment_drop_fn(void *context, void *buffer, enum sg_drop drop);
// The first fragment of a datagram that did not become whole in time: its sender may be told (RFC
// 792; RFC 4443, 3.3).
typedef void sg_fragment_late_fn(void *context, void *buffer);

struct sg_datagram {
	struct sg_fragment_key key;
	uint64_t until_ms;
	uint32_t gathered; // bytes
	uint32_t total;    // bytes; 0: the last fragment has not come
	uint16_t first;    // of its fragments, by offset; 0: none
	uint16_t n;
	uint16_t next_of_hash;
	uint16_t older, younger;                     // of all
	uint16_t older_of_source, younger_of_source; // 0: none
	uint8_t source;
	uint8_t refused; // enum sg_drop: what became of it, and becomes of what still comes
};

struct sg_fragments {
	struct sg_hash_key hash_key;
	sg_fragment_drop_fn *drop;
	sg_fragment_late_fn *late;
	void *context;
	uint16_t n_held; // fragments
	uint16_t n_datagrams;
	uint16_t free_datagram, free_piece;
	uint16_t oldest, youngest;
	struct {
		uint16_t n_held, n_datagrams;
		uint16_t oldest, youngest;
	} sources[SG_FRAGMENTS_SOURCES];
	uint16_t by_hash[SG_FRAGMENTS_DATAGRAMS];
	struct sg_datagram datagrams[SG_FRAGMENTS_DATAGRAMS + 1]; // number 0 is none
	struct {
		struct sg_fragment fragment;
		uint16_t next;
	} pieces[SG_FRAGMENTS_HELD + 1]; // number 0 is none
};

// What is lost is given to `drop`, also from within the calls below, and of what is too late the
// first fragment to `late` instead.
void sg_fragments_init(struct sg_fragments *fragments, sg_fragment_drop_fn *drop,
	sg_fragment_late_fn *late, void *context);

// Takes a fragment. When it is the one that was missing, returns how many the datagram has, and
// writes them in order; otherwise 0, and the fragment is kept or lost.
unsigned sg_fragments_put(struct sg_fragments *fragments, uint64_t now_ms,
	const struct sg_fragment_key *key, const struct sg_fragment *fragment,
	struct sg_fragment ret_all[SG_FRAGMENTS_PER_DATAGRAM]);

// Gives up datagrams whose time is over. Once a turn.
void sg_fragments_age(struct sg_fragments *fragments, uint64_t now_ms);

// At the end: gives up everything.
void sg_fragments_clear(struct sg_fragments *fragments);
