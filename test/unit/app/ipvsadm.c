// Rules of IPVS and what they become: each row is a story, what ipvsadm prints, and either services
// or the lines that are refused.
#include "ipvsadm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WEB "-A -t 192.0.2.10:80 -s "
#define POD "-a -t 192.0.2.10:80 -r 10.0.0.2:"

struct row {
	const char *story;
	const char *rules;
	const char *services; // compact JSON, members sorted
	const char
		*refused; // "LINE: sentence\n" for each; the beginning of each sentence is enough
};

// clang-format off
#define SERVICE(scheduler, more) \
	"{" more "\"name\":\"tcp-192.0.2.10-80\",\"port\":80,\"protocol\":\"tcp\"," \
	"\"scheduler\":\"" scheduler "\",\"vip\":\"192.0.2.10\"}"
#define NO_BACKENDS "\"backends\":[],"
#define BACKEND(port, weight) \
	"\"backends\":[{\"address\":\"10.0.0.2\",\"port\":" port ",\"weight\":" weight "}],"

static const struct row rows[] = {
	{"nothing is nothing", "", "[]", ""},
	{"blank lines and comments are nothing", "\n  \t\r\n# by hand\n", "[]", ""},
	{"a service", WEB "rr\n", "[" SERVICE("rr", NO_BACKENDS) "]", ""},
	{"without a newline at the end", WEB "wrr", "[" SERVICE("wrr", NO_BACKENDS) "]", ""},
	{"with the newlines of another system", WEB "lc\r\n", "[" SERVICE("lc", NO_BACKENDS) "]", ""},
	{"wlc", WEB "wlc\n", "[" SERVICE("wlc", NO_BACKENDS) "]", ""},
	{"sh", WEB "sh -b sh-fallback\n", "[" SERVICE("sh", NO_BACKENDS) "]", ""},
	{"mh is maglev", WEB "mh -b mh-fallback,mh-port\n", "[" SERVICE("maglev", NO_BACKENDS) "]", ""},
	{"ipvsadm takes wlc when none is given", "-A -t 192.0.2.10:80\n", "[" SERVICE("wlc", NO_BACKENDS) "]", ""},
	{"long words", "--add-service --tcp-service 192.0.2.10:80 --scheduler rr\n",
		"[" SERVICE("rr", NO_BACKENDS) "]", ""},
	{"-p is affinity", WEB "rr -p 360\n", "[" SERVICE("rr", "\"affinity\":\"client-ip\","
		"\"affinity_timeout\":360," NO_BACKENDS) "]", ""},
	{"-p without a number is ipvsadm's 300 s", WEB "rr -p -M 255.255.255.255\n", "[" SERVICE("rr",
		"\"affinity\":\"client-ip\",\"affinity_timeout\":300," NO_BACKENDS) "]", ""},
	{"-m is dnat", WEB "rr\n" POD "8080 -m -w 3\n",
		"[" SERVICE("rr", BACKEND("8080", "3") "\"forward\":\"dnat\",") "]", ""},
	{"-g is dsr", WEB "rr\n" POD "80 -g -w 1\n",
		"[" SERVICE("rr", BACKEND("80", "1") "\"forward\":\"dsr\",") "]", ""},
	{"-g is what ipvsadm takes without a word", WEB "rr\n" POD "80\n",
		"[" SERVICE("rr", BACKEND("80", "1") "\"forward\":\"dsr\",") "]", ""},
	{"-i is ipip", WEB "rr\n" POD "80 -i -w 65535 -x 0 -y 0\n",
		"[" SERVICE("rr", BACKEND("80", "65535") "\"forward\":\"ipip\",") "]", ""},
	{"-i says its kind", WEB "rr\n" POD "80 -i --tun-type ipip -w 1\n",
		"[" SERVICE("rr", BACKEND("80", "1") "\"forward\":\"ipip\",") "]", ""},
	{"an upper threshold", WEB "rr\n" POD "80 -m -w 1 -x 100 -y 0\n",
		"[" SERVICE("rr", "\"backends\":[{\"address\":\"10.0.0.2\",\"max_connections\":100,\"port\":80,"
		"\"weight\":1}],\"forward\":\"dnat\",") "]", ""},
	{"weight 0 is drained", WEB "rr\n" POD "80 -m -w 0\n",
		"[" SERVICE("rr", "\"backends\":[{\"address\":\"10.0.0.2\",\"draining\":true,\"port\":80,"
		"\"weight\":0}],\"forward\":\"dnat\",") "]", ""},
	{"IPv6, sorted by name", "-A -t [2001:db8::10]:443 -s rr\n-A -u 192.0.2.53:53 -s rr\n"
		"-A -t [2001:0DB8:0::9]:443 -s rr\n-a -t [2001:db8::10]:443 -r [fd00::2]:8443 -m -w 1\n",
		"[{\"backends\":[{\"address\":\"fd00::2\",\"port\":8443,\"weight\":1}],\"forward\":\"dnat\","
		"\"name\":\"tcp-2001-db8--10-443\",\"port\":443,\"protocol\":\"tcp\",\"scheduler\":\"rr\","
		"\"vip\":\"2001:db8::10\"},"
		"{\"backends\":[],\"name\":\"tcp-2001-db8--9-443\",\"port\":443,\"protocol\":\"tcp\","
		"\"scheduler\":\"rr\",\"vip\":\"2001:db8::9\"},"
		"{\"backends\":[],\"name\":\"udp-192.0.2.53-53\",\"port\":53,\"protocol\":\"udp\","
		"\"scheduler\":\"rr\",\"vip\":\"192.0.2.53\"}]", ""},

	{"a server's options on a service's line", WEB "rr -r 10.0.0.2:80 -m\n", "[]", "1: -m is a server's: it belongs to -a"},
	{"a service's options on a server's line", WEB "rr\n" POD "80 -m -s wrr\n", "[]",
		"2: -s is a service's: it belongs to -A"},
	{"an option twice", WEB "rr -s wrr\n", "[]", "1: -s stands there twice"},
	{"a server twice on a line", WEB "rr\n" POD "80 -r 10.0.0.3:80 -m\n", "[]", "2: -r stands there twice"},
	{"two ways to forward", WEB "rr\n" POD "80 -m -g\n", "[]", "2: -g stands behind another way to forward"},
	{"other schedulers", WEB "dh\n" POD "80 -g -w 1\n", "[]", "1: the scheduler dh has no counterpart"},
	{"a firewall mark; its servers are no further news", "-A -f 7 -s rr\n-a -f 7 -r 10.0.0.2:80 -g -w 1\n",
		"[]", "1: a service by firewall mark has no counterpart"},
	{"a firewall mark of IPv6", "-A -f 7 -6 -s rr\n", "[]", "1: a service by firewall mark"},
	{"SCTP", "-A --sctp-service 192.0.2.10:80 -s rr\n", "[]", "1: a service by SCTP has no counterpart"},
	{"what is well stays", "-A -f 7 -s rr\n" WEB "rr\n-A -u 192.0.2.10:80 -s sed\n",
		"[" SERVICE("rr", NO_BACKENDS) "]", "1: a service by firewall mark\n3: the scheduler sed"},
	{"all ports", "-A -t 192.0.2.10:0 -s rr -p 60\n", "[]", "1: \"192.0.2.10:0\" is no address and port"},
	{"names instead of numbers", "-A -t web:http -s rr\n", "[]", "1: \"web:http\" is no address and port"},
	{"affinity to a network", WEB "rr -p 60 -M 255.255.255.0\n", "[]", "1: affinity is to one address"},
	{"a persistence engine", WEB "rr -p 60 pe sip\n", "[]", "1: persistence engines"},
	{"one-packet scheduling", "-A -u 192.0.2.10:53 -s rr ops\n", "[]", "1: one-packet scheduling (ops)"},
	{"sh-port", WEB "sh -b sh-port\n", "[]", "1: the scheduler's flag sh-port"},
	{"another tunnel", WEB "rr\n" POD "80 -i --tun-type gue --tun-port 6080\n", "[]",
		"2: a tunnel of type gue"},
	{"a lower threshold", WEB "rr\n" POD "80 -m -w 1 -x 100 -y 80\n", "[]", "2: a lower threshold of connections (-y 80)"},
	{"an upper threshold that is no number", WEB "rr\n" POD "80 -m -w 1 -x -1\n", "[]", "2: -x takes a number from 0 to 2147483647, not \"-1\""},
	{"two ways to forward", WEB "rr\n" POD "80 -m -w 1\n-a -t 192.0.2.10:80 -r 10.0.0.3:80 -g -w 1\n", "[]",
		"3: servers before this one are forwarded to by dnat, this one by dsr"},
	{"a port that dsr cannot reach", WEB "rr\n" POD "8080 -g -w 1\n", "[]",
		"2: a server's port other than the service's"},
	{"two families", WEB "rr\n-a -t 192.0.2.10:80 -r [fd00::2]:80 -m -w 1\n", "[]",
		"2: the service and its server are one IPv4, the other IPv6"},
	{"a service twice", WEB "rr\n" WEB "rr\n", "[]", "2: the service is there twice"},
	{"a server twice", WEB "rr\n" POD "80 -m\n" POD "80 -m\n", "[]", "3: the server is there twice"},
	{"a server of nobody", POD "80 -m -w 1\n" POD "81 -m -w 1\n", "[]", "1: no line above adds the service"},
	{"a weight", WEB "rr\n" POD "80 -m -w 65536\n", "[]", "2: -w takes a number from 0 to 65535, not \"65536\""},
	{"no weight", WEB "rr\n" POD "80 -m -w\n", "[]", "2: -w needs a value"},
	{"no server", WEB "rr\n-a -t 192.0.2.10:80 -m\n", "[]", "2: -a needs a server"},
	{"no service", "-A -s rr\n", "[]", "1: no service stands there"},
	{"no command", "-t 192.0.2.10:80\n", "[]", "1: neither -A nor -a"},
	{"two commands", "-A -a -t 192.0.2.10:80\n", "[]", "1: -a stands behind another command"},
	{"two services", "-A -t 192.0.2.10:80 -u 192.0.2.10:80\n", "[]", "1: -u stands behind another service"},
	{"other commands", "-D -t 192.0.2.10:80\n", "[]", "1: \"-D\" is not among what ipvsadm -S -n prints"},
	{"a listing", "IP Virtual Server version 1.2.1 (size=4096)\n", "[]", "1: \"IP\" is not among"},
	{"an escape sequence", "\n\x1b[2J\n", "[]", "2: the byte 0x1b has no place in a rule"},
	{"other bytes", WEB "rr \xff\n", "[]", "1: the byte 0xff"},
};
// clang-format on

struct refusals {
	char text[1000];
};

static void on_refusal(void *context, unsigned line, const char *sentence)
{
	struct refusals *refusals = context;
	size_t used = strlen(refusals->text);

	snprintf(refusals->text + used, sizeof(refusals->text) - used, "%u: %s\n", line, sentence);
}

// Whether each line of `got` begins as that of `wanted` does.
static bool lines_begin_with(const char *got, const char *wanted)
{
	while (*wanted) {
		size_t length = strcspn(wanted, "\n");

		if (strncmp(got, wanted, length) != 0)
			return false;
		got = strchr(got, '\n');
		got += got ? 1 : 0;
		wanted += length + (wanted[length] == '\n');
		if (!got)
			return false;
	}
	return *got == '\0';
}

static void check(const struct row *row, const char *rules, size_t length)
{
	struct refusals refusals = {0};
	const struct ipvsadm_report report = {.refuse = on_refusal, .context = &refusals};
	json_t *services = ipvsadm_import(rules, length, false, &report);
	char *text = json_dumps(services, JSON_COMPACT | JSON_SORT_KEYS);

	if (strcmp(text, row->services) != 0 || !lines_begin_with(refusals.text, row->refused))
		fail_msg("%s\ngot     %s\nwanted  %s\nrefused %s\nwanted  %s", row->story, text,
			row->services, refusals.text, row->refused);
	free(text);
	json_decref(services);
}

static void rules_become_services_or_are_refused_by_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], rows[i].rules, strlen(rows[i].rules));
}

static void a_nul_and_a_long_line_are_refused(void **state)
{
	static const struct row nul = {"a NUL", NULL, "[]", "1: the byte 0x00"};
	static const struct row longest = {
		"a long line", NULL, "[]", "1: the line has 5000 bytes, 1023 are the most"};
	char line[5000];

	(void)state;
	check(&nul, WEB "rr\0-p 60\n", sizeof(WEB "rr\0-p 60\n") - 1);
	memset(line, ' ', sizeof(line));
	check(&longest, line, sizeof(line));
}

static void masquerade_all_makes_snat_of_m_and_of_nothing_else(void **state)
{
	static const char rules[] = WEB "rr\n" POD "8080 -m -w 1\n-A -u 192.0.2.10:80 -s rr\n"
					"-a -u 192.0.2.10:80 -r 10.0.0.2:80 -g -w 1\n";
	struct refusals refusals = {0};
	const struct ipvsadm_report report = {.refuse = on_refusal, .context = &refusals};
	json_t *services = ipvsadm_import(rules, strlen(rules), true, &report);
	json_t *tcp = json_array_get(services, 0), *udp = json_array_get(services, 1);

	(void)state;
	assert_string_equal(refusals.text, "");
	assert_string_equal(json_string_value(json_object_get(tcp, "forward")), "snat");
	assert_string_equal(json_string_value(json_object_get(udp, "forward")), "dsr");
	json_decref(services);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_become_services_or_are_refused_by_line),
		cmocka_unit_test(a_nul_and_a_long_line_are_refused),
		cmocka_unit_test(masquerade_all_makes_snat_of_m_and_of_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
