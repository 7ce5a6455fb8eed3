// Many sources at once, see source.h.
#include "dataplane/source.h"

#include "net/headers.h"

static_assert(2 * SG_MAX_SOURCES <= SG_TRIE_MAX_BURST, "both policies of all are asked together");

static inline void ask(struct sg_trie_search *ret_search, const struct sg_policy *policy,
	const struct sg_source *source)
{
	ret_search->trie = source->is_ipv6 ? policy->ipv6 : policy->ipv4;
	ret_search->at = source->addr;
}

void sg_source_judge_bulk(const struct sg_policy *all, const struct sg_source *sources, unsigned n,
	uint8_t *ret_drops)
{
	struct sg_trie_search searches[SG_TRIE_MAX_BURST];
	const struct sg_trie_search *answer = searches;
	unsigned n_searches = 0;

	for (unsigned i = 0; i < n; i++) {
		if (all)
			ask(&searches[n_searches++], all, &sources[i]);
		if (sources[i].own)
			ask(&searches[n_searches++], sources[i].own, &sources[i]);
	}
	sg_trie_find_bulk(searches, n_searches);
	for (unsigned i = 0; i < n; i++) {
		enum sg_policy_verdict verdict = SG_POLICY_ALLOWED;

		if (all)
			verdict = (enum sg_policy_verdict)(answer++)->found;
		if (sources[i].own) {
			if (verdict == SG_POLICY_ALLOWED)
				verdict = (enum sg_policy_verdict)answer->found;
			answer++;
		}
		ret_drops[i] = (uint8_t)sg_source_drop(verdict);
	}
}

bool sg_source_may_be_reached(const struct sg_snapshot *snapshot, const struct sg_pkt *pkt)
{
	const struct sg_ipv4_hdr *ip = (const void *)(pkt->bytes + sizeof(struct sg_eth_hdr));

	return sg_pkt_is_ipv6(pkt) ? sg_snapshot_may_reach6(snapshot, sg_pkt_ip6(pkt)->pair.src)
				   : sg_snapshot_may_reach4(snapshot, ip->src_be);
}
