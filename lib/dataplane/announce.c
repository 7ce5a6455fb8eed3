// The walk over our addresses and the frame that announces one, see announce.h.
#include "dataplane/announce.h"

#include <string.h>

#include "net/checksum.h"
#include "net/headers.h"

#define ETHERNET_LEAST 60 // bytes of a frame, without FCS

// Entries of both indexes, one behind the other.
static uint64_t n_entries(const struct sg_snapshot *snapshot)
{
	return (uint64_t)snapshot->addresses4->mask + 1 + snapshot->addresses6->mask + 1;
}

static void start_walk_if_due(
	struct sg_announcer *announcer, const struct sg_snapshot *snapshot, uint64_t now_ms)
{
	if (announcer->addresses4 != snapshot->addresses4 ||
		announcer->addresses6 != snapshot->addresses6)
		announcer->period_ms = SG_ANNOUNCE_FIRST_MS;
	else if (now_ms < announcer->next_walk_ms || announcer->at < n_entries(snapshot))
		return;
	announcer->addresses4 = snapshot->addresses4;
	announcer->addresses6 = snapshot->addresses6;
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

// Whether the entry has an address that is announced.
static bool read_entry(const struct sg_snapshot *snapshot, uint64_t at, struct sg_addr *ret_addr)
{
	const uint64_t n4 = (uint64_t)snapshot->addresses4->mask + 1;
	const struct sg_index_entry *entry4;
	const struct sg_index6_entry *entry6;

	if (at < n4) {
		entry4 = &snapshot->addresses4->entries[at];
		*ret_addr = sg_addr_from_ipv4((uint32_t)entry4->key);
		return entry4->value != SG_INDEX_NONE && entry4->value & SG_ADDRESS_ANNOUNCE;
	}
	entry6 = &snapshot->addresses6->entries[at - n4];
	*ret_addr = (struct sg_addr){.family = SG_FAMILY_IPV6};
	memcpy(ret_addr->bytes, entry6->addr, sizeof(ret_addr->bytes));
	return entry6->value != SG_INDEX_NONE && entry6->value & SG_ADDRESS_ANNOUNCE;
}

bool sg_announcer_next(struct sg_announcer *announcer, const struct sg_snapshot *snapshot,
	uint64_t now_ms, struct sg_addr *ret_addr)
{
	uint64_t n;

	start_walk_if_due(announcer, snapshot, now_ms);
	n = n_entries(snapshot);
	if (announcer->at >= n || !may_send(announcer, now_ms))
		return false;
	while (announcer->at < n) {
		if (read_entry(snapshot, announcer->at++, ret_addr)) {
			announcer->left_this_ms--;
			return true;
		}
	}
	return false;
}

bool sg_announcer_is_walking(
	const struct sg_announcer *announcer, const struct sg_snapshot *snapshot)
{
	return announcer->at < n_entries(snapshot);
}

static uint16_t write_arp(uint8_t *frame, const uint8_t mac[6], uint32_t addr_be)
{
	struct sg_eth_hdr *eth = (void *)frame;
	struct sg_arp_hdr *arp = (void *)(frame + sizeof(*eth));

	memset(eth->dst, 0xff, 6);
	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_ARP);
	arp->hardware_be = __builtin_bswap16(1);
	arp->protocol_be = __builtin_bswap16(SG_ETHERTYPE_IPV4);
	arp->hardware_length = 6;
	arp->protocol_length = 4;
	arp->operation_be = __builtin_bswap16(SG_ARP_REQUEST);
	memcpy(arp->sender_mac, mac, 6);
	arp->sender_be = addr_be;
	arp->target_be = addr_be;
	return ETHERNET_LEAST;
}

static uint16_t write_advertisement(uint8_t *frame, const uint8_t mac[6], const uint8_t addr[16])
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct sg_eth_hdr *eth = (void *)frame;
	struct sg_ipv6_hdr *ip = (void *)(frame + sizeof(*eth));
	struct sg_ndp_hdr *ndp = (void *)(ip + 1);

	memcpy(eth->dst, all_nodes_mac, 6);
	eth->ethertype_be = __builtin_bswap16(SG_ETHERTYPE_IPV6);
	ip->version_class_label_be = __builtin_bswap32(SG_IPV6_VERSION);
	ip->payload_length_be = __builtin_bswap16(sizeof(*ndp));
	ip->next = SG_PROTO_ICMPV6;
	ip->hop_limit = SG_NDP_HOP_LIMIT;
	memcpy(ip->pair.src, addr, 16);
	memcpy(ip->pair.dst, all_nodes, 16);
	ndp->icmp.type = SG_NDP_ADVERTISE;
	ndp->icmp.rest_be = __builtin_bswap32(SG_NDP_OVERRIDE);
	memcpy(ndp->target, addr, 16);
	ndp->option = SG_NDP_OPTION_TARGET;
	ndp->option_length = 1;
	memcpy(ndp->mac, mac, 6);
	ndp->icmp.checksum = sg_checksum_finish(sg_checksum_add(
		sg_checksum_pseudo6(&ip->pair, SG_PROTO_ICMPV6, sizeof(*ndp)), ndp, sizeof(*ndp)));
	return sizeof(*eth) + sizeof(*ip) + sizeof(*ndp);
}

uint16_t sg_announce_write(
	uint8_t frame[SG_ANNOUNCE_FRAME_BYTES], const uint8_t mac[6], const struct sg_addr *addr)
{
	static_assert(SG_ANNOUNCE_FRAME_BYTES == sizeof(struct sg_eth_hdr) +
							 sizeof(struct sg_ipv6_hdr) +
							 sizeof(struct sg_ndp_hdr),
		"the longest announcement is an advertisement");

	memset(frame, 0, SG_ANNOUNCE_FRAME_BYTES);
	memcpy(((struct sg_eth_hdr *)frame)->src, mac, 6);
	if (addr->family == SG_FAMILY_IPV6)
		return write_advertisement(frame, mac, addr->bytes);
	return write_arp(frame, mac, sg_addr_ipv4_be(addr));
}
