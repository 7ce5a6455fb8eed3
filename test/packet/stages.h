// The tests of the program `stages`, by file.
#pragma once

// single.c
void each_packet_gets_its_verdict(void **state);
void arp_is_answered_for_our_addresses_only(void **state);
void answers_have_a_budget(void **state);
void punting_has_a_budget_and_arp_its_own(void **state);
void an_undeclared_port_can_be_refused_aloud(void **state);
void ttl_1_is_answered_from_the_ports_address(void **state);
void every_length_keeps_its_checksums(void **state);
void echo_comes_back_whole(void **state);

// single_ipv6.c, over IPv6 only
void each_ipv6_packet_gets_its_verdict(void **state);
void neighbours_hear_of_our_addresses_only(void **state);
void solicitations_that_nobody_may_send_are_dropped(void **state);
void an_ipv6_echo_comes_back_whole(void **state);
void ipv6_errors_quote_what_fits(void **state);
void equal_fingerprints_confuse_nobody(void **state);
void equal_fingerprints_in_one_burst_confuse_nobody(void **state);

// flows.c
void a_connection_is_translated_both_ways(void **state);
void a_datagram_and_its_answer_are_translated(void **state);
void packets_of_one_new_flow_in_one_burst_share_it(void **state);
void a_syn_over_a_closed_connection_starts_anew(void **state);
void a_closed_flow_ages_out_and_an_open_one_stays(void **state);
void a_drained_backend_keeps_its_flows_and_gets_no_new_ones(void **state);
void a_removed_backend_finishes_and_then_resets(void **state);
void a_removed_backend_gets_no_new_flow_over_a_closed_one(void **state);
void udp_picks_anew_when_its_backend_is_removed(void **state);
void snat_ports_run_out_by_name(void **state);
void a_full_table_recycles_embryos_but_no_established_flow(void **state);
void a_neighbour_nobody_resolved_is_answered_where_it_spoke(void **state);
void a_route_change_is_followed_by_flows_that_stand(void **state);

// schedulers.c
void rr_takes_turns(void **state);
void wrr_follows_weights(void **state);
void lc_prefers_the_idle_backend(void **state);
void wlc_weighs_what_it_counts(void **state);
void maglev_is_the_same_on_every_node(void **state);
void sh_goes_by_the_clients_address(void **state);

// workers.c
void every_flow_lives_at_its_home(void **state);
void a_random_mix_keeps_the_books(void **state);

// homes.c
void rss_brings_replies_home(void **state);
void every_kind_of_packet_finds_its_flow_from_any_queue(void **state);

// flood.c
void floods_take_nothing_from_those_who_are_served(void **state);

// icmp.c
void an_error_from_behind_reaches_the_client(void **state);
void an_error_from_the_clients_side_reaches_the_pod(void **state);
void an_error_keeps_no_flow_alive(void **state);
void an_error_that_no_flow_asked_for_is_dropped(void **state);
void an_error_finds_its_flows_home(void **state);
void errors_need_no_flow_where_the_scheduler_knows(void **state);

// modes.c
void dnat_keeps_the_clients_address(void **state);
void dnat_answers_that_no_flow_knows_are_refused(void **state);
void a_newer_dnat_flow_takes_the_answers_over(void **state);
void dsr_changes_only_the_next_hop(void **state);
void a_dsr_flow_ends_with_its_client(void **state);
void dsr_needs_the_backend_on_the_link(void **state);
void a_forgotten_flow_goes_on_where_the_scheduler_is_consistent(void **state);
void a_full_table_forwards_without_state(void **state);
void a_removed_backends_dsr_datagrams_pick_anew(void **state);
void dnat_answers_find_their_flows_home(void **state);
void errors_cross_dnat_and_reach_dsr_backends(void **state);
void a_smaller_mtu_behind_the_gateway_is_told(void **state);

// ipip.c
void ipip_carries_the_packet_whole(void **state);
void ipip_says_what_does_not_fit(void **state);
void ipip_lowers_a_syns_mss(void **state);
void ipip_needs_room_before_the_frame(void **state);
void errors_reach_ipip_backends_inside(void **state);

// link_local.c, over IPv6 only
void a_link_local_client_is_answered_on_his_link(void **state);
void an_error_from_a_link_local_client_finds_its_flow(void **state);
void a_link_local_client_is_refused_where_no_answer_reaches_him(void **state);

// tunnel.c
void an_error_about_an_outer_packet_reaches_the_client(void **state);
void a_forged_error_about_an_outer_packet_is_dropped(void **state);
void an_error_about_an_outer_packet_finds_its_flows_home(void **state);
void an_mtu_is_remembered_by_all_workers(void **state);
void a_quote_too_short_for_a_client_is_remembered(void **state);
void a_new_tenant_of_a_slot_has_a_way_of_its_own(void **state);
void an_error_needs_no_flow_where_the_scheduler_knows(void **state);
void an_error_about_the_nodes_own_packet_is_the_kernels(void **state);
void an_error_finds_a_client_in_a_vlan(void **state);
void what_follows_a_quote_is_cut_off(void **state);
void ipv6s_least_mtu_goes_through_any_tunnel(void **state);
void errors_about_outer_packets_have_a_budget(void **state);

// explain.c
void what_is_said_is_what_happens(void **state);

// limits.c
void a_service_has_so_many_connections(void **state);
void another_backend_takes_what_one_cannot(void **state);
void a_backend_has_a_limit_of_its_own(void **state);
void a_client_has_so_many_connections(void **state);
void so_many_connections_begin_in_a_second(void **state);
void a_clients_prefix_begins_so_many_in_a_second(void **state);
void workers_keep_a_services_limit_together(void **state);
void workers_keep_a_backends_limit_together(void **state);
void workers_share_a_clients_limit(void **state);
void workers_share_a_rate(void **state);

// policy.c
void a_new_policy_keeps_flows_that_exist(void **state);
void a_new_policy_ends_flows_that_exist(void **state);
void a_service_ends_only_its_own_flows(void **state);
void a_flow_that_ends_in_a_burst_is_gone_for_the_rest(void **state);
void packets_without_a_flow_pass_the_policy(void **state);
void a_slots_flows_are_its_tenants(void **state);
void each_source_of_a_burst_is_judged_for_itself(void **state);
void nothing_leaves_for_a_backend_outside(void **state);
void other_prefixes_end_flows_to_a_backend_outside(void **state);
void other_timeouts_hold_for_flows_that_exist(void **state);
void losses_are_counted_for_who_has_them(void **state);

// vlan.c
void a_client_in_a_vlan_is_answered_in_it(void **state);
void a_pod_in_a_vlan_answers_in_it(void **state);
void a_tag_that_the_device_took_off_counts(void **state);
void an_error_from_the_vlan_finds_its_flow(void **state);
void neighbours_are_answered_in_the_vlan(void **state);
void the_same_tuple_in_two_vlans_is_two_flows(void **state);

// affinity.c
void a_client_stays_with_its_backend(void **state);
void an_affinity_ends_with_its_time(void **state);
void made_up_clients_take_only_the_embryos_share(void **state);

// lifetimes.c
void keepalives_every_two_hours_keep_a_flow(void **state);
void a_half_close_stays_open_for_an_hour(void **state);
void a_simultaneous_open_is_one_connection(void **state);
void a_simultaneous_close_ends_it(void **state);
void resets_cross_in_both_directions(void **state);
void data_that_no_flow_knows_is_answered_with_a_reset(void **state);
void a_port_comes_back_within_seconds(void **state);
