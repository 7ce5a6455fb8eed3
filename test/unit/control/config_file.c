// The config file: what good ones say, and the line and sentence with which bad ones are refused.
#include "control/config_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Too large for the stack.
static struct sg_settings settings;

// libconfig 1.5 loses the strings that it has read when it refuses a file. The daemon exits then.
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

#define PORTS \
	"ports: ( { name = \"p0\"; device = \"net_tap0\"; addresses = [\"198.51.100.11/24\"]; } );\n"
#define SNAT "snat: { addresses = [\"10.0.0.100\"]; };\n"
#define WEB  "name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80;"

static int read_text(const char *text, struct sg_state *ret_state, struct sg_error *error)
{
	return sg_config_file_read_text(text, strlen(text), &settings, ret_state, error);
}

// clang-format off
static const struct {
	const char *text;
	int line;
	const char *sentence; // how it begins
} bad[] = {
	// The format itself.
	{"", 1, "the file lacks the key \"ports\""},
	{"ports = (", 1, "syntax error"},
	{"\n\nports: ( { name = \"p0\"; device = \"x\"; }, );\n", 3,
		"syntax error: take away the comma before the closing bracket"},
	{PORTS "dataplane: {\n workers = [1,2,\n];\n};", 4,
		"syntax error: take away the comma before the closing bracket"},
	{"/* never closed\n" PORTS, 1, "a comment /* is never closed"},
	{PORTS "control: { socket = \"/run/x;\n };\n", 2, "the string that begins here is never closed"},
	{"@include \"/etc/passwd\"\n", 1, "@include is not supported"},
	{PORTS "dataplane: { flows_per_worker = 4294967296; };", 2,
		"the integer 4294967296 does not fit into 32 bits: write 4294967296L"},
	{PORTS "dataplane: { maglev_seed = 99999999999999999999; };", 2,
		"the integer 99999999999999999999 does not fit into 64 bits"},
	{PORTS "services = ();\nservices = ();", 3, "duplicate setting name"},
	{PORTS "dataplane: { workers = [1, \"2\"]; };", 2, "mismatched element type in array"},

	// Keys and types.
	{PORTS "worker = [1];", 2, "worker is an unknown key (known here: dataplane, ports, snat,"},
	{PORTS "dataplane: {\n poll = \"busy\";\n polling = 1; };", 4, "dataplane.polling is an unknown key"},
	{PORTS "dataplane = 5;", 2, "dataplane must be a group { }, not an integer"},
	{PORTS "dataplane: { workers = 1; };", 2, "dataplane.workers must be an array or a list of CPU numbers, not an integer"},
	{PORTS "dataplane: { workers = []; };", 2, "dataplane.workers must name at least one CPU"},
	{PORTS "dataplane: { workers = [1,\n-1]; };", 3, "dataplane.workers[1] must be from 0 to 1023, not -1"},
	{PORTS "dataplane: { control_cpu = 1.5; };", 2, "dataplane.control_cpu must be an integer, not a number with a fraction"},
	{PORTS "dataplane: { flows_per_worker = 100; };", 2, "dataplane.flows_per_worker must be from 1024 to 268435456, not 100"},
	{PORTS "dataplane: { hugepages = 1; };", 2, "dataplane.hugepages must be true or false, not an integer"},
	{PORTS "dataplane: { poll = \"fast\"; };", 2, "dataplane.poll must be \"busy\" or \"adaptive\", not \"fast\""},
	{PORTS "dataplane: { unserved = \"ignore\"; };", 2, "dataplane.unserved must be \"drop\" or \"reject\", not \"ignore\""},
	{PORTS "dataplane: { instance = \"\"; };", 2, "dataplane.instance must not be empty"},
	{PORTS "dataplane: {\n instance = \"a b\"; };", 3, "dataplane.instance \"a b\" is not a name"},
	{PORTS "timeouts: { tcp = -1; };", 2, "timeouts.tcp must be from 0 to 604800, not -1"},
	{PORTS "timeouts: { tcp = \"900\"; };", 2, "timeouts.tcp must be an integer, not a string"},

	// Ports.
	{"ports: ( );", 1, "ports must have at least one port"},
	{"ports: ( { device = \"x\"; } );", 1, "ports[0] lacks the key \"name\""},
	{"ports: (\n { name = \"p0\"; } );", 2, "port 'p0' has no device"},
	{"ports: ( { name = \"v\"; parent = \"p0\"; vlan = 4095; } );", 1, "ports[0].vlan must be from 1 to 4094, not 4095"},
	{"ports: ( { name = \"p0\"; device = \"x\"; },\n { name = \"v\"; parent = \"p1\"; vlan = 1; } );", 2, "port 'v': its parent \"p1\" is no port with a device"},
	{"ports: ( { name = \"v\"; parent = \"v\"; vlan = 1; } );", 1, "port 'v': its parent \"v\" is no port with a device"},
	{"ports: ( { name = \"p0\"; device = \"x\"; vlan = 1; } );", 1, "port 'p0': a VLAN has a `parent` and no `device` of its own"},
	{"ports: ( { name = \"p0\"; device = \"x\"; },\n { name = \"v\"; parent = \"p0\"; } );", 2, "port 'v': `vlan` and `parent` belong together"},
	{"ports: ( { name = \"p0\"; device = \"x\"; },\n { name = \"v\"; parent = \"p0\"; vlan = 7; },\n { name = \"w\"; parent = \"p0\"; vlan = 7; } );", 3,
		"ports 'v' and 'w' are the same VLAN 7 of port 'p0'"},
	{"ports: ( { name = \"p0\"; device = \"x\"; },\n { name = \"v\"; parent = \"p0\"; vlan = 7; mtu = 9000; } );", 2,
		"port 'v': mtu is 9000, more than the 1500 of its parent 'p0'"},
	{"ports: ( { name = \"a-rather-long-name\"; device = \"x\"; } );", 1,
		"ports[0] lacks the key \"twin\", and \"sg-a-rather-long-name\" is too long"},
	{"ports: ( { name = \"p0\"; device = \"x\"; mtu = 100; } );", 1, "ports[0].mtu must be from 576 to 64000, not 100"},
	{"ports: ( { name = \"p0\"; device = \"x\"; addresses = [\"198.51.100.11\"]; } );", 1,
		"ports[0].addresses[0] must be an address with its prefix length"},
	{"ports: ( { name = \"p0\"; device = \"x\"; },\n { name = \"p0\"; device = \"y\"; } );", 2, "two ports are named 'p0'"},

	// SNAT.
	{PORTS "snat: { addresses = [\"10.0.0.9-10.0.0.1\"]; };", 2, "snat.addresses[0] is a range that ends before it begins"},
	{PORTS "snat: { addresses = [\"10.0.0.0-10.0.255.255\"]; };", 2, "snat.addresses[0] brings more than 256 SNAT addresses"},
	{PORTS "snat: { addresses = [\"10.0.0.0/24\"]; };", 2, "snat.addresses[0] must be an address, or a range"},
	{PORTS "snat: { addresses = [\"198.51.100.11\"]; };", 2, "SNAT address 198.51.100.11 is an address of port 'p0'"},
	{PORTS "snat: { ports = [1024]; };", 2, "snat.ports must be [MIN, MAX]"},
	{PORTS "snat: { ports = [2048, 1024]; };", 2, "snat.ports must be [MIN, MAX], and 2048 is above 1024"},

	// The policy for all services.
	{PORTS "policy: { deny = [\"10.0.0.1/8\"]; };", 2, "policy.deny[0] must be a prefix such as"},
	{PORTS "policy: { allow = \"10.0.0.0/8\"; };", 2, "policy.allow must be an array or a list of prefixes"},
	{PORTS "policy: { reject = []; };", 2, "policy.reject is an unknown key"},

	// Control.
	{PORTS "control: { mode = 0660; };", 2,
		"control.mode is a string of octal digits such as \"0660\": libconfig has no octal integers"},
	{PORTS "control: { mode = \"0888\"; };", 2, "control.mode must be a string of octal digits"},
	{PORTS "control: { mode = \"rw\"; };", 2, "control.mode must be a string of octal digits"},
	{PORTS "control: { mode = \"07777\"; };", 2, "control.mode must be a string of octal digits"},
	{PORTS "control: { socket = 5; };", 2, "control.socket must be a string, not an integer"},
	{PORTS "control:\n{ socket = \"relative\"; };", 3, "control.socket \"relative\" must be an absolute path"},

	// Services.
	{PORTS "services: ( { name = \"web\"; } );", 2, "services[0] lacks the key \"vip\""},
	{PORTS "services = 1;", 2, "services must be an array or a list of services, not an integer"},
	{PORTS "services: ( 5 );", 2, "services[0] must be a group { }, not an integer"},
	{PORTS "services: ( { " WEB " color = \"red\"; } );", 2, "services[0].color is an unknown key"},
	{PORTS "services: ( { name = \"web\"; vip = \"192.0.2\"; protocol = \"tcp\"; port = 80; } );", 2,
		"services[0].vip must be an IPv4 or IPv6 address, not \"192.0.2\""},
	{PORTS "services: ( { name = \"web\"; vip = [\"192.0.2.1\", \"192.0.2.2\"]; protocol = \"tcp\"; port = 80; } );", 2,
		"services[0].vip must be one address, or an array of one IPv4 and one IPv6 address"},
	{PORTS "services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"sctp\"; port = 80; } );", 2,
		"services[0].protocol must be \"tcp\" or \"udp\", not \"sctp\""},
	{PORTS "services: ( { name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 0; } );", 2,
		"services[0].port must be from 1 to 65535, not 0"},
	{PORTS "services: ( { " WEB " scheduler = \"random\"; } );", 2,
		"services[0].scheduler must be \"maglev\", \"rr\", \"wrr\", \"lc\", \"wlc\" or \"sh\", not \"random\""},
	{PORTS "services: ( { " WEB " maglev_table_size = 4000; } );", 2, "service 'web': maglev_table_size is 4000"},
	{PORTS "services: ( { " WEB " allow = [\"10.0.0.1/8\"]; } );", 2,
		"services[0].allow[0] must be a prefix such as 10.0.0.0/8 without host bits"},
	{PORTS "services: ( { " WEB " },\n\n { " WEB " } );", 4, "services[1] repeats the name \"web\" of line 2"},
	{PORTS "services: ( { " WEB " },\n { name = \"web2\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; port = 80; } );", 3,
		"service 'web2' (of owner 'config') has the VIP, protocol and port of service 'web'"},
	{PORTS "services: (\n{ name = \"web\"; vip = \"198.51.100.11\"; protocol = \"tcp\"; port = 80; } );", 3,
		"service 'web': VIP 198.51.100.11 is an address of port 'p0'"},
	{PORTS SNAT "services: ( { name = \"web\"; vip = \"10.0.0.100\"; protocol = \"tcp\"; port = 80; } );", 3,
		"service 'web': VIP 10.0.0.100 is a SNAT address"},
	{PORTS SNAT "services: ( { " WEB " backends = (\n{ port = 1; } ); } );", 4, "services[0].backends[0] lacks the key \"address\""},
	{PORTS SNAT "services: ( { " WEB " backends = (\n{ address = \"10.0.0.2\"; weight = 65536; } ); } );", 4,
		"services[0].backends[0].weight must be from 0 to 65535, not 65536"},
	{PORTS SNAT "services: ( { " WEB " backends = ( { address = \"10.0.0.2\"; },\n{ address = \"10.0.0.2\"; port = 80; } ); } );", 4,
		"services[0].backends[1] repeats the backend 10.0.0.2 port 80 of service 'web'"},
	{PORTS "services: ( { " WEB " backends = (\n{ address = \"10.0.0.2\"; } ); } );", 3,
		"backend 10.0.0.2:80 of service 'web' needs an IPv4 SNAT address"},
	{PORTS SNAT "backend_cidrs = [\"10.1.0.0/16\"];\nservices: ( { " WEB " backends = (\n{ address = \"10.0.0.2\"; } ); } );", 5,
		"backend 10.0.0.2:80 of service 'web' (of owner 'config') lies outside backend_cidrs (10.1.0.0/16)"},
	{PORTS "backend_cidrs = [5];", 2, "backend_cidrs[0] must be a string, not an integer"},
};
// clang-format on

static void bad_files_are_refused_with_line_and_sentence(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sg_state state = {.n_services = 77};
		struct sg_error error = {0};

		if (read_text(bad[i].text, &state, &error) == 0)
			fail_msg("not refused: %s", bad[i].text);
		if (strncmp(error.text, bad[i].sentence, strlen(bad[i].sentence)) != 0 ||
			error.line != bad[i].line)
			fail_msg("%s\n  is refused as %d: %s\n  and not as  %d: %s", bad[i].text,
				error.line, error.text, bad[i].line, bad[i].sentence);
		// Outputs are untouched on failure.
		assert_int_equal(state.n_services, 77);
	}
}

static void absent_keys_have_their_defaults(void **unused)
{
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	assert_int_equal(read_text("ports: ( { name = \"p0\"; device = \"0000:3b:00.0\"; } );",
				 &state, &error),
		0);
	assert_string_equal(settings.instance, "stormgate");
	assert_int_equal(settings.n_workers, 0);
	assert_int_equal(settings.control_cpu, -1);
	assert_int_equal(settings.flows_per_worker, 1048576);
	assert_true(settings.hugepages);
	assert_int_equal(settings.poll, SG_POLL_BUSY);
	assert_int_equal(settings.unserved, SG_UNSERVED_DROP);
	assert_int_equal(settings.n_ports, 1);
	assert_string_equal(settings.ports[0].twin, "sg-p0");
	assert_int_equal(settings.ports[0].mtu, 1500);
	assert_int_equal(settings.n_snat_addresses, 0);
	assert_int_equal(settings.timeouts.tcp, 900);
	assert_string_equal(settings.socket_path, "/run/stormgate/stormgate.sock");
	assert_int_equal(settings.socket_mode, 0660);
	assert_string_equal(settings.socket_group, "");
	assert_false(settings.backend_cidrs_given);
	assert_int_equal(state.n_services, 0);
	sg_state_fini(&state);
}

static void every_value_arrives(void **unused)
{
	static const char text[] =
		"dataplane: { instance = \"lab\"; workers = (2, 2, 3); control_cpu = 1; "
		"flows_per_worker = 4096; hugepages = false; unserved = \"reject\"; "
		"maglev_seed = 5000000000L; };\n"
		"ports = ( { name = \"p0\"; device = \"net_tap0\"; twin = \"tw0\"; mtu = 9000; "
		"addresses = (\"198.51.100.11/24\", \"fd00::1/64\"); }, "
		"{ name = \"v7\"; parent = \"p0\"; vlan = 7; } );\n"
		"snat: { addresses = [\"10.0.0.254-10.0.1.1\", \"10.0.9.9\"]; ports = [40000, 50000]; };\n"
		"timeouts: { syn = 1; tcp = 2; tcp_half_closed = 3; tcp_fin = 4; udp_new = 5; udp = 6; "
		"drain = 0; };\n"
		"control: { socket = \"/tmp/s\"; mode = \"600\"; group = \"adm\"; };\n"
		"backend_cidrs = [];\n"
		"policy: { allow = [\"10.0.0.0/8\"]; deny = [\"10.1.0.0/16\", \"fd00::/8\"]; };\n"
		"services: ( { name = \"dns\"; vip = \"192.0.2.53\"; protocol = \"udp\"; port = 53; "
		"scheduler = \"wlc\"; allow = [\"10.0.0.0/8\", \"192.0.2.1\"]; announce = \"never\"; } );\n";
	struct sg_error error = {0};
	struct sg_state state;
	char addr[SG_ADDR_TEXT_BYTES];
	const struct sg_service_spec *spec;

	(void)unused;
	if (read_text(text, &state, &error) != 0)
		fail_msg("%d: %s", error.line, error.text);
	assert_string_equal(settings.instance, "lab");
	assert_int_equal(settings.n_workers, 3);
	assert_int_equal(settings.workers[2], 3);
	assert_int_equal(settings.control_cpu, 1);
	assert_int_equal(settings.flows_per_worker, 4096);
	assert_false(settings.hugepages);
	assert_int_equal(settings.poll, SG_POLL_ADAPTIVE); // follows hugepages
	assert_int_equal(settings.unserved, SG_UNSERVED_REJECT);
	assert_true(settings.maglev_seed == 5000000000ull);
	assert_string_equal(settings.ports[0].twin, "tw0");
	assert_int_equal(settings.ports[0].mtu, 9000);
	assert_int_equal(settings.ports[0].n_addresses, 2);
	assert_int_equal(settings.n_ports, 2);
	assert_int_equal(settings.ports[1].vlan, 7);
	assert_int_equal(settings.ports[1].parent, 0);
	assert_int_equal(settings.ports[1].mtu, 9000); // its parent's
	assert_string_equal(settings.ports[1].twin, "sg-v7");
	assert_int_equal(settings.ports[0].addresses[0].length, 24);
	assert_string_equal(
		sg_addr_format(&settings.ports[0].addresses[0].addr, addr), "198.51.100.11");
	assert_int_equal(settings.n_snat_addresses, 5);
	assert_string_equal(sg_addr_format(&settings.snat_addresses[2], addr), "10.0.1.0");
	assert_string_equal(sg_addr_format(&settings.snat_addresses[4], addr), "10.0.9.9");
	assert_int_equal(settings.snat_port_min, 40000);
	assert_int_equal(settings.snat_port_max, 50000);
	assert_int_equal(settings.timeouts.syn, 1);
	assert_int_equal(settings.timeouts.tcp_half_closed, 3);
	assert_int_equal(settings.timeouts.drain, 30); // 0: the default
	assert_int_equal(settings.socket_mode, 0600);
	assert_string_equal(settings.socket_group, "adm");
	assert_true(settings.backend_cidrs_given);
	assert_int_equal(settings.n_backend_cidrs, 0);
	assert_non_null(state.policy);
	assert_false(state.policy->spec.allow_everyone);
	assert_int_equal(state.policy->spec.n_allow, 1);
	assert_int_equal(state.policy->spec.n_deny, 2);
	assert_int_equal(state.policy->line, 7);
	spec = sg_state_find(&state, "dns");
	assert_non_null(spec);
	assert_string_equal(spec->owner, "config");
	assert_int_equal(spec->line, 8);
	assert_int_equal(spec->scheduler, SG_SCHEDULER_WLC);
	assert_int_equal(spec->announce, SG_ANNOUNCE_NEVER);
	assert_false(spec->policy.allow_everyone);
	assert_int_equal(spec->policy.n_allow, 2);
	sg_state_fini(&state);
}

static void a_backend_takes_the_port_that_stands_below_it(void **unused)
{
	struct sg_error error;
	struct sg_state state;
	const struct sg_service_spec *spec;

	(void)unused;
	assert_int_equal(
		read_text(PORTS SNAT "services: ( { backends = ( { address = \"10.0.0.2\"; } );"
				     "name = \"web\"; vip = \"192.0.2.10\"; protocol = \"tcp\"; "
				     "port = 8081; } );",
			&state, &error),
		0);
	spec = sg_state_find(&state, "web");
	assert_int_equal(spec->n_backends, 1);
	assert_int_equal(spec->backends[0].port, 8081);
	assert_int_equal(spec->backends[0].weight, 1);
	sg_state_fini(&state);
}

static void bytes_that_are_no_text_are_refused(void **unused)
{
	static const char bytes[] = PORTS "\0more";
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	assert_int_equal(
		sg_config_file_read_text(bytes, sizeof(bytes) - 1, &settings, &state, &error),
		-EINVAL);
	assert_non_null(strstr(error.text, "NUL"));
	assert_int_equal(error.line, 2);
}

static void unreadable_files_are_refused(void **unused)
{
	struct sg_error error;
	struct sg_state state;

	(void)unused;
	assert_int_equal(
		sg_config_file_read("/nonexistent/x.conf", &settings, &state, &error), -ENOENT);
	assert_string_equal(error.text, "cannot be opened: No such file or directory");
	assert_int_equal(sg_config_file_read("/", &settings, &state, &error), -EISDIR);
	assert_string_equal(error.text, "cannot be read: Is a directory");
}

static char *source_path(const char *file)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	char *path;

	assert_non_null(root);
	assert_true(asprintf(&path, "%s/conf/%s", root, file) > 0);
	return path;
}

static void the_files_that_we_ship_load(void **unused)
{
	static const char *const files[] = {"minimal.conf", "stormgate.conf"};

	(void)unused;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct sg_error error = {0};
		struct sg_state state;
		char *path = source_path(files[i]);

		if (sg_config_file_read(path, &settings, &state, &error) != 0)
			fail_msg("%s:%d: %s", path, error.line, error.text);
		sg_state_fini(&state);
		free(path);
	}
}

// Whether "KEY =" or "KEY:" stands in the text, in a comment or not.
static bool has_key(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *at = text; (at = strstr(at, key)); at++) {
		const char *behind = at + length + strspn(at + length, " ");
		bool begins = at == text || strchr(" \t\n", at[-1]);

		if (begins && (*behind == '=' || *behind == ':'))
			return true;
	}
	return false;
}

static void expect_key(void *text, const char *path)
{
	const char *dot = strrchr(path, '.');

	if (!has_key(text, dot ? dot + 1 : path))
		fail_msg("conf/stormgate.conf does not show the key %s", path);
}

static void the_commented_file_shows_every_key(void **unused)
{
	char *path = source_path("stormgate.conf");
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 65536);

	(void)unused;
	assert_non_null(file);
	assert_true(fread(text, 1, 65535, file) > 0);
	sg_config_file_each_key(expect_key, text);
	fclose(file);
	free(text);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_refused_with_line_and_sentence),
		cmocka_unit_test(absent_keys_have_their_defaults),
		cmocka_unit_test(every_value_arrives),
		cmocka_unit_test(a_backend_takes_the_port_that_stands_below_it),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(unreadable_files_are_refused),
		cmocka_unit_test(the_files_that_we_ship_load),
		cmocka_unit_test(the_commented_file_shows_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
