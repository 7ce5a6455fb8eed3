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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_packet_gets_its_verdict),
		cmocka_unit_test(arp_is_answered_for_our_addresses_only),
		cmocka_unit_test(answers_have_a_budget),
		cmocka_unit_test(punting_has_a_budget_and_arp_its_own),
		cmocka_unit_test(an_undeclared_port_can_be_refused_aloud),
		cmocka_unit_test(ttl_1_is_answered_from_the_ports_address),
		cmocka_unit_test(every_length_keeps_its_checksums),
		cmocka_unit_test(echo_comes_back_whole),
		cmocka_unit_test(a_connection_is_translated_both_ways),
		cmocka_unit_test(a_datagram_and_its_answer_are_translated),
		cmocka_unit_test(packets_of_one_new_flow_in_one_burst_share_it),
		cmocka_unit_test(a_syn_over_a_closed_connection_starts_anew),
		cmocka_unit_test(a_closed_flow_ages_out_and_an_open_one_stays),
		cmocka_unit_test(a_drained_backend_keeps_its_flows_and_gets_no_new_ones),
		cmocka_unit_test(a_removed_backend_finishes_and_then_resets),
		cmocka_unit_test(a_removed_backend_gets_no_new_flow_over_a_closed_one),
		cmocka_unit_test(udp_picks_anew_when_its_backend_is_removed),
		cmocka_unit_test(snat_ports_run_out_by_name),
		cmocka_unit_test(a_full_table_recycles_embryos_but_no_established_flow),
		cmocka_unit_test(a_neighbour_nobody_resolved_is_answered_where_it_spoke),
		cmocka_unit_test(a_route_change_is_followed_by_flows_that_stand),
		cmocka_unit_test(rr_takes_turns),
		cmocka_unit_test(wrr_follows_weights),
		cmocka_unit_test(lc_prefers_the_idle_backend),
		cmocka_unit_test(wlc_weighs_what_it_counts),
		cmocka_unit_test(maglev_is_the_same_on_every_node),
		cmocka_unit_test(sh_goes_by_the_clients_address),
		cmocka_unit_test(every_flow_lives_at_its_home),
		cmocka_unit_test(a_random_mix_keeps_the_books),
		cmocka_unit_test(rss_brings_replies_home),
		cmocka_unit_test(every_kind_of_packet_finds_its_flow_from_any_queue),
		cmocka_unit_test(floods_take_nothing_from_those_who_are_served),
		cmocka_unit_test(an_error_from_behind_reaches_the_client),
		cmocka_unit_test(an_error_from_the_clients_side_reaches_the_pod),
		cmocka_unit_test(an_error_keeps_no_flow_alive),
		cmocka_unit_test(an_error_that_no_flow_asked_for_is_dropped),
		cmocka_unit_test(an_error_finds_its_flows_home),
		cmocka_unit_test(dnat_keeps_the_clients_address),
		cmocka_unit_test(dnat_answers_that_no_flow_knows_are_refused),
		cmocka_unit_test(a_newer_dnat_flow_takes_the_answers_over),
		cmocka_unit_test(dsr_changes_only_the_next_hop),
		cmocka_unit_test(a_dsr_flow_ends_with_its_client),
		cmocka_unit_test(dsr_needs_the_backend_on_the_link),
		cmocka_unit_test(a_forgotten_flow_goes_on_where_the_scheduler_is_consistent),
		cmocka_unit_test(a_full_table_forwards_without_state),
		cmocka_unit_test(a_removed_backends_dsr_datagrams_pick_anew),
		cmocka_unit_test(dnat_answers_find_their_flows_home),
		cmocka_unit_test(errors_cross_dnat_and_reach_dsr_backends),
		cmocka_unit_test(ipip_carries_the_packet_whole),
		cmocka_unit_test(ipip_says_what_does_not_fit),
		cmocka_unit_test(ipip_lowers_a_syns_mss),
		cmocka_unit_test(ipip_needs_room_before_the_frame),
		cmocka_unit_test(errors_reach_ipip_backends_inside),
		cmocka_unit_test(a_smaller_mtu_behind_the_gateway_is_told),
		cmocka_unit_test(a_client_in_a_vlan_is_answered_in_it),
		cmocka_unit_test(a_pod_in_a_vlan_answers_in_it),
		cmocka_unit_test(a_tag_that_the_device_took_off_counts),
		cmocka_unit_test(an_error_from_the_vlan_finds_its_flow),
		cmocka_unit_test(arp_is_answered_in_the_vlan),
		cmocka_unit_test(the_same_tuple_in_two_vlans_is_two_flows),
		cmocka_unit_test(a_client_stays_with_its_backend),
		cmocka_unit_test(an_affinity_ends_with_its_time),
		cmocka_unit_test(made_up_clients_take_only_the_embryos_share),
		cmocka_unit_test(keepalives_every_two_hours_keep_a_flow),
		cmocka_unit_test(a_half_close_stays_open_for_an_hour),
		cmocka_unit_test(a_simultaneous_open_is_one_connection),
		cmocka_unit_test(a_simultaneous_close_ends_it),
		cmocka_unit_test(resets_cross_in_both_directions),
		cmocka_unit_test(data_that_no_flow_knows_is_answered_with_a_reset),
		cmocka_unit_test(a_port_comes_back_within_seconds),
		cmocka_unit_test(a_new_policy_keeps_flows_that_exist),
		cmocka_unit_test(a_new_policy_ends_flows_that_exist),
		cmocka_unit_test(a_service_ends_only_its_own_flows),
		cmocka_unit_test(a_flow_that_ends_in_a_burst_is_gone_for_the_rest),
		cmocka_unit_test(packets_without_a_flow_pass_the_policy),
		cmocka_unit_test(a_slots_flows_are_its_tenants),
		cmocka_unit_test(nothing_leaves_for_a_backend_outside),
		cmocka_unit_test(a_known_flow_to_a_backend_outside_ends),
		cmocka_unit_test(losses_are_counted_for_who_has_them),
		cmocka_unit_test(every_reason_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
