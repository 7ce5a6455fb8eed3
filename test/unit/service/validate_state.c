// States that validation refuses, each with its sentence; and the short cut by a previous state
// against the whole check.
#include "service/validate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "net/headers.h"

static struct sg_settings settings;

static struct sg_addr addr_of(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return addr;
}

static int init_settings(void **unused)
{
	(void)unused;
	sg_settings_init(&settings);
	settings.n_ports = 1;
	strcpy(settings.ports[0].name, "p0");
	settings.ports[0].n_addresses = 3;
	settings.ports[0].addresses[0].addr = addr_of("198.51.100.11");
	settings.ports[0].addresses[1].addr = addr_of("10.0.0.200");
	settings.ports[0].addresses[2].addr = addr_of("2001:db8:1::11");
	settings.snat_addresses[0] = addr_of("10.0.0.100");
	settings.snat_addresses[1] = addr_of("10.0.0.200");
	settings.snat_addresses[2] = addr_of("fd00::100");
	settings.n_snat_addresses = 3;
	settings.snat_port_min = 61000;
	settings.snat_ports_given = true;
	settings.backend_cidrs_given = true;
	assert_int_equal(sg_prefix_parse("10.0.0.0/8", &settings.backend_cidrs[0], NULL), 0);
	assert_int_equal(sg_prefix_parse("192.0.2.0/24", &settings.backend_cidrs[1], NULL), 0);
	assert_int_equal(sg_prefix_parse("fd00::/16", &settings.backend_cidrs[2], NULL), 0);
	settings.n_backend_cidrs = 3;
	return 0;
}

static void add_prefix(struct sg_policy_spec *policy, const char *key, const char *value)
{
	struct sg_prefix prefix;

	assert_int_equal(sg_prefix_parse(value, &prefix, NULL), 0);
	if (strcmp(key, "allow") == 0)
		assert_int_equal(sg_policy_spec_add_allow(policy, &prefix), 0);
	else
		assert_int_equal(sg_policy_spec_add_deny(policy, &prefix), 0);
}

// "vip=192.0.2.10": one setting of a service.
static void set(struct sg_service_spec *spec, const char *key, const char *value)
{
	struct sg_backend_spec backend = {.weight = 1, .line = spec->line};

	if (strcmp(key, "vip") == 0)
		spec->vips[spec->n_vips++] = addr_of(value);
	else if (strcmp(key, "port") == 0)
		spec->port = (uint16_t)atoi(value);
	else if (strcmp(key, "protocol") == 0)
		spec->protocol =
			(uint8_t)(sg_protocol_parse(value) < 0 ? 1 : sg_protocol_parse(value));
	else if (strcmp(key, "owner") == 0)
		snprintf(spec->owner, sizeof(spec->owner), "%s", value);
	else if (strcmp(key, "scheduler") == 0)
		spec->scheduler = (enum sg_scheduler)sg_scheduler_parse(value);
	else if (strcmp(key, "forward") == 0)
		spec->forward = (enum sg_forward)sg_forward_parse(value);
	else if (strcmp(key, "affinity") == 0)
		spec->affinity = (enum sg_affinity)sg_affinity_parse(value);
	else if (strcmp(key, "affinity_timeout") == 0)
		spec->affinity_timeout_s = (uint32_t)atoi(value);
	else if (strcmp(key, "announce") == 0)
		spec->announce = (enum sg_announce)sg_announce_parse(value);
	else if (strcmp(key, "size") == 0)
		spec->maglev_table_size = (uint32_t)atoi(value);
	else if (strcmp(key, "allow") == 0 || strcmp(key, "deny") == 0)
		add_prefix(&spec->policy, key, value);
	else if (strcmp(key, "port_0_backend") == 0)
		backend.address = addr_of(value);
	else
		assert_int_equal(sg_addr_port_parse(value, &backend.address, &backend.port), 0);
	if (backend.address.family != SG_FAMILY_NONE)
		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
}

// A service a line: its name, then key=value; its line in the text is its line in the file.
static void parse(const char *text, struct sg_state *ret_state)
{
	char copy[1000], *lines = copy, *line;
	int number = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	sg_state_init(ret_state);
	while ((line = strsep(&lines, "\n"))) {
		struct sg_service_spec *spec =
			sg_service_spec_create(strsep(&line, " "), "operator");
		char *word;

		assert_non_null(spec);
		spec->line = ++number;
		while ((word = strsep(&line, " "))) {
			char *key = strsep(&word, "=");

			set(spec, key, word);
		}
		assert_int_equal(sg_state_put(ret_state, spec), 0);
	}
}

#define WEB  "web vip=192.0.2.10 port=80"
#define WEB6 "web vip=2001:db8::10 port=80"
#define DUAL "web vip=192.0.2.10 vip=2001:db8::10 port=80"

static void snat_needs_an_address_of_the_backends_family(void **unused)
{
	struct sg_error error = {0};
	struct sg_state state;

	(void)unused;
	settings.n_snat_addresses = 2; // the IPv4 ones
	parse(WEB6 " b=[fd00::2]:80", &state);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text,
		"backend [fd00::2]:80 of service 'web' needs an IPv6 SNAT address: add one to "
		"snat.addresses"));
	sg_state_fini(&state);
	parse(WEB6 " b=[fd00::2]:80 forward=dnat", &state);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), 0);
	sg_state_fini(&state);
	settings.n_snat_addresses = 3;
}

static void a_policy_for_all_names_sources_that_packets_have(void **unused)
{
	struct sg_error error = {0};
	struct sg_state state;

	(void)unused;
	parse(DUAL, &state);
	state.policy = sg_shared_policy_create();
	assert_non_null(state.policy);
	add_prefix(&state.policy->spec, "deny", "2001:db8:bad::/48");
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), 0);
	add_prefix(&state.policy->spec, "deny", "::ffff:192.0.2.0/120");
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text, "the policy: ::ffff:192.0.2.0/120 in allow or deny"));
	sg_state_fini(&state);
}

static void states_are_judged(void **unused)
{
	// clang-format off
	static const struct {
		const char *story;
		const char *state;
		int line;
		const char *sentence; // NULL: good
	} rows[] = {
	{"an ordinary service", WEB " b=10.0.0.2:8080 b=10.0.0.3:8080", 0, NULL},
	{"no backends", WEB, 0, NULL},
	{"two services on one VIP", WEB "\nweb2 vip=192.0.2.10 port=81", 0, NULL},
	{"tcp and udp on one port", WEB "\nweb2 vip=192.0.2.10 port=80 protocol=udp", 0, NULL},
	{"the schedulers of today", "a vip=192.0.2.1 port=1 scheduler=rr\nb vip=192.0.2.1 port=2 scheduler=wrr\n"
		"c vip=192.0.2.1 port=3 scheduler=lc\nd vip=192.0.2.1 port=4 scheduler=wlc", 0, NULL},
	{"sh", WEB " scheduler=sh b=10.0.0.2:80", 0, NULL},
	{"dsr", WEB " forward=dsr b=10.0.0.2:80", 0, NULL},
	{"ipip", WEB " forward=ipip b=10.0.0.2:80", 0, NULL},
	{"dnat", WEB " forward=dnat b=10.0.0.2:8080", 0, NULL},
	{"a dnat backend for tcp and udp", WEB " forward=dnat b=10.0.0.2:80\nweb2 vip=192.0.2.10 port=80 protocol=udp "
		"forward=dnat b=10.0.0.2:80", 0, NULL},
	{"a dnat backend in a snat service too", WEB " forward=dnat b=10.0.0.2:80\nweb2 vip=192.0.2.11 port=80 "
		"b=10.0.0.2:80", 0, NULL},
	{"affinity", WEB " affinity=client-ip affinity_timeout=60", 0, NULL},
	{"announce never", WEB " announce=never", 0, NULL},
	{"one backend in two services", WEB " b=10.0.0.2:80\nweb2 vip=192.0.2.11 port=80 b=10.0.0.2:80", 0, NULL},
	{"a backend on the node, beside its SNAT ports", WEB " b=10.0.0.200:80", 0, NULL},
	{"a backend at a VIP's address, on another port", WEB " b=192.0.2.10:8080", 0, NULL},
	{"a Kubernetes name", "default/web.http_1-a vip=192.0.2.10 port=80", 0, NULL},

	{"a name with a blank sign", "we$b vip=192.0.2.10 port=80", 1, "\"we$b\" is not a service's name"},
	{"an empty name", " vip=192.0.2.10 port=80", 1, "\"\" is not a service's name"},
	{"a name of 64", "0123456789012345678901234567890123456789012345678901234567890123 vip=192.0.2.10 port=80",
		1, "is not a service's name"},
	{"a bad owner", WEB " owner=a:b", 1, "service 'web': \"a:b\" is not an owner's name"},
	{"no VIP", "web port=80", 1, "service 'web' has no VIP"},
	{"two IPv4 VIPs", WEB " vip=192.0.2.11", 1, "service 'web' has two VIPs of one family"},
	{"a multicast VIP", "web vip=224.0.0.1 port=80", 1, "service 'web': VIP 224.0.0.1 can be no host's address"},
	{"a port's address as VIP", "web vip=198.51.100.11 port=80", 1,
		"service 'web': VIP 198.51.100.11 is an address of port 'p0'"},
	{"a SNAT address as VIP", "web vip=10.0.0.100 port=80", 1, "service 'web': VIP 10.0.0.100 is a SNAT address"},
	{"no such protocol", WEB " protocol=sctp", 1, "service 'web': the protocol must be \"tcp\" or \"udp\""},
	{"port 0", "web vip=192.0.2.10 port=0", 1, "service 'web': the port must be from 1 to 65535"},
	{"a table size that is no prime of the list", WEB " size=1000", 1, "service 'web': maglev_table_size is 1000"},
	{"an affinity timeout of two years", WEB " affinity_timeout=63072000", 1, "affinity_timeout is 63072000 seconds"},

	{"announce kernel", WEB " announce=kernel", 1, "service 'web': this version does not serve announce \"kernel\""},

	{"IPv6", WEB6 " b=[fd00::2]:8080 b=[fd00::3]:8080", 0, NULL},
	{"both families", DUAL " b=[fd00::2]:8080 b=10.0.0.3:8080", 0, NULL},
	{"an IPv6 VIP without a backend of its own", DUAL " b=10.0.0.3:8080", 0, NULL},
	{"dsr over IPv6", WEB6 " forward=dsr b=[fd00::2]:80", 0, NULL},
	{"ipip over IPv6", DUAL " forward=ipip b=[fd00::2]:80 b=10.0.0.2:80", 0, NULL},
	{"dnat over IPv6", WEB6 " forward=dnat b=[fd00::2]:8080", 0, NULL},
	{"an IPv6 source", DUAL " allow=2001:db8:7::/48 deny=fe80::/10 allow=10.0.0.0/8", 0, NULL},
	{"an IPv6 backend without an IPv6 VIP", WEB " b=[fd00::2]:80", 1,
		"backend [fd00::2]:80 of service 'web' is IPv6, but the service has no IPv6 VIP"},
	{"an IPv4 backend without an IPv4 VIP", WEB6 " b=10.0.0.2:80", 1,
		"backend 10.0.0.2:80 of service 'web' is IPv4, but the service has no IPv4 VIP"},
	{"two IPv6 VIPs", WEB6 " vip=2001:db8::11", 1, "service 'web' has two VIPs of one family"},
	{"a link-local VIP", "web vip=fe80::1 port=80", 1,
		"service 'web': VIP fe80::1 is a link-local address, which means nothing beyond one link"},
	{"an IPv6 multicast VIP", "web vip=ff0e::1 port=80", 1, "service 'web': VIP ff0e::1 is a multicast address"},
	{"IPv4 written as IPv6", "web vip=::ffff:192.0.2.10 port=80", 1,
		"service 'web': VIP ::ffff:192.0.2.10 is an IPv4 address written as IPv6: write it as IPv4"},
	{"no address", "web vip=:: port=80", 1, "service 'web': VIP :: can be no host's address"},
	{"a port's IPv6 address as VIP", "web vip=2001:db8:1::11 port=80", 1,
		"service 'web': VIP 2001:db8:1::11 is an address of port 'p0'"},
	{"an IPv6 SNAT address as VIP", "web vip=fd00::100 port=80", 1, "service 'web': VIP fd00::100 is a SNAT address"},
	{"an IPv6 SNAT address as backend", WEB6 " b=[fd00::100]:80", 1,
		"backend [fd00::100]:80 of service 'web' is a SNAT address of this gateway"},
	{"an IPv6 backend outside of the prefixes", WEB6 " b=[fd01::2]:80", 1,
		"backend [fd01::2]:80 of service 'web' (of owner 'operator') lies outside backend_cidrs (10.0.0.0/8, 192.0.2.0/24, fd00::/16)"},
	{"a link-local backend", WEB6 " b=[fe80::2]:80", 1,
		"backend [fe80::2]:80 of service 'web' is a link-local address"},
	{"a source that no packet has", DUAL " allow=::ffff:10.0.0.0/104", 1,
		"service 'web': ::ffff:10.0.0.0/104 in allow or deny is IPv4 written as IPv6: write it as IPv4"},
	{"the same, to be denied", DUAL " deny=::ffff:10.0.0.1/128", 1, "in allow or deny is IPv4 written as IPv6"},
	{"one IPv6 VIP and port twice", DUAL "\na vip=192.0.2.11 vip=2001:db8::10 port=80", 2,
		"service 'a' (of owner 'operator') has the VIP, protocol and port of service 'web' (of owner 'operator'): "
		"[2001:db8::10]:80 tcp"},
	{"an IPv6 service as its own backend", "web vip=fd00::10 port=80 b=[fd00::10]:80", 1,
		"backend [fd00::10]:80 of service 'web' is the VIP and port of service 'web'"},
	{"two dnat services with one IPv6 backend", WEB6 " forward=dnat b=[fd00::2]:80\nx vip=2001:db8::11 port=80 "
		"forward=dnat b=[fd00::2]:80", 2, "backend [fd00::2]:80 of service 'x' is a backend of service 'web' too"},

	{"a backend outside of the prefixes", WEB " b=192.168.9.9:80", 1,
		"backend 192.168.9.9:80 of service 'web' (of owner 'operator') lies outside backend_cidrs (10.0.0.0/8, 192.0.2.0/24, fd00::/16)"},
	{"a multicast backend", WEB " b=224.0.0.1:80", 1, "backend 224.0.0.1:80 of service 'web' can be no host's address"},
	{"a backend without a port", WEB " port_0_backend=10.0.0.2", 1,
		"backend 10.0.0.2:0 of service 'web' needs a port from 1 to 65535"},
	{"a SNAT address as backend", WEB " b=10.0.0.100:80", 1,
		"backend 10.0.0.100:80 of service 'web' is a SNAT address of this gateway"},
	{"a SNAT port of the node as backend", WEB " b=10.0.0.200:61000", 1,
		"backend 10.0.0.200:61000 of service 'web' is a SNAT address of this gateway"},

	{"dsr to another port", WEB " forward=dsr b=10.0.0.2:8080", 1,
		"backend 10.0.0.2:8080 of service 'web' needs the service's port"},
	{"two dnat services with one backend", WEB " forward=dnat b=10.0.0.2:80\nx vip=192.0.2.11 port=80 forward=dnat "
		"b=10.0.0.2:80", 2, "backend 10.0.0.2:80 of service 'x' is a backend of service 'web' too"},

	{"one VIP and port twice", WEB "\na vip=192.0.2.10 port=80 owner=kubernetes", 2,
		"service 'a' (of owner 'kubernetes') has the VIP, protocol and port of service 'web' (of owner 'operator'): "
		"192.0.2.10:80 tcp"},
	{"a service as its own backend", WEB " b=192.0.2.10:80", 1,
		"backend 192.0.2.10:80 of service 'web' is the VIP and port of service 'web': a service cannot be a backend"},
	{"a service as another's backend", WEB "\nx vip=192.0.2.11 port=81 b=192.0.2.10:80", 2,
		"backend 192.0.2.10:80 of service 'x' is the VIP and port of service 'web'"},
	{"the same, the other way round", "a vip=192.0.2.10 port=80\nweb vip=192.0.2.11 port=81 b=192.0.2.10:80", 2,
		"backend 192.0.2.10:80 of service 'web' is the VIP and port of service 'a'"},
	{"the second of two is bad", WEB "\nx vip=192.0.2.10 port=0", 2, "service 'x': the port must be"},
	};
	// clang-format on

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_error error = {0};
		struct sg_state state;
		int err;

		parse(rows[i].state, &state);
		err = sg_validate_state(&state, NULL, &settings, &error);
		if (err != (rows[i].sentence ? -EINVAL : 0))
			fail_msg("%s: %d: %s", rows[i].story, err, error.text);
		if (rows[i].sentence && !strstr(error.text, rows[i].sentence))
			fail_msg("%s: is refused with: %s", rows[i].story, error.text);
		assert_int_equal(error.line, rows[i].line);
		sg_state_fini(&state);
	}
}

static void empty_cidrs_allow_nothing_and_absent_ones_everything(void **unused)
{
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	parse(WEB " b=192.168.9.9:80", &state);
	settings.n_backend_cidrs = 0;
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text, "lies outside backend_cidrs (none is allowed)"));
	settings.backend_cidrs_given = false;
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), 0);
	sg_state_fini(&state);
	init_settings(NULL);
}

static void many_cidrs_are_cut_short(void **unused)
{
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	parse(WEB " b=192.168.9.9:80", &state);
	for (settings.n_backend_cidrs = 0; settings.n_backend_cidrs < SG_MAX_BACKEND_CIDRS;)
		assert_int_equal(sg_prefix_parse("10.0.0.0/8",
					 &settings.backend_cidrs[settings.n_backend_cidrs++], NULL),
			0);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_non_null(strstr(error.text, ", ...)"));
	sg_state_fini(&state);
	init_settings(NULL);
}

static void snat_needs_an_address(void **unused)
{
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	parse(WEB " b=10.0.0.2:80", &state);
	settings.n_snat_addresses = 0;
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_non_null(strstr(
		error.text, "backend 10.0.0.2:80 of service 'web' needs an IPv4 SNAT address"));
	sg_state_fini(&state);
	init_settings(NULL);
}

static void limits_are_kept(void **unused)
{
	struct sg_backend_spec backend = {.address = addr_of("10.0.0.2"), .weight = 1};
	struct sg_prefix prefix;
	struct sg_error error;
	struct sg_state state;
	struct sg_service_spec *spec;

	(void)unused;
	parse(WEB, &state);
	spec = sg_state_find(&state, "web");
	for (backend.port = 1; backend.port <= SG_MAX_SERVICE_BACKENDS; backend.port++)
		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), 0);
	assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_string_equal(error.text, "service 'web' has 4097 backends; 4096 are the most");
	spec->n_backends = 0;
	assert_int_equal(sg_prefix_parse("198.51.100.0/24", &prefix, NULL), 0);
	for (unsigned i = 0; i < SG_MAX_SERVICE_PREFIXES; i++)
		assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), 0);
	assert_int_equal(sg_policy_spec_add_allow(&spec->policy, &prefix), 0);
	assert_int_equal(sg_validate_state(&state, NULL, &settings, &error), -EINVAL);
	assert_string_equal(
		error.text, "service 'web' has 10001 allow prefixes; 10000 are the most");
	sg_state_fini(&state);
}

// A random service from a world so small that most changes clash with something.
static struct sg_service_spec *random_service(uint64_t *random)
{
	char name[2] = {(char)('a' + sg_random_next(random) % 6), '\0'};
	struct sg_service_spec *spec = sg_service_spec_create(name, "operator");

	assert_non_null(spec);
	spec->vips[0] = addr_of("10.1.0.0");
	spec->vips[0].bytes[3] = (uint8_t)(sg_random_next(random) % 3);
	spec->n_vips = 1;
	spec->port = (uint16_t)(80 + sg_random_next(random) % 3);
	spec->protocol = sg_random_next(random) % 2 ? SG_PROTO_TCP : SG_PROTO_UDP;
	for (uint64_t n = sg_random_next(random) % 3; n > 0; n--) {
		struct sg_backend_spec backend = {.address = addr_of("10.1.0.0"),
			.port = (uint16_t)(80 + sg_random_next(random) % 3),
			.weight = 1};

		backend.address.bytes[3] = (uint8_t)(sg_random_next(random) % 12);
		assert_int_equal(sg_service_spec_put_backend(spec, &backend), 0);
	}
	return spec;
}

static void the_short_cut_agrees_with_the_whole_check(void **unused)
{
	unsigned n_good = 0, n_bad = 0;
	struct sg_state state;
	uint64_t random = 8;

	(void)unused;
	sg_state_init(&state);
	for (int step = 0; step < 30000; step++) {
		struct sg_error error;
		struct sg_state next;
		int err;

		assert_int_equal(sg_state_clone(&next, &state), 0);
		for (uint64_t n = 1 + sg_random_next(&random) % 3; n > 0; n--) {
			struct sg_service_spec *spec = random_service(&random);

			if (sg_random_next(&random) % 3) {
				assert_int_equal(sg_state_put(&next, spec), 0);
			} else {
				sg_state_remove(&next, spec->name);
				sg_service_spec_unref(spec);
			}
		}
		err = sg_validate_state(&next, NULL, &settings, &error);
		assert_int_equal(sg_validate_state(&next, &state, &settings, &error), err);
		n_good += err == 0;
		n_bad += err < 0;
		if (err == 0) {
			sg_state_fini(&state);
			state = next;
		} else {
			sg_state_fini(&next);
		}
	}
	assert_true(n_good > 1000 && n_bad > 1000);
	sg_state_fini(&state);
}

static void count_warning(void *context, int line, const char *text)
{
	assert_int_equal(line, 1);
	assert_non_null(
		strstr(text, "service 'web': a maglev_table_size of 251 is small for 3 backends"));
	++*(int *)context;
}

static void a_small_table_is_warned_of_once(void **unused)
{
	struct sg_state state, next;
	int n = 0;

	(void)unused;
	parse(WEB
		" size=251 b=10.0.0.2:80 b=10.0.0.3:80 b=10.0.0.4:80\nx vip=192.0.2.11 port=80 b=10.0.0.2:80",
		&state);
	sg_validate_state_warnings(&state, NULL, count_warning, &n);
	assert_int_equal(n, 1);
	assert_int_equal(sg_state_clone(&next, &state), 0);
	sg_validate_state_warnings(&next, &state, count_warning, &n);
	assert_int_equal(n, 1);
	sg_state_find(&next, "web")->scheduler = SG_SCHEDULER_RR;
	sg_validate_state_warnings(&next, NULL, count_warning, &n);
	assert_int_equal(n, 1);
	sg_state_fini(&next);
	sg_state_fini(&state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_are_judged),
		cmocka_unit_test(a_policy_for_all_names_sources_that_packets_have),
		cmocka_unit_test(snat_needs_an_address_of_the_backends_family),
		cmocka_unit_test(empty_cidrs_allow_nothing_and_absent_ones_everything),
		cmocka_unit_test(many_cidrs_are_cut_short),
		cmocka_unit_test(snat_needs_an_address),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(the_short_cut_agrees_with_the_whole_check),
		cmocka_unit_test(a_small_table_is_warned_of_once),
	};

	return cmocka_run_group_tests(tests, init_settings, NULL);
}
