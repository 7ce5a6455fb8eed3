// Devices as an operator writes them, taken apart.
#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pci_addresses_are_told_from_virtual_devices(void **unused)
{
	static const struct {
		const char *text;
		bool pci;
	} rows[] = {
		{"0000:3b:00.0", true},
		{"3b:00.1", true},
		{"0000:3b:00", false},
		{"0000:3b:00.0x", false},
		{"net_af_packet0,iface=eth1", false},
		{"net_tap0", false},
		{"", false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(sg_device_is_pci(rows[i].text), rows[i].pci);
}

static void names_arguments_and_interfaces_are_found(void **unused)
{
	static const struct {
		const char *text;
		unsigned port;
		uint16_t mtu;
		const char *name, *arguments, *interface;
		bool af_packet;
	} rows[] = {
		// 8 MB of slots, so that a pause loses nothing.
		{"net_af_packet0,iface=eth1", 0, 1500, "net_af_packet0", "iface=eth1,framecnt=4096",
			"eth1", true},
		// The same name again: the port's number makes it another device.
		{"net_af_packet0,iface=eth2", 1, 1500, "net_af_packet1", "iface=eth2,framecnt=4096",
			"eth2", true},
		{"net_af_packet,qpairs=2,iface=eth1", 3, 1500, "net_af_packet3",
			"qpairs=2,iface=eth1,framecnt=4096", "eth1", true},
		{"net_af_packet0,iface=eth1,framecnt=64", 0, 1500, "net_af_packet0",
			"iface=eth1,framecnt=64", "eth1", true},
		{"net_af_packet0,xiface=no,iface=eth1", 0, 1500, "net_af_packet0",
			"xiface=no,iface=eth1,framecnt=4096", "eth1", true},
		// Jumbo frames need larger slots, in whole pages, unless the operator chose.
		{"net_af_packet0,iface=eth1", 0, 9000, "net_af_packet0",
			"iface=eth1,blocksz=36864,framesz=9216,framecnt=908", "eth1", true},
		{"net_af_packet0,iface=eth1,framesz=16384", 0, 9000, "net_af_packet0",
			"iface=eth1,framesz=16384", "eth1", true},
		{"net_af_xdp7,iface=eth1", 0, 1500, "net_af_xdp0", "iface=eth1", "eth1", false},
		{"net_tap0,iface=tap3", 2, 1500, "net_tap2", "iface=tap3", "", false},
		{"net_null0", 0, 1500, "net_null0", "", "", false},
		{"0000:3b:00.0", 1, 1500, "0000:3b:00.0", "", "", false},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sg_device device;

		sg_device_parse(&device, rows[i].text, rows[i].port, rows[i].mtu);
		assert_string_equal(device.name, rows[i].name);
		assert_string_equal(device.arguments, rows[i].arguments);
		assert_string_equal(device.interface, rows[i].interface);
		assert_int_equal(device.af_packet, rows[i].af_packet);
	}
}

static void long_texts_are_cut_not_overrun(void **unused)
{
	char text[2000];
	struct sg_device device;

	(void)unused;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text + 300, ",iface=", 7);
	sg_device_parse(&device, text, 0, 9000);
	assert_int_equal(strlen(device.name), sizeof(device.name) - 1);
	assert_true(strlen(device.arguments) < sizeof(device.arguments));
	memcpy(text, "net_af_packet", 13);
	sg_device_parse(&device, text, 0, 9000);
	assert_int_equal(strlen(device.interface), sizeof(device.interface) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pci_addresses_are_told_from_virtual_devices),
		cmocka_unit_test(names_arguments_and_interfaces_are_found),
		cmocka_unit_test(long_texts_are_cut_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
