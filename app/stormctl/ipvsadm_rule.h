// One line of `ipvsadm -S -n`, word by word.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define IPVSADM_NAME_BYTES     64
#define IPVSADM_SENTENCE_BYTES 300

enum ipvsadm_forward {
	IPVSADM_GATEWAYING, // -g, what ipvsadm takes when none is given
	IPVSADM_IPIP,
	IPVSADM_MASQUERADING,
};

struct ipvsadm_rule {
	bool is_service;               // -A; otherwise -a
	char name[IPVSADM_NAME_BYTES]; // "tcp-192.0.2.10-80", or what it may be that was refused
	const char *protocol;
	struct sg_addr vip;
	uint16_t port;
	// Of a service.
	const char *scheduler;
	int persistence_s; // 0: none
	// Of a server.
	struct sg_addr real;
	uint16_t real_port;
	enum ipvsadm_forward forward;
	int weight;
	int max_connections; // -x; 0: no limit
};

// Returns 0 and the rule, without a name for a line without a rule; or -EINVAL with a sentence in
// `ret_sentence`, IPVSADM_SENTENCE_BYTES, and in the rule the name of the service that it was
// about, as far as it was understood.
int ipvsadm_rule_parse(
	struct ipvsadm_rule *ret_rule, const char *text, size_t length, char *ret_sentence);
