// Answers in steps, see listing.h.
#include "control/listing.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "control/control_internal.h"

static void destroy(struct sg_control *control, struct sg_listing *listing)
{
	control->listings.n_active -= listing->begun;
	sg_state_fini(&listing->before);
	sg_state_fini(&listing->after);
	json_decref(listing->head);
	sg_text_clear(&listing->text);
	free(listing);
}

static void append(struct sg_control *control, struct sg_listing *listing)
{
	struct sg_listing **link = &control->listings.first;

	while (*link)
		link = &(*link)->next;
	listing->next = NULL;
	*link = listing;
}

int sg_listing_start(struct sg_control *control, struct sg_call *call, sg_listing_step_fn *step,
	struct sg_listing **ret_listing, struct sg_error *error)
{
	struct sg_listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return sg_error_set(error, -ENOMEM, "no memory is left for the answer");
	listing->call = call;
	listing->step = step;
	append(control, listing);
	*ret_listing = listing;
	return 0;
}

void sg_listing_separate(struct sg_listing *listing)
{
	if (listing->n_written++)
		sg_text_append(&listing->text, ",", 1);
}

// A listing that is not in the list any more.
static void finish(struct sg_control *control, struct sg_listing *listing)
{
	sg_request_end_result(&listing->text);
	sg_call_return_text(listing->call, &listing->text);
	destroy(control, listing);
}

static bool may_go_on(const struct sg_control *control, const struct sg_listing *listing)
{
	if (listing->begun)
		return true;
	return control->listings.n_active < SG_LISTING_MAX_ACTIVE &&
	       control->unsent(control->answer_context, listing->call->connection) == 0;
}

// Takes the first that may go on out of the list.
static struct sg_listing *take_next(struct sg_control *control)
{
	for (struct sg_listing **link = &control->listings.first; *link; link = &(*link)->next) {
		struct sg_listing *listing = *link;

		if (!may_go_on(control, listing))
			continue;
		*link = listing->next;
		return listing;
	}
	return NULL;
}

// Steps until the listing is written or the time is over. Returns whether it is written.
static bool work_on(struct sg_control *control, struct sg_listing *listing, uint64_t end_ns)
{
	if (!listing->begun) {
		listing->begun = true;
		control->listings.n_active++;
		sg_request_begin_result(&listing->text, listing->call->request.id);
	}
	do {
		if (listing->step(control, listing) || listing->text.failed)
			return true;
	} while (sg_clock_ns() < end_ns);
	return false;
}

bool sg_listing_turn(struct sg_control *control)
{
	uint64_t end_ns = sg_clock_ns() + SG_LISTING_TURN_US * 1000;
	struct sg_listing *listing;

	while ((listing = take_next(control))) {
		if (!work_on(control, listing, end_ns)) {
			append(control, listing);
			return true;
		}
		// An answer may close its connection, and that takes others out of the list.
		finish(control, listing);
		if (sg_clock_ns() >= end_ns)
			return control->listings.first != NULL;
	}
	return false; // what is left waits for clients to read
}

static struct sg_listing *take_of(struct sg_control *control, uint64_t connection)
{
	for (struct sg_listing **link = &control->listings.first; *link; link = &(*link)->next) {
		struct sg_listing *listing = *link;

		if (!connection || listing->call->connection == connection) {
			*link = listing->next;
			return listing;
		}
	}
	return NULL;
}

static void refuse_all_of(struct sg_control *control, uint64_t connection, const char *sentence)
{
	struct sg_listing *listing;

	while ((listing = take_of(control, connection))) {
		sg_call_refuse(listing->call, SG_REQUEST_REFUSED, "%s", sentence);
		destroy(control, listing);
	}
}

void sg_listing_forget(struct sg_control *control, uint64_t connection)
{
	refuse_all_of(control, connection, "the connection is closed");
}

void sg_listing_cancel(struct sg_control *control)
{
	refuse_all_of(control, 0, "stormgate is stopping");
}
