// Settings that validation refuses, each with its sentence, and what it only warns of.
#include "service/validate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sg_addr addr_of(const char *text)
{
	struct sg_addr addr;

	assert_int_equal(sg_addr_parse(text, &addr), 0);
	return addr;
}

static void add_port(struct sg_settings *settings, const char *name, const char *address)
{
	struct sg_port_settings *port = &settings->ports[settings->n_ports++];

	*port = (struct sg_port_settings){
		.n_addresses = 1, .mtu = 1500, .line = (int)settings->n_ports * 10};
	snprintf(port->name, sizeof(port->name), "%s", name);
	snprintf(port->device, sizeof(port->device), "net_null_%s", name);
	snprintf(port->twin, sizeof(port->twin), "sg-%s", name);
	port->addresses[0].addr = addr_of(address);
	port->addresses[0].length = 24;
}

// Two ports and a SNAT address, as an operator would write them.
static void good(struct sg_settings *settings)
{
	sg_settings_init(settings);
	add_port(settings, "p0", "198.51.100.11");
	add_port(settings, "p1", "10.0.0.1");
	settings->snat_addresses[settings->n_snat_addresses++] = addr_of("10.0.0.100");
	settings->dataplane_line = 1;
	settings->snat_line = 30;
	settings->control_line = 40;
	settings->backend_cidrs_given = true;
}

static void edit(struct sg_settings *s, int which)
{
	switch (which) {
	case 0:
		s->n_ports = 0;
		break;
	case 1:
		strcpy(s->instance, "a b");
		break;
	case 2:
		strcpy(s->instance, "../x");
		break;
	case 3:
		s->flows_per_worker = 10;
		break;
	case 4:
		s->workers[s->n_workers++] = 5000;
		break;
	case 5:
		s->control_cpu = 5000;
		break;
	case 6:
		strcpy(s->ports[1].name, "p0");
		break;
	case 7:
		strcpy(s->ports[1].name, "p/1");
		break;
	case 8:
		strcpy(s->ports[1].device, s->ports[0].device);
		break;
	case 9:
		strcpy(s->ports[1].device, "");
		break;
	case 10:
		strcpy(s->ports[1].twin, "sg-p0");
		break;
	case 11:
		strcpy(s->ports[1].twin, "sg p1");
		break;
	case 12:
		strcpy(s->ports[1].twin, "..");
		break;
	case 13:
		s->ports[1].mtu = 575;
		break;
	case 14:
		s->ports[1].addresses[0].addr = addr_of("198.51.100.11");
		break;
	case 15:
		s->ports[1].addresses[0].addr = addr_of("224.0.0.1");
		break;
	case 16:
		s->ports[1].addresses[0].length = 0;
		break;
	case 17:
		s->ports[1].addresses[s->ports[1].n_addresses++] = s->ports[1].addresses[0];
		break;
	case 18:
		s->snat_addresses[0] = addr_of("127.0.0.1");
		break;
	case 19:
		s->snat_addresses[0] = addr_of("fe80::100");
		break;
	case 20:
		s->snat_addresses[0] = addr_of("10.0.0.1");
		break;
	case 21:
		s->snat_addresses[s->n_snat_addresses++] = addr_of("10.0.0.100");
		break;
	case 22:
		s->snat_port_min = 65000;
		s->snat_port_max = 65254;
		break;
	case 23:
		s->snat_port_min = 0;
		break;
	case 24:
		s->timeouts.drain = 365 * 24 * 3600 + 1;
		break;
	case 25:
		strcpy(s->socket_path, "stormgate.sock");
		break;
	case 26:
		s->socket_mode = 04777;
		break;
	case 27:
		strcpy(s->instance, "..");
		break;
	case 28:
		strcpy(s->instance, ".");
		break;
	case 29:
		strcpy(s->ports[0].device, "net_af_packet0,iface=eth1");
		strcpy(s->ports[1].device, "net_af_packet1,qpairs=2,iface=eth1,qdisc_bypass=1");
		break;
	case 30:
		s->ports[1].addresses[0].addr = addr_of("10.0.0.0");
		break;
	case 31:
		s->ports[1].addresses[0].addr = addr_of("10.0.0.255");
		break;
	case 32:
		s->ports[1].addresses[0].addr = addr_of("fe80::1");
		break;
	case 33:
		s->ports[1].addresses[0].addr = addr_of("fd00::1");
		s->ports[1].mtu = 1279;
		break;
	case 34:
		s->ports[1].addresses[0].addr = addr_of("fd00::1");
		s->ports[1].addresses[0].length = 129;
		break;
	case 35:
		assert_int_equal(
			sg_prefix_parse("::ffff:10.0.0.0/104", &s->backend_cidrs[0], NULL), 0);
		s->n_backend_cidrs = 1;
		break;
	default:
		fail();
	}
}

static void bad_settings_are_refused_with_a_sentence(void **unused)
{
	static const struct {
		int line;
		const char *sentence; // of edit number i
	} rows[] = {
		{0, "no port is configured"},
		{1, "dataplane.instance \"a b\" is not a name"},
		{1, "dataplane.instance \"../x\" is not a name"},
		{1, "dataplane.flows_per_worker is 10; it must be from 1024 to 268435456"},
		{1, "dataplane.workers names CPU 5000"},
		{1, "dataplane.control_cpu is 5000"},
		{20, "two ports are named 'p0'"},
		{20, "\"p/1\" is not a port's name"},
		{20, "ports 'p0' and 'p1' have the same device \"net_null_p0\""},
		{20, "port 'p1' has no device"},
		{20, "ports 'p0' and 'p1' have the same twin \"sg-p0\""},
		{20, "port 'p1': \"sg p1\" cannot name its twin"},
		{20, "port 'p1': \"..\" cannot name its twin"},
		{20, "port 'p1': mtu is 575; it must be at least 576"},
		{20, "port 'p1': port 'p0' already has the address 198.51.100.11"},
		{20, "port 'p1': 224.0.0.1 can be no host's address"},
		{20, "port 'p1': the prefix length of 10.0.0.1 must be from 1 to 32"},
		{20, "port 'p1' has the address 10.0.0.1 twice"},
		{30, "SNAT address 127.0.0.1 can be no host's address"},
		{30, "SNAT address fe80::100 is a link-local address"},
		{30, "SNAT address 10.0.0.1 is an address of port 'p1'"},
		{30, "SNAT address 10.0.0.100 is given twice"},
		{30, "snat.ports is [65000, 65254]"},
		{30, "snat.ports is [0, 65535]"},
		{0, "timeouts.drain is 31536001 seconds"},
		{40, "control.socket \"stormgate.sock\" must be an absolute path"},
		{40, "control.mode \"4777\" must be from"},
		{1, "dataplane.instance \"..\" is not a name"},
		{1, "dataplane.instance \".\" is not a name"},
		{20, "ports 'p0' and 'p1' sit on the same interface"},
		{20, "port 'p1': 10.0.0.0/24 is the subnet's own address"},
		{20, "port 'p1': 10.0.0.255/24 is the subnet's own address or its broadcast"},
		{20, "port 'p1': fe80::1 is a link-local address"},
		{20, "port 'p1': mtu is 1279, but a port with an IPv6 address (fd00::1) needs 1280"},
		{20, "port 'p1': the prefix length of fd00::1 must be from 1 to 128"},
		{0, "backend_cidrs: ::ffff:10.0.0.0/104 is IPv4 written as IPv6: write it as IPv4"},
	};
	static struct sg_settings settings;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_error error = {0};

		good(&settings);
		assert_int_equal(sg_validate_settings(&settings, &error), 0);
		edit(&settings, (int)i);
		assert_int_equal(sg_validate_settings(&settings, &error), -EINVAL);
		if (!strstr(error.text, rows[i].sentence))
			fail_msg("edit %zu is refused with: %s", i, error.text);
		assert_int_equal(error.line, rows[i].line);
	}
}

static void a_snat_address_may_be_a_ports_with_ports_of_its_own(void **unused)
{
	static struct sg_settings settings;
	struct sg_error error;

	(void)unused;
	good(&settings);
	settings.snat_addresses[0] = addr_of("10.0.0.1");
	settings.snat_port_min = 61000;
	settings.snat_ports_given = true;
	assert_int_equal(sg_validate_settings(&settings, &error), 0);
}

// A point-to-point link has no address to spare, and interfaces are told apart by their whole
// names.
static void what_only_looks_the_same_is_let_pass(void **unused)
{
	static struct sg_settings settings;
	struct sg_error error;

	(void)unused;
	good(&settings);
	settings.ports[1].addresses[0].addr = addr_of("10.0.0.0");
	settings.ports[1].addresses[0].length = 31;
	strcpy(settings.instance, "..a");
	strcpy(settings.ports[0].device, "net_af_packet0,iface=eth1");
	strcpy(settings.ports[1].device, "net_af_packet1,iface=eth10");
	assert_int_equal(sg_validate_settings(&settings, &error), 0);
}

struct warnings {
	int n;
	char text[500];
};

static void note(void *context, int line, const char *text)
{
	struct warnings *warnings = context;

	(void)line;
	warnings->n++;
	snprintf(warnings->text, sizeof(warnings->text), "%s", text);
}

static void what_is_allowed_but_odd_is_warned_of(void **unused)
{
	static struct sg_settings settings;
	struct warnings warnings = {0};

	(void)unused;
	good(&settings);
	sg_validate_settings_warnings(&settings, note, &warnings);
	assert_int_equal(warnings.n, 0);

	settings.workers[0] = settings.workers[2] = 1;
	settings.workers[1] = 2;
	settings.n_workers = 3;
	sg_validate_settings_warnings(&settings, note, &warnings);
	assert_int_equal(warnings.n, 1);
	assert_non_null(strstr(warnings.text, "workers 0 and 2 share CPU 1"));

	settings.n_workers = 0;
	settings.backend_cidrs_given = false;
	sg_validate_settings_warnings(&settings, note, &warnings);
	assert_int_equal(warnings.n, 2);
	assert_non_null(strstr(warnings.text, "backend_cidrs is absent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_settings_are_refused_with_a_sentence),
		cmocka_unit_test(what_only_looks_the_same_is_let_pass),
		cmocka_unit_test(a_snat_address_may_be_a_ports_with_ports_of_its_own),
		cmocka_unit_test(what_is_allowed_but_odd_is_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
