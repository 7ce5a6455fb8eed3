-- Sizes as on the Internet, 7 small to 4 middling to 1 large: `pktgen ... -f perf/pktgen/imix.lua`. Twelve flows, one a
-- place in Pktgen's sequence.

directory = (os.getenv("PKTGEN_SCRIPTS") or "perf/pktgen") .. "/"
dofile(directory .. "common.lua")

local sizes = { 64, 64, 594, 64, 64, 594, 64, 1518, 594, 64, 594, 64 }

local commands = ""
for place, size in ipairs(sizes) do
	commands = commands .. string.format("seq %d %s %s 02:00:00:00:67:01 %s %s/24 %d %d ipv4 udp 1 %d 0\n", place - 1,
		settings.send_port, settings.gateway_mac, settings.vip, settings.clients_from, 1024 + place, settings.port, size)
end
run_commands(commands)
pktgen.set(settings.send_port, "seq_cnt", #sizes)
pktgen.set(settings.send_port, "count", 0)
trial(10)
report("IMIX", 100, trial(100))
finish()
