// Rules of IPVS to services, see ipvsadm.h: each line becomes a rule (ipvsadm_rule.h), the rules of
// a service one object.
#include "ipvsadm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipvsadm_rule.h"
#include "net/addr.h"

struct import {
	bool masquerade_all;
	const struct ipvsadm_report *report;
	unsigned line;    // of the rule that is being read
	json_t *services; // by name; null where a line of it was refused
	json_t *backends; // true by the names of service and backend
};

__attribute__((format(printf, 2, 3))) static void refuse(
	struct import *import, const char *format, ...)
{
	char sentence[IPVSADM_SENTENCE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	import->report->refuse(import->report->context, import->line, sentence);
}

static void refuse_service(struct import *import, const char *name)
{
	json_object_set_new(import->services, name, json_null());
}

static json_t *make_service(const struct ipvsadm_rule *rule)
{
	char address[SG_ADDR_TEXT_BYTES];
	json_t *service = json_pack("{s:s, s:s, s:s, s:i, s:s}", "name", rule->name, "vip",
		sg_addr_format(&rule->vip, address), "protocol", rule->protocol, "port", rule->port,
		"scheduler", rule->scheduler);

	if (rule->persistence_s > 0) {
		json_object_set_new(service, "affinity", json_string("client-ip"));
		json_object_set_new(service, "affinity_timeout", json_integer(rule->persistence_s));
	}
	json_object_set_new(service, "backends", json_array());
	return service;
}

static void add_service(struct import *import, const struct ipvsadm_rule *rule)
{
	if (json_object_get(import->services, rule->name)) {
		refuse(import, "the service is there twice");
		refuse_service(import, rule->name);
		return;
	}
	json_object_set_new(import->services, rule->name, make_service(rule));
}

// Of the service: IPVS has a way to forward for each server, stormgate for each service.
static const char *forward_of(const struct import *import, const struct ipvsadm_rule *rule)
{
	if (rule->forward == IPVSADM_GATEWAYING)
		return "dsr";
	if (rule->forward == IPVSADM_IPIP)
		return "ipip";
	return import->masquerade_all ? "snat" : "dnat";
}

static bool check_server(
	struct import *import, const struct ipvsadm_rule *rule, const json_t *service)
{
	const char *forward = forward_of(import, rule);
	const char *before = json_string_value(json_object_get(service, "forward"));
	char name[IPVSADM_NAME_BYTES + SG_ADDR_TEXT_BYTES + 8], address[SG_ADDR_TEXT_BYTES];

	snprintf(name, sizeof(name), "%s %s %u", rule->name, sg_addr_format(&rule->real, address),
		rule->real_port);
	if (json_object_get(import->backends, name))
		refuse(import, "the server is there twice");
	else if (before && strcmp(before, forward) != 0)
		refuse(import,
			"servers before this one are forwarded to by %s, this one by %s: "
			"a service has one way for all",
			before, forward);
	else
		return json_object_set_new(import->backends, name, json_true()) == 0;
	return false;
}

static void add_server(struct import *import, const struct ipvsadm_rule *rule)
{
	json_t *service = json_object_get(import->services, rule->name);
	char address[SG_ADDR_TEXT_BYTES];
	json_t *backend;

	if (json_is_null(service))
		return; // refused, and said so
	if (!service) {
		refuse(import, "no line above adds the service of this server");
		refuse_service(import, rule->name);
		return;
	}
	if (!check_server(import, rule, service)) {
		refuse_service(import, rule->name);
		return;
	}
	json_object_set_new(service, "forward", json_string(forward_of(import, rule)));
	backend = json_pack("{s:s, s:i, s:i}", "address", sg_addr_format(&rule->real, address),
		"port", rule->real_port, "weight", rule->weight);
	if (rule->max_connections > 0)
		json_object_set_new(
			backend, "max_connections", json_integer(rule->max_connections));
	if (rule->weight == 0)
		json_object_set_new(backend, "draining", json_true());
	json_array_append_new(json_object_get(service, "backends"), backend);
}

static void read_line(struct import *import, const char *text, size_t length)
{
	char sentence[IPVSADM_SENTENCE_BYTES];
	struct ipvsadm_rule rule;
	int err = ipvsadm_rule_parse(&rule, text, length, sentence);

	if (err < 0) {
		// A server of a service that is refused already is no news.
		if (!rule.is_service && json_is_null(json_object_get(import->services, rule.name)))
			return;
		refuse(import, "%s", sentence);
		if (rule.name[0])
			refuse_service(import, rule.name);
	} else if (rule.is_service) {
		add_service(import, &rule);
	} else if (rule.name[0]) {
		add_server(import, &rule);
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sort_services(json_t *services)
{
	size_t n = json_object_size(services), i = 0;
	const char **names = calloc(n + 1, sizeof(names[0]));
	json_t *array = json_array(), *service;
	const char *name;

	if (!names || !array) {
		free(names);
		json_decref(array);
		return NULL;
	}
	json_object_foreach(services, name, service)
	{
		if (!json_is_null(service))
			names[i++] = name;
	}
	qsort(names, i, sizeof(names[0]), compare_names);
	for (n = i, i = 0; i < n; i++)
		json_array_append(array, json_object_get(services, names[i]));
	free(names);
	return array;
}

json_t *ipvsadm_import(
	const char *text, size_t length, bool masquerade_all, const struct ipvsadm_report *report)
{
	struct import import = {.masquerade_all = masquerade_all,
		.report = report,
		.services = json_object(),
		.backends = json_object()};
	const char *end = text + length;
	json_t *services = NULL;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;

		import.line++;
		read_line(&import, text, (size_t)(line_end - text));
		text = line_end + 1;
	}
	if (import.services && import.backends)
		services = sort_services(import.services);
	json_decref(import.services);
	json_decref(import.backends);
	return services;
}
