// The words of a rule, see ipvsadm_rule.h.
#include "ipvsadm_rule.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES      1024
#define MAX_WEIGHT      65535
#define MAX_PERSISTENCE (365 * 24 * 3600)
#define PERSISTENCE_S   300 // what ipvsadm takes for a -p without a number

struct reader {
	struct ipvsadm_rule *rule;
	char *rest;         // of the line
	const char *option; // as it stands there
	char *sentence;
	bool has_command, has_service, has_server, has_forward;
	uint32_t seen;          // options of the table below, by their bits
	const char *of_service; // an option that only a service has, as it stands there
	const char *of_server;  // and one that only a server has
	const char *flags;      // of the scheduler
};

__attribute__((format(printf, 2, 3))) static int refuse(
	struct reader *reader, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->sentence, IPVSADM_SENTENCE_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

// NULL at the line's end.
static char *next_word(struct reader *reader)
{
	char *word;

	do
		word = strsep(&reader->rest, " \t\r");
	while (word && !*word);
	return word;
}

static int read_value(struct reader *reader, char **ret_word)
{
	*ret_word = next_word(reader);
	return *ret_word ? 0 : refuse(reader, "%s needs a value", reader->option);
}

static int read_number(struct reader *reader, int min, int max, int *ret_number)
{
	char *word, *end;
	long number;
	int err = read_value(reader, &word);

	if (err)
		return err;
	errno = 0;
	number = strtol(word, &end, 10);
	if (*end || errno || number < min || number > max)
		return refuse(reader, "%s takes a number from %d to %d, not \"%.40s\"",
			reader->option, min, max, word);
	*ret_number = (int)number;
	return 0;
}

static int read_end_point(struct reader *reader, struct sg_addr *ret_addr, uint16_t *ret_port)
{
	char *word;
	int err = read_value(reader, &word);

	if (err)
		return err;
	if (sg_addr_port_parse(word, ret_addr, ret_port) < 0)
		return refuse(reader,
			"\"%.60s\" is no address and port from 1 to 65535, both in numbers "
			"(ipvsadm -S -n prints them so)",
			word);
	return 0;
}

// --- options ----------------------------------------------------------------------------------

static int take_command(struct reader *reader, bool is_service)
{
	if (reader->has_command)
		return refuse(reader, "%s stands behind another command", reader->option);
	reader->has_command = true;
	reader->rule->is_service = is_service;
	return 0;
}

static int take_add_service(struct reader *reader)
{
	return take_command(reader, true);
}

static int take_add_server(struct reader *reader)
{
	return take_command(reader, false);
}

// Colons have no place in a service's name.
static void make_name(struct ipvsadm_rule *rule)
{
	char address[SG_ADDR_TEXT_BYTES];

	snprintf(rule->name, sizeof(rule->name), "%s-%s-%u", rule->protocol,
		sg_addr_format(&rule->vip, address), rule->port);
	for (char *at = rule->name; *at; at++)
		*at = *at == ':' ? '-' : *at;
}

static int take_service(struct reader *reader, const char *protocol)
{
	int err;

	if (reader->has_service)
		return refuse(reader, "%s stands behind another service", reader->option);
	reader->has_service = true;
	reader->rule->protocol = protocol;
	err = read_end_point(reader, &reader->rule->vip, &reader->rule->port);
	if (!err)
		make_name(reader->rule);
	return err;
}

static int take_tcp(struct reader *reader)
{
	return take_service(reader, "tcp");
}

static int take_udp(struct reader *reader)
{
	return take_service(reader, "udp");
}

// What cannot be imported has a name, too: its servers are not complained about once more.
static int refuse_kind(struct reader *reader, const char *kind)
{
	char *word;
	int err = read_value(reader, &word);

	if (err)
		return err;
	snprintf(reader->rule->name, sizeof(reader->rule->name), "%s %s", kind, word);
	return refuse(reader,
		"a service by %s has no counterpart: give it a VIP, tcp or udp, and "
		"a port",
		kind);
}

static int take_fwmark(struct reader *reader)
{
	return refuse_kind(reader, "firewall mark");
}

static int take_sctp(struct reader *reader)
{
	return refuse_kind(reader, "SCTP");
}

static int take_scheduler(struct reader *reader)
{
	static const char *const names[][2] = {{"rr", "rr"}, {"wrr", "wrr"}, {"lc", "lc"},
		{"wlc", "wlc"}, {"sh", "sh"}, {"mh", "maglev"}};
	char *word;
	int err = read_value(reader, &word);

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i][0], word) == 0) {
			reader->rule->scheduler = names[i][1];
			return 0;
		}
	}
	return refuse(reader,
		"the scheduler %.40s has no counterpart: choose rr, wrr, lc, wlc, sh or mh", word);
}

static int take_flags(struct reader *reader)
{
	char *word;
	int err = read_value(reader, &word);

	reader->flags = word;
	return err;
}

// Without a number where the next word is an option.
static int take_persistent(struct reader *reader)
{
	const char *rest = reader->rest;

	while (rest && (*rest == ' ' || *rest == '\t' || *rest == '\r'))
		rest++;
	if (!rest || *rest < '0' || *rest > '9') {
		reader->rule->persistence_s = PERSISTENCE_S;
		return 0;
	}
	return read_number(reader, 1, MAX_PERSISTENCE, &reader->rule->persistence_s);
}

static int take_netmask(struct reader *reader)
{
	char *word;
	int err = read_value(reader, &word);

	if (err || strcmp(word, "255.255.255.255") == 0 || strcmp(word, "128") == 0)
		return err;
	return refuse(reader,
		"affinity is to one address; to a network (-M %.40s) it has no "
		"counterpart",
		word);
}

static int take_engine(struct reader *reader)
{
	return refuse(reader, "persistence engines (%s) have no counterpart", reader->option);
}

static int take_ops(struct reader *reader)
{
	return refuse(reader,
		"one-packet scheduling (%s) has no counterpart: packets of one port "
		"are one flow",
		reader->option);
}

static int take_server(struct reader *reader)
{
	reader->has_server = true;
	return read_end_point(reader, &reader->rule->real, &reader->rule->real_port);
}

static int take_forward(struct reader *reader, enum ipvsadm_forward forward)
{
	if (reader->has_forward)
		return refuse(reader, "%s stands behind another way to forward", reader->option);
	reader->has_forward = true;
	reader->rule->forward = forward;
	return 0;
}

static int take_gatewaying(struct reader *reader)
{
	return take_forward(reader, IPVSADM_GATEWAYING);
}

static int take_ipip(struct reader *reader)
{
	return take_forward(reader, IPVSADM_IPIP);
}

static int take_masquerading(struct reader *reader)
{
	return take_forward(reader, IPVSADM_MASQUERADING);
}

static int take_weight(struct reader *reader)
{
	return read_number(reader, 0, MAX_WEIGHT, &reader->rule->weight);
}

// 0 is how ipvsadm says that there is none.
static int take_upper_threshold(struct reader *reader)
{
	return read_number(reader, 0, INT32_MAX, &reader->rule->max_connections);
}

// A server that was full takes connections again as soon as it has fewer, not only below this.
static int take_lower_threshold(struct reader *reader)
{
	char *word;
	int err = read_value(reader, &word);

	if (err || strcmp(word, "0") == 0)
		return err;
	return refuse(reader, "a lower threshold of connections (%s %.20s) has no counterpart",
		reader->option, word);
}

static int take_tunnel(struct reader *reader)
{
	char *word;
	int err = read_value(reader, &word);

	if (err || strcmp(word, "ipip") == 0)
		return err;
	return refuse(reader, "a tunnel of type %.40s has no counterpart: only ipip has", word);
}

static int take_nothing(struct reader *reader)
{
	(void)reader;
	return 0;
}

enum owner {
	OF_BOTH,
	OF_SERVICE,
	OF_SERVER,
};

struct option {
	const char *letter, *name; // -t and --tcp-service
	int (*take)(struct reader *reader);
	enum owner owner; // whose it is: on another's line it would mean nothing
};

// clang-format off
static const struct option options[] = {
	{"-A", "--add-service", take_add_service, OF_BOTH},
	{"-a", "--add-server", take_add_server, OF_BOTH},
	{"-t", "--tcp-service", take_tcp, OF_BOTH},
	{"-u", "--udp-service", take_udp, OF_BOTH},
	{"-f", "--fwmark-service", take_fwmark, OF_BOTH},
	{"--sctp", "--sctp-service", take_sctp, OF_BOTH},
	{"-6", "--ipv6", take_nothing, OF_BOTH},
	{"-s", "--scheduler", take_scheduler, OF_SERVICE},
	{"-b", "--sched-flags", take_flags, OF_SERVICE},
	{"-p", "--persistent", take_persistent, OF_SERVICE},
	{"-M", "--netmask", take_netmask, OF_SERVICE},
	{"pe", "--pe", take_engine, OF_SERVICE},
	{"ops", "--ops", take_ops, OF_SERVICE},
	{"-o", "--one-packet", take_ops, OF_SERVICE},
	{"-r", "--real-server", take_server, OF_SERVER},
	{"-g", "--gatewaying", take_gatewaying, OF_SERVER},
	{"-i", "--ipip", take_ipip, OF_SERVER},
	{"-m", "--masquerading", take_masquerading, OF_SERVER},
	{"-w", "--weight", take_weight, OF_SERVER},
	{"-x", "--u-threshold", take_upper_threshold, OF_SERVER},
	{"-y", "--l-threshold", take_lower_threshold, OF_SERVER},
	{"--tun-type", "--tun-type", take_tunnel, OF_SERVER},
};
// clang-format on

static_assert(sizeof(options) / sizeof(options[0]) <= 32, "each has a bit of `seen`");

static int take_option(struct reader *reader, const struct option *option)
{
	uint32_t bit = 1u << (option - options);

	if (reader->seen & bit)
		return refuse(reader, "%s stands there twice", reader->option);
	reader->seen |= bit;
	if (option->owner == OF_SERVICE)
		reader->of_service = reader->option;
	if (option->owner == OF_SERVER)
		reader->of_server = reader->option;
	return option->take(reader);
}

static int read_option(struct reader *reader)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *option = &options[i];

		if (strcmp(option->letter, reader->option) == 0 ||
			strcmp(option->name, reader->option) == 0)
			return take_option(reader, option);
	}
	return refuse(reader, "\"%.40s\" is not among what ipvsadm -S -n prints for services",
		reader->option);
}

// --- lines ------------------------------------------------------------------------------------

// What the scheduler's flags ask for is so anyway, or it is refused. A fallback is what every
// scheduler of ours has; the port is a part of what maglev hashes and no part of what sh does.
static int check_flags(struct reader *reader)
{
	bool is_maglev = strcmp(reader->rule->scheduler, "maglev") == 0;
	char flags[LINE_BYTES], *rest = flags, *flag;

	snprintf(flags, sizeof(flags), "%s", reader->flags ? reader->flags : "");
	while ((flag = strsep(&rest, ","))) {
		if (!*flag || strcmp(flag, is_maglev ? "mh-fallback" : "sh-fallback") == 0 ||
			(is_maglev && strcmp(flag, "mh-port") == 0))
			continue;
		return refuse(reader, "the scheduler's flag %.40s has no counterpart", flag);
	}
	return 0;
}

static int check_server(struct reader *reader)
{
	const struct ipvsadm_rule *rule = reader->rule;

	if (!reader->has_server)
		return refuse(reader, "-a needs a server: -r ADDR:PORT");
	if (rule->real.family != rule->vip.family)
		return refuse(reader, "the service and its server are one IPv4, the other IPv6");
	if (rule->forward != IPVSADM_MASQUERADING && rule->real_port != rule->port)
		return refuse(reader,
			"a server's port other than the service's is only possible with -m");
	return 0;
}

static int check_rule(struct reader *reader)
{
	if (!reader->has_command)
		return refuse(reader, "neither -A nor -a stands there");
	if (!reader->has_service)
		return refuse(reader, "no service stands there: -t or -u with ADDR:PORT");
	if (reader->rule->is_service && reader->of_server)
		return refuse(reader, "%s is a server's: it belongs to -a", reader->of_server);
	if (!reader->rule->is_service && reader->of_service)
		return refuse(reader, "%s is a service's: it belongs to -A", reader->of_service);
	return reader->rule->is_service ? check_flags(reader) : check_server(reader);
}

static int check_bytes(struct reader *reader, const char *text, size_t length)
{
	if (length >= LINE_BYTES)
		return refuse(
			reader, "the line has %zu bytes, %d are the most", length, LINE_BYTES - 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if ((byte < ' ' && byte != '\t' && byte != '\r') || byte >= 0x7f)
			return refuse(reader, "the byte 0x%02x has no place in a rule", byte);
	}
	return 0;
}

int ipvsadm_rule_parse(
	struct ipvsadm_rule *ret_rule, const char *text, size_t length, char *ret_sentence)
{
	struct reader reader = {.rule = ret_rule, .sentence = ret_sentence};
	char line[LINE_BYTES], later[IPVSADM_SENTENCE_BYTES];
	bool is_empty = true;
	int err, first = 0;

	*ret_rule = (struct ipvsadm_rule){.scheduler = "wlc", .weight = 1};
	err = check_bytes(&reader, text, length);
	if (err)
		return err;
	memcpy(line, text, length);
	line[length] = '\0';
	reader.rest = line;
	// All of it is read, even behind what is refused: so that the service gets its name.
	while ((reader.option = next_word(&reader)) && (!is_empty || reader.option[0] != '#')) {
		is_empty = false;
		err = read_option(&reader);
		if (err && !first) {
			first = err;
			reader.sentence = later;
		}
	}
	return first || is_empty ? first : check_rule(&reader);
}
