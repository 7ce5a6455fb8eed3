// The config file's tables, and the way from bytes to settings and state; see config_file.h.
#include "control/config_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/config_reader.h"
#include "control/config_service.h"
#include "control/config_text.h"
#include "service/validate.h"

#define MAX_FILE_BYTES (64u << 20)
#define MAX_CPU        1023
#define MAX_SECONDS    604800 // a week
#define DEFAULT_MTU    1500

static_assert(sizeof(enum sg_poll) == sizeof(unsigned), "sg_config_read_choice stores an unsigned");

struct document {
	struct sg_settings settings;
	struct sg_state state;
};

static int read_workers(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_settings *settings = field;
	unsigned n;

	(void)key;
	if (sg_config_get_length(setting, SG_MAX_WORKERS, "CPU numbers", &n, error) < 0)
		return -EINVAL;
	if (n == 0)
		return sg_config_refuse(setting, error, "must name at least one CPU");
	for (unsigned i = 0; i < n; i++) {
		uint64_t cpu;

		if (sg_config_get_integer(
			    config_setting_get_elem(setting, i), 0, MAX_CPU, &cpu, error) < 0)
			return -EINVAL;
		settings->workers[i] = (unsigned)cpu;
	}
	settings->n_workers = n;
	return 0;
}

static int read_poll(const struct sg_config_key *key, const config_setting_t *setting, void *field,
	struct sg_error *error)
{
	struct sg_settings *settings = field;

	settings->poll_given = true;
	return sg_config_read_choice(key, setting, &settings->poll, error);
}

static int read_port_addresses(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_port_settings *port = field;
	unsigned n;

	(void)key;
	if (sg_config_get_length(setting, SG_MAX_PORT_ADDRESSES, "addresses", &n, error) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(setting, i);
		struct sg_prefix prefix;
		const char *text;

		if (sg_config_get_text(element, &text, error) < 0)
			return -EINVAL;
		if (!strchr(text, '/') ||
			sg_prefix_parse(text, &prefix, &port->addresses[i].addr) < 0)
			return sg_config_refuse(element, error,
				"must be an address with its prefix length such as "
				"198.51.100.11/24, not \"%.60s\"",
				text);
		port->addresses[i].length = prefix.length;
	}
	port->n_addresses = n;
	return 0;
}

// clang-format off
#define PORT(field) .offset = offsetof(struct sg_port_settings, field)
static const struct sg_config_key port_keys[] = {
	SG_CONFIG_KEY("name", sg_config_read_string, PORT(name), .max = SG_MAX_NAME_BYTES, .required = true),
	SG_CONFIG_KEY("device", sg_config_read_string, PORT(device), .max = 256),
	SG_CONFIG_KEY("parent", sg_config_read_string, PORT(parent_name), .max = SG_MAX_NAME_BYTES),
	SG_CONFIG_KEY("vlan", sg_config_read_u16, PORT(vlan), .min = 1, .max = SG_MAX_VLAN),
	SG_CONFIG_KEY("twin", sg_config_read_string, PORT(twin), .max = 16),
	SG_CONFIG_KEY("addresses", read_port_addresses),
	SG_CONFIG_KEY("mtu", sg_config_read_u16, PORT(mtu), .min = 576, .max = SG_MAX_MTU),
	SG_CONFIG_END,
};
static const struct sg_config_key port_block = {.keys = port_keys};
// clang-format on

static int read_port(
	struct sg_port_settings *port, const config_setting_t *setting, struct sg_error *error)
{
	int err;

	port->line = (int)config_setting_source_line(setting);
	err = sg_config_read_group(&port_block, setting, port, error);
	if (err || port->twin[0])
		return err;
	if (strlen(port->name) + 4 > sizeof(port->twin))
		return sg_config_refuse(setting, error,
			"lacks the key \"twin\", and \"sg-%s\" is too long for an interface's name",
			port->name);
	memcpy(port->twin, "sg-", 3);
	strcpy(port->twin + 3, port->name);
	return 0;
}

// Finds a VLAN's device. One that is not there is left for validation to name.
static void join_parent(const struct sg_settings *settings, struct sg_port_settings *port)
{
	unsigned parent = 0;

	while (parent < settings->n_ports &&
		(!port->parent_name[0] ||
			strcmp(settings->ports[parent].name, port->parent_name) != 0))
		parent++;
	port->parent = (uint8_t)parent;
	if (port->mtu == 0)
		port->mtu = parent < settings->n_ports && settings->ports[parent].mtu
				    ? settings->ports[parent].mtu
				    : DEFAULT_MTU;
}

static int read_ports(const struct sg_config_key *key, const config_setting_t *setting, void *field,
	struct sg_error *error)
{
	struct sg_settings *settings = field;
	unsigned n;

	(void)key;
	if (sg_config_get_length(setting, SG_MAX_PORTS, "ports", &n, error) < 0)
		return -EINVAL;
	if (n == 0)
		return sg_config_refuse(setting, error, "must have at least one port");
	for (unsigned i = 0; i < n; i++) {
		int err =
			read_port(&settings->ports[i], config_setting_get_elem(setting, i), error);

		if (err)
			return err;
	}
	settings->n_ports = n;
	for (unsigned i = 0; i < n; i++)
		join_parent(settings, &settings->ports[i]);
	return 0;
}

// The address `offset` behind `first`; wraps beyond the family's last.
static struct sg_addr add_to_address(const struct sg_addr *first, unsigned offset)
{
	struct sg_addr addr = *first;

	for (unsigned i = sg_family_bits(addr.family) / 8; i-- > 0 && offset;) {
		offset += addr.bytes[i];
		addr.bytes[i] = (uint8_t)offset;
		offset >>= 8;
	}
	return addr;
}

// One address, or FIRST-LAST. Appends to the settings.
static int read_snat_range(
	struct sg_settings *settings, const config_setting_t *setting, struct sg_error *error)
{
	char head[SG_ADDR_TEXT_BYTES];
	struct sg_addr first, last, addr;
	const char *text, *dash;
	size_t length;

	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	dash = strchr(text, '-');
	length = dash ? (size_t)(dash - text) : strlen(text);
	snprintf(head, sizeof(head), "%.*s", length < sizeof(head) ? (int)length : 0, text);
	if (sg_addr_parse(head, &first) < 0 || sg_addr_parse(dash ? dash + 1 : head, &last) < 0)
		return sg_config_refuse(setting, error,
			"must be an address, or a range such as 10.0.0.100-10.0.0.103, not \"%.60s\"",
			text);
	if (first.family != last.family || sg_addr_compare(&first, &last) > 0)
		return sg_config_refuse(setting, error, "is a range that ends before it begins");
	for (unsigned i = 0;; i++) {
		if (settings->n_snat_addresses == SG_MAX_SNAT_ADDRESSES)
			return sg_config_refuse(setting, error,
				"brings more than %d SNAT addresses", SG_MAX_SNAT_ADDRESSES);
		addr = add_to_address(&first, i);
		settings->snat_addresses[settings->n_snat_addresses++] = addr;
		if (sg_addr_equal(&addr, &last))
			return 0;
	}
}

static int read_snat_addresses(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_settings *settings = field;
	unsigned n;

	(void)key;
	if (sg_config_get_length(
		    setting, SG_MAX_SNAT_ADDRESSES, "SNAT addresses or ranges", &n, error) < 0)
		return -EINVAL;
	settings->snat_line = (int)config_setting_source_line(setting);
	for (unsigned i = 0; i < n; i++) {
		if (read_snat_range(settings, config_setting_get_elem(setting, i), error) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_snat_ports(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_settings *settings = field;
	uint64_t min, max;
	unsigned n;

	(void)key;
	if (sg_config_get_length(setting, 2, "ports", &n, error) < 0)
		return -EINVAL;
	if (n != 2)
		return sg_config_refuse(setting, error, "must be [MIN, MAX]");
	if (sg_config_get_integer(config_setting_get_elem(setting, 0), 1, 65535, &min, error) < 0 ||
		sg_config_get_integer(config_setting_get_elem(setting, 1), 1, 65535, &max, error) <
			0)
		return -EINVAL;
	if (min > max)
		return sg_config_refuse(setting, error, "must be [MIN, MAX], and %u is above %u",
			(unsigned)min, (unsigned)max);
	settings->snat_port_min = (uint16_t)min;
	settings->snat_port_max = (uint16_t)max;
	settings->snat_ports_given = true;
	return 0;
}

static int read_mode(const struct sg_config_key *key, const config_setting_t *setting, void *field,
	struct sg_error *error)
{
	int type = config_setting_type(setting);
	const char *text;
	char *end;
	unsigned long mode;

	(void)key;
	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		return sg_config_refuse(setting, error,
			"is a string of octal digits such as \"0660\": libconfig has no octal integers");
	if (sg_config_get_text(setting, &text, error) < 0)
		return -EINVAL;
	mode = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end || strlen(text) > 4 || mode > 0777)
		return sg_config_refuse(setting, error,
			"must be a string of octal digits from \"0\" to \"0777\", not \"%.20s\"",
			text);
	*(mode_t *)field = (mode_t)mode;
	return 0;
}

static int add_backend_cidr(void *context, const struct sg_prefix *prefix)
{
	struct sg_settings *settings = context;

	settings->backend_cidrs[settings->n_backend_cidrs++] = *prefix;
	return 0;
}

static int read_backend_cidrs(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_settings *settings = field;

	(void)key;
	settings->backend_cidrs_given = true;
	return sg_config_read_prefixes(
		setting, SG_MAX_BACKEND_CIDRS, add_backend_cidr, settings, error);
}

// clang-format off
#define SETTING(field) .offset = offsetof(struct sg_settings, field)
static const struct sg_config_key dataplane_keys[] = {
	SG_CONFIG_KEY("instance", sg_config_read_string, SETTING(instance), .max = SG_MAX_NAME_BYTES),
	SG_CONFIG_KEY("workers", read_workers),
	SG_CONFIG_KEY("control_cpu", sg_config_read_int, SETTING(control_cpu), .max = MAX_CPU),
	SG_CONFIG_KEY("flows_per_worker", sg_config_read_u32, SETTING(flows_per_worker), .min = 1024, .max = 1u << 28),
	SG_CONFIG_KEY("hugepages", sg_config_read_bool, SETTING(hugepages)),
	SG_CONFIG_KEY("poll", read_poll, .words = sg_words_poll),
	SG_CONFIG_KEY("unserved", sg_config_read_choice, SETTING(unserved), .words = sg_words_unserved),
	SG_CONFIG_KEY("maglev_seed", sg_config_read_u64, SETTING(maglev_seed), .max = INT64_MAX),
	SG_CONFIG_END,
};

static const struct sg_config_key snat_keys[] = {
	SG_CONFIG_KEY("addresses", read_snat_addresses),
	SG_CONFIG_KEY("ports", read_snat_ports),
	SG_CONFIG_END,
};

#define SECONDS(field) sg_config_read_seconds, SETTING(timeouts.field), .max = MAX_SECONDS
static const struct sg_config_key timeouts_keys[] = {
	SG_CONFIG_KEY("syn", SECONDS(syn)),
	SG_CONFIG_KEY("tcp", SECONDS(tcp)),
	SG_CONFIG_KEY("tcp_half_closed", SECONDS(tcp_half_closed)),
	SG_CONFIG_KEY("tcp_fin", SECONDS(tcp_fin)),
	SG_CONFIG_KEY("udp_new", SECONDS(udp_new)),
	SG_CONFIG_KEY("udp", SECONDS(udp)),
	SG_CONFIG_KEY("drain", SECONDS(drain)),
	SG_CONFIG_END,
};

static const struct sg_config_key control_keys[] = {
	// One byte less than fits: the socket is made under a name that is one longer (server.c).
	SG_CONFIG_KEY("socket", sg_config_read_string, SETTING(socket_path), .max = 107),
	SG_CONFIG_KEY("mode", read_mode, SETTING(socket_mode)),
	SG_CONFIG_KEY("group", sg_config_read_string, SETTING(socket_group), .max = 64),
	SG_CONFIG_KEY("monitor_socket", sg_config_read_string, SETTING(monitor_path), .max = 107),
	SG_CONFIG_KEY("monitor_mode", read_mode, SETTING(monitor_mode)),
	SG_CONFIG_KEY("monitor_group", sg_config_read_string, SETTING(monitor_group), .max = 64),
	SG_CONFIG_KEY("shutdown_timeout", sg_config_read_u32, SETTING(shutdown_timeout_s), .max = 3600),
	SG_CONFIG_KEY("state_file", sg_config_read_string, SETTING(state_file), .max = 1024),
	SG_CONFIG_END,
};

static const struct sg_config_key policy_keys[] = {
	SG_CONFIG_KEY("allow", sg_config_read_allow, .offset = offsetof(struct sg_shared_policy, spec)),
	SG_CONFIG_KEY("deny", sg_config_read_deny, .offset = offsetof(struct sg_shared_policy, spec)),
	SG_CONFIG_KEY("existing", sg_config_read_choice, .offset = offsetof(struct sg_shared_policy, spec.existing),
		.words = sg_words_existing),
	SG_CONFIG_END,
};
static const struct sg_config_key policy_block = {.keys = policy_keys};
// clang-format on

static int read_policy(const struct sg_config_key *key, const config_setting_t *setting,
	void *field, struct sg_error *error)
{
	struct sg_shared_policy *policy = sg_shared_policy_create();

	(void)key;
	if (!policy)
		return sg_error_set(error, -ENOMEM, "no memory is left for the configuration");
	policy->line = (int)config_setting_source_line(setting);
	sg_state_set_policy(field, policy);
	return sg_config_read_group(&policy_block, setting, policy, error);
}

// clang-format off
#define DOCUMENT(field) .offset = offsetof(struct document, field)
static const struct sg_config_key document_keys[] = {
	SG_CONFIG_KEY("dataplane", sg_config_read_group, DOCUMENT(settings), .keys = dataplane_keys),
	SG_CONFIG_KEY("ports", read_ports, DOCUMENT(settings), .keys = port_keys, .required = true),
	SG_CONFIG_KEY("snat", sg_config_read_group, DOCUMENT(settings), .keys = snat_keys),
	SG_CONFIG_KEY("timeouts", sg_config_read_group, DOCUMENT(settings), .keys = timeouts_keys),
	SG_CONFIG_KEY("control", sg_config_read_group, DOCUMENT(settings), .keys = control_keys),
	SG_CONFIG_KEY("backend_cidrs", read_backend_cidrs, DOCUMENT(settings)),
	SG_CONFIG_KEY("policy", read_policy, DOCUMENT(state), .keys = policy_keys),
	SG_CONFIG_KEY("services", sg_config_read_services, DOCUMENT(state), .keys = sg_config_service_keys),
	SG_CONFIG_END,
};
static const struct sg_config_key whole_document = {.keys = document_keys};
// clang-format on

static int parse(config_t *config, const char *text, struct sg_error *error)
{
	const char *complaint;
	int line;

	if (config_read_string(config, text))
		return 0;
	complaint = config_error_text(config) ? config_error_text(config) : "syntax error";
	line = config_error_line(config);
	if (sg_config_text_has_trailing_comma(text, line))
		return sg_error_set_at(error, -EINVAL, line,
			"%s: take away the comma before the closing bracket", complaint);
	return sg_error_set_at(error, -EINVAL, line, "%s", complaint);
}

// Sentences of sg_validate_settings begin with the path of the setting that they are about, or with
// the name of an object that has a line itself: finds the line of the former.
static int find_line(const config_t *config, const char *sentence)
{
	const config_setting_t *setting;
	char path[64];

	snprintf(path, sizeof(path), "%.*s", (int)strspn(sentence, "abcdefghijklmnopqrstuvwxyz_."),
		sentence);
	setting = config_lookup(config, path);
	return setting ? (int)config_setting_source_line(setting) : 0;
}

static int read_settings(const config_t *config, struct document *document, struct sg_error *error)
{
	struct sg_error problem = {0};
	int err =
		sg_config_read_group(&whole_document, config_root_setting(config), document, error);

	if (err)
		return err;
	if (!document->settings.poll_given && !document->settings.hugepages)
		document->settings.poll = SG_POLL_ADAPTIVE;
	err = sg_validate_settings(&document->settings, &problem);
	if (err)
		return sg_error_set_at(error, err,
			problem.line ? problem.line : find_line(config, problem.text), "%s",
			problem.text);
	return sg_validate_state(&document->state, NULL, &document->settings, error);
}

static int read_document(const char *text, struct document *document, struct sg_error *error)
{
	config_t config;
	int err = sg_config_text_check(text, error);

	if (err)
		return err;
	config_init(&config);
	err = parse(&config, text, error);
	if (!err)
		err = read_settings(&config, document, error);
	config_destroy(&config);
	return err;
}

// The line that the text ends in.
static int count_lines(const char *text)
{
	int lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

int sg_config_file_read_text(const char *text, size_t length, struct sg_settings *ret_settings,
	struct sg_state *ret_state, struct sg_error *error)
{
	struct document *document = calloc(1, sizeof(*document));
	char *copy = malloc(length + 1);
	int err = -ENOMEM;

	if (!document || !copy) {
		sg_error_set(error, err, "no memory is left for the configuration");
		goto free_memory;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (strlen(copy) != length) {
		err = sg_error_set_at(
			error, -EINVAL, count_lines(copy), "a NUL byte: this is no text file");
		goto free_memory;
	}
	sg_settings_init(&document->settings);
	sg_state_init(&document->state);
	err = read_document(copy, document, error);
	if (err) {
		sg_state_fini(&document->state);
	} else {
		*ret_settings = document->settings;
		*ret_state = document->state;
	}
free_memory:
	free(copy);
	free(document);
	return err;
}

// The whole file, however its length is told (a pipe has none).
static int slurp(int fd, char **ret_text, size_t *ret_length, struct sg_error *error)
{
	size_t size = 65536, length = 0;
	char *text = malloc(size);

	while (text) {
		ssize_t n = read(fd, text + length, size - length);

		if (n == 0) {
			*ret_text = text;
			*ret_length = length;
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			int err = -errno;

			free(text);
			return sg_error_set(error, err, "cannot be read: %s", strerror(-err));
		}
		length += n > 0 ? (size_t)n : 0;
		if (length == size) {
			char *larger = size < MAX_FILE_BYTES ? realloc(text, size *= 2) : NULL;

			if (!larger)
				free(text);
			text = larger;
		}
	}
	return sg_error_set(error, -EFBIG, "is larger than a config file may be (%u MiB)",
		MAX_FILE_BYTES >> 20);
}

int sg_config_file_read(const char *path, struct sg_settings *ret_settings,
	struct sg_state *ret_state, struct sg_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t length = 0;
	int err;

	if (fd < 0) {
		err = -errno;
		return sg_error_set(error, err, "cannot be opened: %s", strerror(-err));
	}
	err = slurp(fd, &text, &length, error);
	close(fd);
	if (err)
		return err;
	err = sg_config_file_read_text(text, length, ret_settings, ret_state, error);
	free(text);
	return err;
}

static void visit_keys(const struct sg_config_key *keys, const char *prefix,
	void (*visit)(void *context, const char *path), void *context)
{
	for (; keys->name; keys++) {
		char path[200];

		int length = snprintf(
			path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", keys->name);

		if (length >= (int)sizeof(path))
			continue;
		visit(context, path);
		if (keys->keys)
			visit_keys(keys->keys, path, visit, context);
	}
}

void sg_config_file_each_key(void (*visit)(void *context, const char *path), void *context)
{
	visit_keys(document_keys, "", visit, context);
}
