// What stormctl can do and with which options: the tables behind command_line.h.
#include "verbs.h"

#include <stddef.h>

#define SERVICE_OPTIONS                                                                      \
	"scheduler", "forward", "allow", "deny", "affinity", "affinity-timeout", "announce", \
		"maglev-table-size"

// clang-format off
const struct argument_row argument_rows[ARGUMENT_COUNT] = {
	[ARGUMENT_NAME] = {"NAME", "name"},
	[ARGUMENT_SERVICE] = {"SERVICE", "service"},
	[ARGUMENT_BACKEND] = {"ADDR:PORT", "address", .port_member = "port"},
	[ARGUMENT_WORDS] = {"WORDS", .is_optional = true, .is_rest = true},
};

const struct option_row option_rows[] = {
	{"socket", 's', OPTION_OURS, "SOCKET", "the daemon's socket (default " DEFAULT_SOCKET ")"},
	{"output", 'o', OPTION_OURS, "table|json", "for people (default) or for programs"},
	{"help", 'h', OPTION_OURS, NULL, "explains the program, or the verb that stands beside it"},
	{"version", 0, OPTION_OURS, NULL, "prints the version"},
	{"vip", 0, OPTION_VIP, "A", "the served address, or an IPv4 and an IPv6 one with a comma between them"},
	{"protocol", 0, OPTION_TEXT, "tcp|udp", "the served protocol"},
	{"port", 0, OPTION_NUMBER, "N", "the served port"},
	{"scheduler", 0, OPTION_TEXT, "maglev|rr|wrr|lc|wlc|sh", "who gets the next connection (default maglev)"},
	{"forward", 0, OPTION_TEXT, "snat|dnat|dsr|ipip", "how packets reach a backend (default snat)"},
	{"allow", 0, OPTION_ALLOW, "P,P,...", "source prefixes that may connect, or everyone (default), or nobody"},
	{"deny", 0, OPTION_DENY, "P,P,...", "source prefixes that may not, whatever --allow says, or nobody (default)"},
	{"affinity", 0, OPTION_TEXT, "none|client-ip", "whether a client stays with its backend"},
	{"affinity-timeout", 0, OPTION_NUMBER, "S", "for how many seconds it does (default 10800)"},
	{"announce", 0, OPTION_TEXT, "always|kernel|never", "when workers answer ARP for the VIP"},
	{"maglev-table-size", 0, OPTION_NUMBER, "N", "a prime from 251 to 131071 (default 4093)"},
	{"weight", 0, OPTION_NUMBER, "N", "the backend's share of new connections, 0 to 65535 (default 1)"},
	{"wait", 0, OPTION_FLAG, NULL, "returns when the backend's last connection is gone"},
	{"now", 0, OPTION_FLAG, NULL, "ends its connections at once, instead of letting them finish"},
	{"file", 'f', OPTION_OURS, "FILE", "what is read; - is stdin"},
	{"owner", 0, OPTION_TEXT, "O", "whose services these are (default operator)"},
	{"dry-run", 0, OPTION_FLAG, NULL, "only says what would change, or what is wrong with it"},
	{"masquerade-all", 0, OPTION_OURS, NULL, "servers with -m see a SNAT address (snat), not the client's (dnat)"},
	{"skip", 0, OPTION_OURS, NULL, "leaves out the services with a line that is refused, and goes on"},
	{"apply", 0, OPTION_OURS, NULL, "applies the services instead of printing them"},
	{"service", 0, OPTION_TEXT, "NAME", "only this service's"},
	{"limit", 0, OPTION_NUMBER, "N", "at most so many (default 100)"},
	{"watch", 0, OPTION_OURS, NULL, "prints again every second until interrupted"},
	{NULL, 0, OPTION_OURS, NULL, NULL},
};

const struct verb verbs[] = {
	{"status", "what runs, and for how long", {0}, {0}, {0}, print_status,
		"stormctl status -o json | jq .generation", run_request},
	{"service list", "all services, whoever owns them", {0}, {0}, {0}, print_services,
		"stormctl service list", run_request},
	{"service show", "one service and its backends", {ARGUMENT_NAME}, {0}, {0}, print_service,
		"stormctl service show web", run_request},
	{"service add", "a new service; add its backends next", {ARGUMENT_NAME},
		{"vip", "protocol", "port"}, {"vip", "protocol", "port", SERVICE_OPTIONS}, print_change,
		"stormctl service add web --vip 192.0.2.10 --protocol tcp --port 80", run_request},
	{"service set", "changes what is given, and leaves the rest", {ARGUMENT_NAME},
		{0}, {"vip", "protocol", "port", SERVICE_OPTIONS}, print_change,
		"stormctl service set web --allow 198.51.100.0/24,203.0.113.0/24", run_request},
	{"service delete", "no new connections; those that exist may finish", {ARGUMENT_NAME}, {0}, {0}, print_change,
		"stormctl service delete web", run_request},
	{"backend add", "a new backend of a service", {ARGUMENT_SERVICE, ARGUMENT_BACKEND}, {0}, {"weight"}, print_change,
		"stormctl backend add web 10.0.0.4:8080 --weight 2", run_request},
	{"backend set", "a new weight; one above 0 also ends draining", {ARGUMENT_SERVICE, ARGUMENT_BACKEND},
		{"weight"}, {"weight"}, print_change,
		"stormctl backend set web 10.0.0.4:8080 --weight 1", run_request},
	{"backend drain", "no new connections until a weight is set; those that exist stay",
		{ARGUMENT_SERVICE, ARGUMENT_BACKEND}, {0}, {"wait"}, print_drained,
		"stormctl backend drain web 10.0.0.4:8080 --wait", run_request},
	{"backend delete", "no new connections; those that exist may finish for timeouts.drain",
		{ARGUMENT_SERVICE, ARGUMENT_BACKEND}, {0}, {"now"}, print_change,
		"stormctl backend delete web 10.0.0.4:8080", run_request},
	{"apply", "makes an owner's services exactly those of a file, or none of it", {0},
		{"file"}, {"file", "owner", "dry-run"}, print_change,
		"stormctl export > all.json; editor all.json; stormctl apply -f all.json --dry-run", run_apply},
	{"export", "an owner's services as JSON, for apply", {0}, {0}, {"owner"}, print_export,
		"stormctl export --owner config > config.json", run_export},
	{"import ipvsadm", "the services of an IPVS, for apply, from what ipvsadm -S -n prints", {0}, {0},
		{"file", "masquerade-all", "skip", "owner", "apply", "dry-run"}, print_change,
		"ipvsadm -S -n | stormctl import ipvsadm --apply --dry-run", run_import},
	{"flows", "connections that are known", {0}, {0}, {"service", "limit"}, print_flows,
		"stormctl flows --service web --limit 20", run_request},
	{"stats", "what was counted: packets, workers, services, backends", {0}, {0}, {"watch"}, print_stats,
		"stormctl stats --watch", run_stats},
	{"drops", "packets that were dropped, why, and what to do about it", {0}, {0}, {0}, print_drops,
		"stormctl drops", run_request},
	{"help", "explains the program, or a verb", {ARGUMENT_WORDS}, {0}, {0}, NULL,
		"stormctl help backend drain", run_help},
	{"complete", "what may stand in the place of a command line's last word; for shells", {ARGUMENT_WORDS},
		{0}, {0}, NULL, "stormctl complete -- service sh", run_complete},
	{0},
};
// clang-format on
