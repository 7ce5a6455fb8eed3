// The same changes made to an nftables map, for comparison: a map of VIP and port to backend with
// as many elements as there are backends, in a network namespace that is thrown away.
#pragma once

#include <stdbool.h>

struct sg_nft_figures {
	unsigned elements;
	double one_ms;   // one element replaced, in a transaction of its own
	double batch_ms; // `batch` of them in one
	unsigned batch;
	double fill_ms; // all of them at once
};

// Through libnftables in this process, so that starting nft(8) is not counted. Returns false where
// the kernel or our rights do not allow it.
bool sg_nft_measure(unsigned elements, unsigned batch, struct sg_nft_figures *ret_figures);
