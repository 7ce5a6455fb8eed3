// nftables and offloads below AF_PACKET ports, see guard.h.
#include "guard.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <nftables/libnftables.h>

#include "base/log.h"
#include "device.h"

#define TABLE_BYTES  (sizeof("stormgate_") + 3 * SG_MAX_NAME_BYTES)
#define SCRIPT_BYTES (512 + 256 * SG_MAX_PORTS)

struct guarded {
	char interface[IF_NAMESIZE];
	bool gro, lro; // were on, and are to be on again
};

struct sg_guard {
	struct nft_ctx *nft;
	char table[TABLE_BYTES];
	struct guarded interfaces[SG_MAX_PORTS];
	unsigned n_interfaces;
};

// Offloads, through ethtool's ioctl.

static int ethtool(const char *interface, void *command)
{
	struct ifreq request = {.ifr_data = command};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	result = ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
	close(fd);
	return result;
}

static uint32_t get_value(const char *interface, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ethtool(interface, &value) ? 0 : value.data;
}

static void set_value(const char *interface, uint32_t command, uint32_t data)
{
	struct ethtool_value value = {.cmd = command, .data = data};
	int err = ethtool(interface, &value);

	if (err)
		sg_log_warning("interface %s: its receive offloads cannot be changed: %s",
			interface, strerror(-err));
}

static void stop_merging(struct guarded *guarded)
{
	uint32_t flags = get_value(guarded->interface, ETHTOOL_GFLAGS);

	guarded->gro = get_value(guarded->interface, ETHTOOL_GGRO) != 0;
	guarded->lro = flags & ETH_FLAG_LRO;
	if (guarded->gro)
		set_value(guarded->interface, ETHTOOL_SGRO, 0);
	if (guarded->lro)
		set_value(guarded->interface, ETHTOOL_SFLAGS, flags & ~(uint32_t)ETH_FLAG_LRO);
}

static void merge_again(const struct guarded *guarded)
{
	if (if_nametoindex(guarded->interface) == 0)
		return;
	if (guarded->gro)
		set_value(guarded->interface, ETHTOOL_SGRO, 1);
	if (guarded->lro)
		set_value(guarded->interface, ETHTOOL_SFLAGS,
			get_value(guarded->interface, ETHTOOL_GFLAGS) | ETH_FLAG_LRO);
}

static void say_if_veth(const char *interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (ethtool(interface, &info) == 0 && strcmp(info.driver, "veth") == 0)
		sg_log_info("interface %s is a veth: its other end must send whole packets (there: "
			    "ethtool -K IF tx off)",
			interface);
}

// The table.

static int run(struct sg_guard *guard, const char *script)
{
	return nft_run_cmd_from_buffer(guard->nft, script) ? -EIO : 0;
}

static void append(char *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *script, const char *format, ...)
{
	size_t length = strlen(script);
	va_list args;

	va_start(args, format);
	vsnprintf(script + length, SCRIPT_BYTES - length, format, args);
	va_end(args);
}

static int add_table(struct sg_guard *guard, const char *flags)
{
	char script[SCRIPT_BYTES] = "";

	append(script, "add table netdev %s { %s }\n", guard->table, flags);
	for (unsigned i = 0; i < guard->n_interfaces; i++)
		append(script,
			"add chain netdev %s port%u { type filter hook ingress device \"%s\" priority -500; "
			"policy drop; }\n",
			guard->table, i, guard->interfaces[i].interface);
	return run(guard, script);
}

static void delete_table(struct sg_guard *guard)
{
	char script[SCRIPT_BYTES] = "";

	append(script, "delete table netdev %s\n", guard->table);
	run(guard, script);
}

// The first line of what libnftables says.
static int explain(struct sg_guard *guard, struct sg_error *error)
{
	const char *text = nft_ctx_get_error_buffer(guard->nft);

	return sg_error_set(error, -EIO,
		"the kernel's own copies of packets cannot be dropped with nftables (table %s): %.*s",
		guard->table, (int)strcspn(text, "\n"), text);
}

static int install(struct sg_guard *guard, struct sg_error *error)
{
	delete_table(guard); // a killed instance's, where there is one
	if (add_table(guard, "flags owner;") == 0 || add_table(guard, "") == 0)
		return 0;
	return explain(guard, error);
}

static void name_table(struct sg_guard *guard, const char *instance)
{
	char *end = stpcpy(guard->table, "stormgate_");

	// nftables' identifiers are letters, digits and the underscore. What is neither letter nor
	// digit becomes an underscore and its code, so that "a-b" and "a_b" have two tables.
	for (; *instance; instance++)
		end += sprintf(end, isalnum((unsigned char)*instance) ? "%c" : "_%02x",
			(unsigned char)*instance);
}

static void find_interfaces(struct sg_guard *guard, const struct sg_settings *settings)
{
	for (unsigned i = 0; i < settings->n_ports; i++) {
		struct guarded *guarded = &guard->interfaces[guard->n_interfaces];
		struct sg_device device;

		sg_device_parse(&device, settings->ports[i].device, i, settings->ports[i].mtu);
		// One that is not there is the ports' to complain about.
		if (!device.af_packet || if_nametoindex(device.interface) == 0)
			continue;
		snprintf(guarded->interface, sizeof(guarded->interface), "%s", device.interface);
		guard->n_interfaces++;
	}
}

int sg_guard_open(
	struct sg_guard **ret_guard, const struct sg_settings *settings, struct sg_error *error)
{
	struct sg_guard *guard = calloc(1, sizeof(*guard));
	int err;

	if (!guard)
		return sg_error_set(error, -ENOMEM, "out of memory");
	find_interfaces(guard, settings);
	if (guard->n_interfaces == 0) {
		free(guard);
		*ret_guard = NULL;
		return 0;
	}
	name_table(guard, settings->instance);
	guard->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!guard->nft) {
		free(guard);
		return sg_error_set(error, -ENOMEM, "nftables cannot be used: out of memory");
	}
	nft_ctx_buffer_error(guard->nft);
	nft_ctx_buffer_output(guard->nft);
	err = install(guard, error);
	if (err) {
		nft_ctx_free(guard->nft);
		free(guard);
		return err;
	}
	for (unsigned i = 0; i < guard->n_interfaces; i++) {
		stop_merging(&guard->interfaces[i]);
		say_if_veth(guard->interfaces[i].interface);
	}
	*ret_guard = guard;
	return 0;
}

void sg_guard_close(struct sg_guard *guard)
{
	if (!guard)
		return;
	for (unsigned i = 0; i < guard->n_interfaces; i++)
		merge_again(&guard->interfaces[i]);
	delete_table(guard);
	nft_ctx_free(guard->nft);
	free(guard);
}
