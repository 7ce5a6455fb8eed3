// Packets through the pipeline, without EAL: the program that runs the tables and stories of this
// folder.
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

// What only a device, a ring, the kernel's side or waiting fragments can lose: rows in transmit.c,
// in the unit test of fragments, and in the end-to-end stories.
static bool is_behind_the_stages(enum sg_drop drop)
{
	switch (drop) {
	case SG_DROP_FRAGMENT_OVERLAP:
	case SG_DROP_FRAGMENT_DUPLICATE:
	case SG_DROP_FRAGMENT_TIMEOUT:
	case SG_DROP_FRAGMENT_LIMIT:
	case SG_DROP_HANDOFF_FULL:
	case SG_DROP_TX_FULL:
	case SG_DROP_PORT_DOWN:
	case SG_DROP_NO_BUFFER:
	case SG_DROP_PUNT_FULL:
	case SG_DROP_TWIN_FULL:
		return true;
	default:
		return false;
	}
}

// Runs last: a reason without a row fails.
static void every_reason_was_seen(void **unused)
{
	(void)unused;
	for (unsigned drop = 1; drop < SG_DROP_COUNT; drop++) {
		if (!rig_drops_seen[drop] && !is_behind_the_stages(drop))
			fail_msg("no row ends in %s", sg_drop_name(drop));
	}
}

static int use_ipv4(void **unused)
{
	(void)unused;
	test_family = SG_FAMILY_IPV4;
	return 0;
}

static int use_ipv6(void **unused)
{
	(void)unused;
	test_family = SG_FAMILY_IPV6;
	return 0;
}

// clang-format off
#define OVER_IPV4(test) {#test, test, use_ipv4, NULL, NULL}
#define OVER_IPV6(test) {#test " over IPv6", test, use_ipv6, NULL, NULL}
#define OVER_BOTH(test) OVER_IPV4(test), OVER_IPV6(test)
// clang-format on

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_IPV4(each_packet_gets_its_verdict),
		OVER_IPV4(arp_is_answered_for_our_addresses_only),
		OVER_IPV4(answers_have_a_budget),
		OVER_IPV4(punting_has_a_budget_and_arp_its_own),
		OVER_IPV4(an_undeclared_port_can_be_refused_aloud),
		OVER_IPV4(ttl_1_is_answered_from_the_ports_address),
		OVER_IPV4(echo_comes_back_whole),
		OVER_IPV6(each_ipv6_packet_gets_its_verdict),
		OVER_IPV6(neighbours_hear_of_our_addresses_only),
		OVER_IPV6(solicitations_that_nobody_may_send_are_dropped),
		OVER_IPV6(an_ipv6_echo_comes_back_whole),
		OVER_IPV6(ipv6_errors_quote_what_fits),
		OVER_IPV6(equal_fingerprints_confuse_nobody),
		OVER_IPV6(equal_fingerprints_in_one_burst_confuse_nobody),
		OVER_BOTH(a_connection_is_translated_both_ways),
		OVER_BOTH(a_datagram_and_its_answer_are_translated),
		OVER_BOTH(packets_of_one_new_flow_in_one_burst_share_it),
		OVER_BOTH(a_syn_over_a_closed_connection_starts_anew),
		OVER_BOTH(a_closed_flow_ages_out_and_an_open_one_stays),
		OVER_BOTH(a_drained_backend_keeps_its_flows_and_gets_no_new_ones),
		OVER_BOTH(a_removed_backend_finishes_and_then_resets),
		OVER_BOTH(a_removed_backend_gets_no_new_flow_over_a_closed_one),
		OVER_BOTH(udp_picks_anew_when_its_backend_is_removed),
		OVER_BOTH(snat_ports_run_out_by_name),
		OVER_BOTH(a_full_table_recycles_embryos_but_no_established_flow),
		OVER_BOTH(a_neighbour_nobody_resolved_is_answered_where_it_spoke),
		OVER_BOTH(a_route_change_is_followed_by_flows_that_stand),
		OVER_BOTH(rr_takes_turns),
		OVER_BOTH(wrr_follows_weights),
		OVER_BOTH(lc_prefers_the_idle_backend),
		OVER_BOTH(wlc_weighs_what_it_counts),
		OVER_BOTH(maglev_is_the_same_on_every_node),
		OVER_BOTH(sh_goes_by_the_clients_address),
		OVER_BOTH(every_flow_lives_at_its_home),
		OVER_BOTH(a_random_mix_keeps_the_books),
		OVER_BOTH(rss_brings_replies_home),
		OVER_BOTH(every_kind_of_packet_finds_its_flow_from_any_queue),
		OVER_BOTH(floods_take_nothing_from_those_who_are_served),
		OVER_BOTH(an_error_from_behind_reaches_the_client),
		OVER_BOTH(an_error_from_the_clients_side_reaches_the_pod),
		OVER_BOTH(an_error_keeps_no_flow_alive),
		OVER_BOTH(an_error_that_no_flow_asked_for_is_dropped),
		OVER_BOTH(an_error_finds_its_flows_home),
		OVER_BOTH(errors_need_no_flow_where_the_scheduler_knows),
		OVER_BOTH(dnat_keeps_the_clients_address),
		OVER_BOTH(dnat_answers_that_no_flow_knows_are_refused),
		OVER_BOTH(a_newer_dnat_flow_takes_the_answers_over),
		OVER_BOTH(dsr_changes_only_the_next_hop),
		OVER_BOTH(a_dsr_flow_ends_with_its_client),
		OVER_BOTH(dsr_needs_the_backend_on_the_link),
		OVER_BOTH(a_forgotten_flow_goes_on_where_the_scheduler_is_consistent),
		OVER_BOTH(a_full_table_forwards_without_state),
		OVER_BOTH(a_removed_backends_dsr_datagrams_pick_anew),
		OVER_BOTH(dnat_answers_find_their_flows_home),
		OVER_BOTH(errors_cross_dnat_and_reach_dsr_backends),
		OVER_BOTH(ipip_carries_the_packet_whole),
		OVER_BOTH(ipip_says_what_does_not_fit),
		OVER_BOTH(ipip_lowers_a_syns_mss),
		OVER_BOTH(ipip_needs_room_before_the_frame),
		OVER_BOTH(errors_reach_ipip_backends_inside),
		OVER_BOTH(a_smaller_mtu_behind_the_gateway_is_told),
		OVER_IPV6(a_link_local_client_is_answered_on_his_link),
		OVER_IPV6(an_error_from_a_link_local_client_finds_its_flow),
		OVER_IPV6(a_link_local_client_is_refused_where_no_answer_reaches_him),
		OVER_BOTH(an_error_about_an_outer_packet_reaches_the_client),
		OVER_BOTH(a_forged_error_about_an_outer_packet_is_dropped),
		OVER_BOTH(an_error_about_an_outer_packet_finds_its_flows_home),
		OVER_BOTH(an_mtu_is_remembered_by_all_workers),
		OVER_BOTH(a_quote_too_short_for_a_client_is_remembered),
		OVER_BOTH(a_new_tenant_of_a_slot_has_a_way_of_its_own),
		OVER_BOTH(an_error_needs_no_flow_where_the_scheduler_knows),
		OVER_BOTH(an_error_about_the_nodes_own_packet_is_the_kernels),
		OVER_BOTH(an_error_finds_a_client_in_a_vlan),
		OVER_BOTH(what_follows_a_quote_is_cut_off),
		OVER_IPV6(ipv6s_least_mtu_goes_through_any_tunnel),
		OVER_BOTH(errors_about_outer_packets_have_a_budget),
		OVER_BOTH(a_client_stays_with_its_backend),
		OVER_BOTH(an_affinity_ends_with_its_time),
		OVER_BOTH(made_up_clients_take_only_the_embryos_share),
		OVER_BOTH(keepalives_every_two_hours_keep_a_flow),
		OVER_BOTH(a_half_close_stays_open_for_an_hour),
		OVER_BOTH(a_simultaneous_open_is_one_connection),
		OVER_BOTH(a_simultaneous_close_ends_it),
		OVER_BOTH(resets_cross_in_both_directions),
		OVER_BOTH(data_that_no_flow_knows_is_answered_with_a_reset),
		OVER_BOTH(a_port_comes_back_within_seconds),
		OVER_BOTH(a_new_policy_keeps_flows_that_exist),
		OVER_BOTH(a_new_policy_ends_flows_that_exist),
		OVER_BOTH(a_service_ends_only_its_own_flows),
		OVER_BOTH(a_flow_that_ends_in_a_burst_is_gone_for_the_rest),
		OVER_BOTH(packets_without_a_flow_pass_the_policy),
		OVER_BOTH(a_slots_flows_are_its_tenants),
		OVER_BOTH(a_client_in_a_vlan_is_answered_in_it),
		OVER_BOTH(a_pod_in_a_vlan_answers_in_it),
		OVER_BOTH(a_tag_that_the_device_took_off_counts),
		OVER_BOTH(neighbours_are_answered_in_the_vlan),
		OVER_BOTH(the_same_tuple_in_two_vlans_is_two_flows),
		OVER_BOTH(each_source_of_a_burst_is_judged_for_itself),
		OVER_BOTH(nothing_leaves_for_a_backend_outside),
		OVER_BOTH(other_prefixes_end_flows_to_a_backend_outside),
		OVER_BOTH(other_timeouts_hold_for_flows_that_exist),
		OVER_BOTH(losses_are_counted_for_who_has_them),
		OVER_BOTH(an_error_from_the_vlan_finds_its_flow),
		OVER_IPV4(every_length_keeps_its_checksums),
		OVER_BOTH(what_is_said_is_what_happens),
		OVER_BOTH(a_service_has_so_many_connections),
		OVER_BOTH(another_backend_takes_what_one_cannot),
		OVER_BOTH(a_backend_has_a_limit_of_its_own),
		OVER_BOTH(a_client_has_so_many_connections),
		OVER_BOTH(so_many_connections_begin_in_a_second),
		OVER_BOTH(a_clients_prefix_begins_so_many_in_a_second),
		OVER_BOTH(workers_keep_a_services_limit_together),
		OVER_BOTH(workers_keep_a_backends_limit_together),
		OVER_BOTH(workers_share_a_clients_limit),
		OVER_BOTH(workers_share_a_rate),
		OVER_IPV4(every_reason_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
