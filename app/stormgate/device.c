// Devices by name, see device.h.
#include "device.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "buffers.h"
#include "dpdk_log.h"

#define RING_BYTES (8u << 20) // of a net_af_packet queue, in each direction

// [dddd:]bb:dd.f, in hexadecimal.
bool sg_device_is_pci(const char *text)
{
	unsigned domain, bus, device, function;
	int end = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 &&
		!text[end])
		return true;
	end = 0;
	return sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) == 3 && !text[end];
}

// Copies the value of `key` out of "a=1,b=2". False when it is not there.
static bool find_argument(const char *arguments, const char *key, char *ret_value, size_t size)
{
	size_t key_length = strlen(key);

	for (const char *at = arguments; *at; at += strcspn(at, ","), at += *at == ',') {
		if (strncmp(at, key, key_length) != 0 || at[key_length] != '=')
			continue;
		at += key_length + 1;
		snprintf(ret_value, size, "%.*s", (int)strcspn(at, ","), at);
		return true;
	}
	return false;
}

static void add_arguments(struct sg_device *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_arguments(struct sg_device *device, const char *format, ...)
{
	size_t length = strlen(device->arguments);
	va_list args;

	va_start(args, format);
	vsnprintf(device->arguments + length, sizeof(device->arguments) - length, format, args);
	va_end(args);
}

// The driver part of a name such as net_af_packet0.
static int driver_length(const char *name, int length)
{
	while (length > 0 && isdigit((unsigned char)name[length - 1]))
		length--;
	return length;
}

// net_af_packet copies each packet into a ring of frames. By default it has 512 of 2 KB: none holds
// a jumbo frame, and a worker that stands still for 5 ms at 100,000 packets a second loses some.
static void size_ring(struct sg_device *device, uint16_t mtu)
{
	unsigned frame = sg_buffer_room(mtu);
	char value[16];

	if (find_argument(device->arguments, "framesz", value, sizeof(value)))
		return;
	// Four frames of a multiple of 1 KB are whole pages.
	if (frame > SG_BUFFER_ROOM)
		add_arguments(device, ",blocksz=%u,framesz=%u", 4 * frame, frame);
	if (!find_argument(device->arguments, "framecnt", value, sizeof(value)))
		add_arguments(device, ",framecnt=%u", RING_BYTES / frame / 4 * 4);
}

void sg_device_parse(
	struct sg_device *ret_device, const char *text, unsigned port_number, uint16_t mtu)
{
	int name_length = (int)strcspn(text, ",");

	*ret_device = (struct sg_device){.pci = sg_device_is_pci(text)};
	if (ret_device->pci) {
		snprintf(ret_device->name, sizeof(ret_device->name), "%s", text);
		return;
	}
	snprintf(ret_device->name, sizeof(ret_device->name), "%.*s%u",
		driver_length(text, name_length), text, port_number);
	snprintf(ret_device->arguments, sizeof(ret_device->arguments), "%s",
		text[name_length] ? text + name_length + 1 : "");
	ret_device->af_packet = strncmp(text, "net_af_packet", strlen("net_af_packet")) == 0;
	if (ret_device->af_packet || strncmp(text, "net_af_xdp", strlen("net_af_xdp")) == 0)
		find_argument(ret_device->arguments, "iface", ret_device->interface,
			sizeof(ret_device->interface));
	if (ret_device->af_packet)
		size_ring(ret_device, mtu);
}

static int attach_virtual(const struct sg_device *device, const char *port, struct sg_error *error)
{
	if (device->af_packet && !device->interface[0])
		return sg_error_set(error, -EINVAL,
			"port %s: net_af_packet wants an interface: net_af_packet0,iface=eth1",
			port);
	if (device->interface[0] && if_nametoindex(device->interface) == 0)
		return sg_error_set(error, -ENODEV,
			"port %s: there is no interface %s in this network namespace", port,
			device->interface);
	sg_dpdk_log_forget();
	if (rte_eal_hotplug_add("vdev", device->name, device->arguments) == 0)
		return 0;
	return sg_error_set(error, -EIO, "port %s: DPDK cannot open %s,%s: %s", port, device->name,
		device->arguments, sg_dpdk_log_reason());
}

int sg_device_attach(const struct sg_device *device, const char *port, uint16_t *ret_dpdk_id,
	struct sg_error *error)
{
	int err = device->pci ? 0 : attach_virtual(device, port, error);

	if (err)
		return err;
	if (rte_eth_dev_get_port_by_name(device->name, ret_dpdk_id) == 0)
		return 0;
	if (device->pci)
		return sg_error_set(error, -ENODEV,
			"port %s: DPDK found no device %s: is the address right (lspci), and is it bound to vfio-pci "
			"(dpdk-devbind.py -b vfio-pci %s)?",
			port, device->name, device->name);
	return sg_error_set(error, -ENODEV, "port %s: %s is no network device", port, device->name);
}
