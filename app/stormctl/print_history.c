// What differs, and who has changed what, for people; see print.h.
#include "print.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "table.h"

static const char *string(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "-";
}

// As JSON, except that a string has no quotes.
static void print_value(const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		fputs(json_string_value(value), stdout);
		return;
	}
	text = value && !json_is_null(value) ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	fputs(text ? text : "-", stdout);
	free(text);
}

static void print_members_of(const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		if (strcmp(name, "name") == 0 || strcmp(name, "backends") == 0)
			continue;
		printf("    %s ", name);
		print_value(value);
		putchar('\n');
	}
}

static void print_backend(char sign, const json_t *backend)
{
	const json_t *most = json_object_get(backend, "max_connections");
	const char *address = string(backend, "address");
	char limit[40] = "";

	if (most)
		snprintf(
			limit, sizeof(limit), " max_connections %d", (int)json_integer_value(most));
	printf(strchr(address, ':') ? "    %c backend [%s]:%d weight %d%s%s\n"
				    : "    %c backend %s:%d weight %d%s%s\n",
		sign, address, (int)json_integer_value(json_object_get(backend, "port")),
		(int)json_integer_value(json_object_get(backend, "weight")), limit,
		json_is_true(json_object_get(backend, "draining")) ? " draining" : "");
}

// A service that is new or gone, whole.
static void print_whole(char sign, const json_t *difference, const json_t *service)
{
	size_t i;
	json_t *backend;

	printf("%c service %s of owner %s\n", sign, string(difference, "service"),
		string(difference, "owner"));
	if (sign == '+')
		print_members_of(service);
	json_array_foreach(json_object_get(service, "backends"), i, backend)
		print_backend(sign, backend);
}

static void print_changed(const json_t *difference)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_null(json_object_get(difference, "service")))
		puts("~ policy");
	else
		printf("~ service %s of owner %s\n", string(difference, "service"),
			string(difference, "owner"));
	json_object_foreach(json_object_get(difference, "members"), name, value)
	{
		printf("    %s ", name);
		print_value(json_object_get(value, "before"));
		fputs(" -> ", stdout);
		print_value(json_object_get(value, "after"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(difference, "backends"), i, value)
	{
		if (json_object_get(value, "before"))
			print_backend('-', json_object_get(value, "before"));
		if (json_object_get(value, "after"))
			print_backend('+', json_object_get(value, "after"));
	}
}

void print_difference(const json_t *result)
{
	size_t i;
	json_t *difference;

	json_array_foreach(json_object_get(result, "difference"), i, difference)
	{
		json_t *before = json_object_get(difference, "before");
		json_t *after = json_object_get(difference, "after");

		if (after)
			print_whole('+', difference, after);
		else if (before)
			print_whole('-', difference, before);
		else
			print_changed(difference);
	}
}

static void add_user(struct table *table, const json_t *entry)
{
	uid_t uid = (uid_t)json_integer_value(json_object_get(entry, "uid"));
	const struct passwd *user = getpwuid(uid);

	if (user)
		table_text(table, user->pw_name);
	else
		table_member(table, entry, "uid");
}

void print_history(const json_t *result)
{
	struct table table;
	size_t i;
	json_t *entry;

	table_init(&table, "#GENERATION TIME USER #PID VERB OWNER CHANGE");
	json_array_foreach(json_object_get(result, "history"), i, entry)
	{
		table_member(&table, entry, "generation");
		table_member(&table, entry, "time");
		add_user(&table, entry);
		table_member(&table, entry, "pid");
		table_member(&table, entry, "verb");
		table_text(&table, string(entry, "owner")[0] ? string(entry, "owner") : "-");
		table_member(&table, entry, "summary");
	}
	table_print(&table);
	if (json_object_get(result, "difference")) {
		putchar('\n');
		print_difference(result);
	}
}
