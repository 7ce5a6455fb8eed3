// Waiting fragments, see fragments.h.
#include "dataplane/fragments.h"

#include <string.h>

#include "base/random.h"

static_assert((SG_FRAGMENTS_DATAGRAMS & (SG_FRAGMENTS_DATAGRAMS - 1)) == 0, "hashes are masked");
static_assert(SG_FRAGMENTS_PER_DATAGRAM < SG_FRAGMENTS_HELD / SG_FRAGMENTS_SHARE,
	"a datagram alone is within its source's share");

void sg_fragments_init(struct sg_fragments *fragments, sg_fragment_drop_fn *drop,
	sg_fragment_late_fn *late, void *context)
{
	memset(fragments, 0, sizeof(*fragments));
	sg_random_bytes(&fragments->hash_key, sizeof(fragments->hash_key));
	fragments->drop = drop;
	fragments->late = late;
	fragments->context = context;
	for (uint16_t i = SG_FRAGMENTS_DATAGRAMS; i > 0; i--) {
		fragments->datagrams[i].next_of_hash = fragments->free_datagram;
		fragments->free_datagram = i;
	}
	for (uint16_t i = SG_FRAGMENTS_HELD; i > 0; i--) {
		fragments->pieces[i].next = fragments->free_piece;
		fragments->free_piece = i;
	}
}

// Datagrams: two queues by age, and a hash.

static uint16_t *slot_of(struct sg_fragments *fragments, const struct sg_fragment_key *key)
{
	uint64_t hash = sg_siphash(&fragments->hash_key, key, sizeof(*key));

	return &fragments->by_hash[hash & (SG_FRAGMENTS_DATAGRAMS - 1)];
}

static uint8_t source_of(const struct sg_fragments *fragments, const struct sg_fragment_key *key)
{
	return (uint8_t)(sg_siphash(&fragments->hash_key, key->src, sizeof(key->src)) %
			 SG_FRAGMENTS_SOURCES);
}

static uint16_t find(
	struct sg_fragments *fragments, const uint16_t *slot, const struct sg_fragment_key *key)
{
	uint16_t at = *slot;

	while (at && memcmp(&fragments->datagrams[at].key, key, sizeof(*key)) != 0)
		at = fragments->datagrams[at].next_of_hash;
	return at;
}

static void join_queues(struct sg_fragments *fragments, uint16_t at)
{
	struct sg_datagram *datagram = &fragments->datagrams[at];
	uint8_t source = datagram->source;

	datagram->older = fragments->youngest;
	datagram->older_of_source = fragments->sources[source].youngest;
	fragments->datagrams[datagram->older].younger = at; // number 0 takes what is for nobody
	fragments->datagrams[datagram->older_of_source].younger_of_source = at;
	if (!fragments->oldest)
		fragments->oldest = at;
	if (!fragments->sources[source].oldest)
		fragments->sources[source].oldest = at;
	fragments->youngest = at;
	fragments->sources[source].youngest = at;
	fragments->n_datagrams++;
	fragments->sources[source].n_datagrams++;
}

static void leave_queues(struct sg_fragments *fragments, uint16_t at)
{
	const struct sg_datagram *datagram = &fragments->datagrams[at];
	uint8_t source = datagram->source;

	fragments->datagrams[datagram->older].younger = datagram->younger;
	fragments->datagrams[datagram->younger].older = datagram->older;
	fragments->datagrams[datagram->older_of_source].younger_of_source =
		datagram->younger_of_source;
	fragments->datagrams[datagram->younger_of_source].older_of_source =
		datagram->older_of_source;
	if (fragments->oldest == at)
		fragments->oldest = datagram->younger;
	if (fragments->youngest == at)
		fragments->youngest = datagram->older;
	if (fragments->sources[source].oldest == at)
		fragments->sources[source].oldest = datagram->younger_of_source;
	if (fragments->sources[source].youngest == at)
		fragments->sources[source].youngest = datagram->older_of_source;
	fragments->n_datagrams--;
	fragments->sources[source].n_datagrams--;
}

static void leave_hash(struct sg_fragments *fragments, uint16_t at)
{
	uint16_t *link = slot_of(fragments, &fragments->datagrams[at].key);

	while (*link != at)
		link = &fragments->datagrams[*link].next_of_hash;
	*link = fragments->datagrams[at].next_of_hash;
}

// Pieces: the fragments that a datagram has, by offset.

static void add_piece(struct sg_fragments *fragments, struct sg_datagram *datagram, uint16_t *link,
	const struct sg_fragment *fragment)
{
	uint16_t piece = fragments->free_piece;

	fragments->free_piece = fragments->pieces[piece].next;
	fragments->pieces[piece].fragment = *fragment;
	fragments->pieces[piece].next = *link;
	*link = piece;
	datagram->n++;
	datagram->gathered += fragment->length;
	fragments->n_held++;
	fragments->sources[datagram->source].n_held++;
}

static struct sg_fragment take_first(struct sg_fragments *fragments, struct sg_datagram *datagram)
{
	uint16_t piece = datagram->first;

	datagram->first = fragments->pieces[piece].next;
	datagram->n--;
	fragments->pieces[piece].next = fragments->free_piece;
	fragments->free_piece = piece;
	fragments->n_held--;
	fragments->sources[datagram->source].n_held--;
	return fragments->pieces[piece].fragment;
}

static void drop_pieces(
	struct sg_fragments *fragments, struct sg_datagram *datagram, enum sg_drop drop)
{
	while (datagram->first)
		fragments->drop(fragments->context, take_first(fragments, datagram).buffer, drop);
}

static void forget(struct sg_fragments *fragments, uint16_t at, enum sg_drop drop)
{
	struct sg_datagram *datagram = &fragments->datagrams[at];

	drop_pieces(fragments, datagram, drop);
	leave_queues(fragments, at);
	leave_hash(fragments, at);
	datagram->next_of_hash = fragments->free_datagram;
	fragments->free_datagram = at;
}

// Gives up what there is of a datagram, and notes that the rest is lost, too.
static void refuse(struct sg_fragments *fragments, struct sg_datagram *datagram, void *buffer,
	enum sg_drop drop)
{
	drop_pieces(fragments, datagram, drop);
	datagram->refused = (uint8_t)drop;
	fragments->drop(fragments->context, buffer, drop);
}

// Putting.

static uint16_t begin(struct sg_fragments *fragments, uint64_t now_ms, uint16_t *slot,
	const struct sg_fragment_key *key)
{
	uint8_t source = source_of(fragments, key);
	uint16_t at;

	if (fragments->sources[source].n_datagrams == SG_FRAGMENTS_DATAGRAMS / SG_FRAGMENTS_SHARE)
		forget(fragments, fragments->sources[source].oldest, SG_DROP_FRAGMENT_LIMIT);
	if (!fragments->free_datagram)
		forget(fragments, fragments->oldest, SG_DROP_FRAGMENT_LIMIT);
	at = fragments->free_datagram;
	fragments->free_datagram = fragments->datagrams[at].next_of_hash;
	fragments->datagrams[at] = (struct sg_datagram){.key = *key,
		.until_ms = now_ms + SG_FRAGMENTS_MS,
		.next_of_hash = *slot,
		.source = source};
	*slot = at;
	join_queues(fragments, at);
	return at;
}

// Makes room for one more fragment of this datagram. False when the datagram itself is the oldest.
static bool make_room(struct sg_fragments *fragments, uint16_t at)
{
	uint8_t source = fragments->datagrams[at].source;
	uint16_t oldest;

	while (fragments->n_held == SG_FRAGMENTS_HELD ||
		fragments->sources[source].n_held == SG_FRAGMENTS_HELD / SG_FRAGMENTS_SHARE) {
		oldest = fragments->n_held == SG_FRAGMENTS_HELD ? fragments->oldest
								: fragments->sources[source].oldest;
		if (oldest == at)
			return false;
		forget(fragments, oldest, SG_DROP_FRAGMENT_LIMIT);
	}
	return true;
}

// Where among the datagram's fragments this one belongs. NULL, and why, when it fits nowhere.
static uint16_t *find_place(struct sg_fragments *fragments, struct sg_datagram *datagram,
	const struct sg_fragment *fragment, enum sg_drop *ret_drop)
{
	uint32_t end = fragment->offset + (uint32_t)fragment->length;
	uint32_t before_ends = 0;
	uint16_t *link = &datagram->first;
	const struct sg_fragment *after;

	for (; *link; link = &fragments->pieces[*link].next) {
		after = &fragments->pieces[*link].fragment;
		if (after->offset >= fragment->offset)
			break;
		before_ends = after->offset + (uint32_t)after->length;
	}
	after = *link ? &fragments->pieces[*link].fragment : NULL;
	*ret_drop = SG_DROP_FRAGMENT_DUPLICATE;
	if (after && after->offset == fragment->offset && after->length == fragment->length &&
		after->more == fragment->more)
		return NULL;
	*ret_drop = SG_DROP_FRAGMENT_OVERLAP;
	if (before_ends > fragment->offset || (after && after->offset < end))
		return NULL;
	// One end, and nothing behind it.
	if (fragment->more ? datagram->total && end >= datagram->total : datagram->total || after)
		return NULL;
	return link;
}

static unsigned take_all(struct sg_fragments *fragments, uint16_t at, struct sg_fragment *ret_all)
{
	struct sg_datagram *datagram = &fragments->datagrams[at];
	unsigned n = 0;

	while (datagram->first)
		ret_all[n++] = take_first(fragments, datagram);
	forget(fragments, at, SG_DROP_NONE); // there is nothing left to lose
	return n;
}

unsigned sg_fragments_put(struct sg_fragments *fragments, uint64_t now_ms,
	const struct sg_fragment_key *key, const struct sg_fragment *fragment,
	struct sg_fragment ret_all[SG_FRAGMENTS_PER_DATAGRAM])
{
	uint16_t *slot = slot_of(fragments, key);
	struct sg_datagram *datagram;
	enum sg_drop drop;
	uint16_t *place;
	uint16_t at;

	sg_fragments_age(fragments, now_ms);
	at = find(fragments, slot, key);
	if (!at)
		at = begin(fragments, now_ms, slot, key);
	datagram = &fragments->datagrams[at];
	if (datagram->refused) {
		fragments->drop(fragments->context, fragment->buffer, datagram->refused);
		return 0;
	}
	place = find_place(fragments, datagram, fragment, &drop);
	if (!place && drop == SG_DROP_FRAGMENT_DUPLICATE) {
		fragments->drop(fragments->context, fragment->buffer, drop);
		return 0;
	}
	if (!place) {
		refuse(fragments, datagram, fragment->buffer, drop);
		return 0;
	}
	if (datagram->n == SG_FRAGMENTS_PER_DATAGRAM || !make_room(fragments, at)) {
		refuse(fragments, datagram, fragment->buffer, SG_DROP_FRAGMENT_LIMIT);
		return 0;
	}
	add_piece(fragments, datagram, place, fragment);
	if (!fragment->more)
		datagram->total = fragment->offset + (uint32_t)fragment->length;
	return datagram->gathered == datagram->total ? take_all(fragments, at, ret_all) : 0;
}

void sg_fragments_age(struct sg_fragments *fragments, uint64_t now_ms)
{
	while (fragments->oldest && now_ms >= fragments->datagrams[fragments->oldest].until_ms) {
		struct sg_datagram *datagram = &fragments->datagrams[fragments->oldest];

		if (datagram->first && fragments->pieces[datagram->first].fragment.offset == 0)
			fragments->late(fragments->context, take_first(fragments, datagram).buffer);
		forget(fragments, fragments->oldest, SG_DROP_FRAGMENT_TIMEOUT);
	}
}

void sg_fragments_clear(struct sg_fragments *fragments)
{
	while (fragments->oldest)
		forget(fragments, fragments->oldest, SG_DROP_FRAGMENT_TIMEOUT);
}
