// The walk over our addresses and the frame that announces one, see announce.h.
#include "dataplane/announce.h"

#include <string.h>

#include "net/headers.h"

static void start_walk_if_due(
	struct sg_announcer *announcer, const struct sg_snapshot *snapshot, uint64_t now_ms)
{
	const struct sg_index *addresses = snapshot->addresses4;

	if (announcer->addresses != addresses)
		announcer->period_ms = SG_ANNOUNCE_FIRST_MS;
	else if (now_ms < announcer->next_walk_ms || announcer->at <= addresses->mask)
		return;
	announcer->addresses = addresses;
	announcer->at = 0;
	announcer->next_walk_ms = now_ms + announcer->period_ms;
	announcer->period_ms *= 2;
	if (announcer->period_ms > SG_ANNOUNCE_PERIOD_MS)
		announcer->period_ms = SG_ANNOUNCE_PERIOD_MS;
}

void sg_announcer_see_links(struct sg_announcer *announcer, uint32_t links_up)
{
	if (links_up & ~announcer->links_up) {
		announcer->next_walk_ms = 0;
		announcer->period_ms = SG_ANNOUNCE_FIRST_MS;
	}
	announcer->links_up = links_up;
}

static bool may_send(struct sg_announcer *announcer, uint64_t now_ms)
{
	if (announcer->ms != now_ms) {
		announcer->ms = now_ms;
		announcer->left_this_ms = SG_ANNOUNCE_PER_MS;
	}
	return announcer->left_this_ms > 0;
}

uint32_t sg_announcer_next(
	struct sg_announcer *announcer, const struct sg_snapshot *snapshot, uint64_t now_ms)
{
	const struct sg_index *addresses = snapshot->addresses4;

	start_walk_if_due(announcer, snapshot, now_ms);
	if (announcer->at > addresses->mask || !may_send(announcer, now_ms))
		return 0;
	while (announcer->at <= addresses->mask) {
		const struct sg_index_entry *entry = &addresses->entries[announcer->at++];

		if (entry->value != SG_INDEX_NONE && (entry->value & SG_ADDRESS_ANNOUNCE)) {
			announcer->left_this_ms--;
			return (uint32_t)entry->key;
		}
	}
	return 0;
}

void sg_announce_write(
	uint8_t frame[SG_ANNOUNCE_FRAME_BYTES], const uint8_t mac[6], uint32_t addr_be)
{
	struct sg_eth_hdr *eth = (void *)frame;
	struct sg_arp_hdr *arp = (void *)(frame + sizeof(*eth));

	memset(frame, 0, SG_ANNOUNCE_FRAME_BYTES);
	memset(eth->dst, 0xff, 6);
	memcpy(eth->src, mac, 6);
	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_ARP);
	arp->hardware_be = __builtin_bswap16(1);
	arp->protocol_be = __builtin_bswap16(SG_ETHERTYPE_IPV4);
	arp->hardware_length = 6;
	arp->protocol_length = 4;
	arp->operation_be = __builtin_bswap16(SG_ARP_REQUEST);
	memcpy(arp->sender_mac, mac, 6);
	arp->sender_be = addr_be;
	arp->target_be = addr_be;
}
