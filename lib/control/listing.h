// Long answers, written a little at a time.
//
// `stats` of 10,000 services with 10 backends each is 19 MB and takes half a second to write. So
// such an answer is a listing: steps of some microseconds each, done in the turns of the loop, at
// most SG_LISTING_TURN_US of them a turn over all listings. Whoever asks something short meanwhile
// is answered within a turn. Listings take turns themselves, so that a short one does not wait for
// a long one.
//
// At most SG_LISTING_MAX_ACTIVE are being written at a time, and none for a connection that has not
// read its earlier answers (server.h): a client that asks and never reads costs the memory of one
// answer. A listing keeps the states that it is about, so what it says of services is of one
// instant; what it says of counters and flows is read as it goes along. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/text.h"
#include "service/state_diff.h"

#define SG_LISTING_TURN_US    1000
#define SG_LISTING_MAX_ACTIVE 8

struct sg_call;
struct sg_control;
struct sg_listing;

// Writes a bit more into `listing->text`, some microseconds' worth. Returns whether that was all.
typedef bool sg_listing_step_fn(struct sg_control *control, struct sg_listing *listing);

struct sg_listing {
	struct sg_listing *next;
	struct sg_call *call;
	sg_listing_step_fn *step;
	bool begun;
	struct sg_text text; // the whole answer
	// For the steps: zeros to begin with.
	json_t *head;           // members that the result begins with; freed with the listing
	struct sg_state before; // given back with the listing
	struct sg_state after;
	struct sg_state_diff diff;      // of `before` and `after`
	struct sg_state_place at_after; // the service at hand
	unsigned at_backend;
	unsigned at_worker;
	uint32_t at_record;
	uint32_t left;
	uint32_t slot;
	uint64_t serial;
	unsigned n_written; // elements of the list, for its commas
	bool more;
	char name[SG_MAX_NAME_BYTES];
};

struct sg_listings {
	struct sg_listing *first; // the next to have its turn
	unsigned n_active;        // begun
};

// Begins a listing that takes over the call, on success. Errors: -ENOMEM with a sentence.
int sg_listing_start(struct sg_control *control, struct sg_call *call, sg_listing_step_fn *step,
	struct sg_listing **ret_listing, struct sg_error *error);
// A turn of all listings. Returns whether there is more to do at once.
bool sg_listing_turn(struct sg_control *control);
// The connection is gone.
void sg_listing_forget(struct sg_control *control, uint64_t connection);
// Answers all: stormgate is stopping.
void sg_listing_cancel(struct sg_control *control);

// For steps: a comma before every element of a list but the first.
void sg_listing_separate(struct sg_listing *listing);
