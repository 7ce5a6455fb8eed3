// The words by which the config file and JSON name a choice: "maglev", "snat", "drop".
//
// A list of words is a function of the index: NULL behind the last word. The word's index is the
// enum's value. Pure functions.
#pragma once

typedef const char *sg_words_fn(unsigned index);

sg_words_fn sg_words_scheduler; // enum sg_scheduler
sg_words_fn sg_words_forward;   // enum sg_forward
sg_words_fn sg_words_affinity;  // enum sg_affinity
sg_words_fn sg_words_announce;  // enum sg_announce
sg_words_fn sg_words_existing;  // enum sg_existing
sg_words_fn sg_words_poll;      // enum sg_poll
sg_words_fn sg_words_unserved;  // enum sg_unserved

// The index of `word`, or -EINVAL.
int sg_words_find(sg_words_fn *words, const char *word);

#define SG_WORDS_TEXT_BYTES 160
// `"drop" or "reject"`, for a sentence. `text` has SG_WORDS_TEXT_BYTES; returns `text`.
const char *sg_words_format(sg_words_fn *words, char *text);
