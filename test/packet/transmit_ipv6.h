// The IPv6 tests of the program `transmit`, and what opens and closes one.
#pragma once

int wire_open_ipv6(void **unused);
int wire_close_ipv6(void **unused);

void ipv6_fragments_are_joined_and_made_in_every_mode(void **unused);
void a_fragment_that_is_everything_is_a_datagram(void **unused);
void ipv6_that_came_whole_is_never_cut(void **unused);
void overlapping_ipv6_fragments_give_the_datagram_up(void **unused);
void ipv6_that_never_becomes_whole_is_told(void **unused);
void an_ipv6_chain_is_forwarded_however_it_is_cut(void **unused);
void a_long_ipv6_echo_comes_back_in_fragments(void **unused);
void ipv6_leaves_by_a_vlan_with_its_tag(void **unused);
