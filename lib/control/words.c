// Lists of words, see words.h.
#include "control/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/settings.h"
#include "service/state.h"

const char *sg_words_scheduler(unsigned index)
{
	return index < SG_SCHEDULER_COUNT ? sg_scheduler_name((enum sg_scheduler)index) : NULL;
}

const char *sg_words_forward(unsigned index)
{
	return index < SG_FORWARD_COUNT ? sg_forward_name((enum sg_forward)index) : NULL;
}

const char *sg_words_affinity(unsigned index)
{
	return index < SG_AFFINITY_COUNT ? sg_affinity_name((enum sg_affinity)index) : NULL;
}

const char *sg_words_announce(unsigned index)
{
	return index < SG_ANNOUNCE_COUNT ? sg_announce_name((enum sg_announce)index) : NULL;
}

const char *sg_words_existing(unsigned index)
{
	return index < SG_EXISTING_COUNT ? sg_existing_name((enum sg_existing)index) : NULL;
}

const char *sg_words_poll(unsigned index)
{
	static const char *const words[] = {
		[SG_POLL_BUSY] = "busy", [SG_POLL_ADAPTIVE] = "adaptive"};

	return index < sizeof(words) / sizeof(words[0]) ? words[index] : NULL;
}

const char *sg_words_unserved(unsigned index)
{
	static const char *const words[] = {
		[SG_UNSERVED_DROP] = "drop", [SG_UNSERVED_REJECT] = "reject"};

	return index < sizeof(words) / sizeof(words[0]) ? words[index] : NULL;
}

int sg_words_find(sg_words_fn *words, const char *word)
{
	for (unsigned i = 0; words(i); i++) {
		if (strcmp(words(i), word) == 0)
			return (int)i;
	}
	return -EINVAL;
}

const char *sg_words_format(sg_words_fn *words, char *text)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; words(i) && used < SG_WORDS_TEXT_BYTES; i++)
		used += (size_t)snprintf(text + used, SG_WORDS_TEXT_BYTES - used, "%s\"%s\"",
			i == 0         ? ""
			: words(i + 1) ? ", "
				       : " or ",
			words(i));
	return text;
}
