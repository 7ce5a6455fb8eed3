-- What the scripts of this directory share: flows, trials, figures. Loaded by them.

dofile(directory .. "settings.lua")

-- Commands that Pktgen's Lua has no function for.
function run_commands(text)
	local path = os.tmpname()
	local file = io.open(path, "w")
	file:write(text)
	file:close()
	pktgen.load(path)
	os.remove(path)
end

-- Packets of many clients: addresses and ports go round, so flows are met in turn.
function set_flows(protocol, tcp_flag)
	local port = settings.send_port
	pktgen.range.dst_mac(port, "start", settings.gateway_mac)
	pktgen.range.ip_proto(port, protocol)
	pktgen.range.dst_ip(port, "start", settings.vip)
	pktgen.range.dst_ip(port, "min", settings.vip)
	pktgen.range.dst_ip(port, "max", settings.vip)
	pktgen.range.dst_ip(port, "inc", "0.0.0.0")
	pktgen.range.src_ip(port, "start", settings.clients_from)
	pktgen.range.src_ip(port, "min", settings.clients_from)
	pktgen.range.src_ip(port, "max", settings.clients_to)
	pktgen.range.src_ip(port, "inc", "0.0.0.1")
	pktgen.range.dst_port(port, "start", settings.port)
	pktgen.range.dst_port(port, "min", settings.port)
	pktgen.range.dst_port(port, "max", settings.port)
	pktgen.range.dst_port(port, "inc", 0)
	pktgen.range.src_port(port, "start", 1024)
	pktgen.range.src_port(port, "min", 1024)
	pktgen.range.src_port(port, "max", 1024 + settings.client_ports - 1)
	pktgen.range.src_port(port, "inc", 1)
	pktgen.range.pkt_size(port, "start", settings.size)
	pktgen.range.pkt_size(port, "min", settings.size)
	pktgen.range.pkt_size(port, "max", settings.size)
	pktgen.range.pkt_size(port, "inc", 0)
	pktgen.set(port, "count", 0) -- until it is stopped
	if tcp_flag then
		run_commands("range " .. port .. " tcp flag clr all\nrange " .. port .. " tcp flag set " .. tcp_flag .. "\n")
	end
	pktgen.set_range(port, "on")
end

function set_size(size)
	pktgen.range.pkt_size(settings.send_port, "start", size)
	pktgen.range.pkt_size(settings.send_port, "min", size)
	pktgen.range.pkt_size(settings.send_port, "max", size)
end

local function count()
	local sent = pktgen.portStats(settings.send_port, "port")[tonumber(settings.send_port)]
	local received = pktgen.portStats(settings.receive_port, "port")[tonumber(settings.receive_port)]
	return sent.opackets, received.ipackets
end

-- Sends at a percentage of the link's rate, and returns what was sent, what came back, and Mpps of both.
function trial(percent)
	pktgen.clr()
	pktgen.set(settings.send_port, "rate", percent)
	pktgen.start(settings.send_port)
	pktgen.delay(settings.seconds * 1000)
	pktgen.stop(settings.send_port)
	pktgen.delay(settings.settle_seconds * 1000)
	local sent, received = count()
	return sent, received, sent / settings.seconds / 1e6, received / settings.seconds / 1e6
end

function report(what, percent, sent, received, sent_mpps, received_mpps)
	local lost = sent > 0 and 100 * (sent - received) / sent or 0
	print(string.format("\n%-24s %6.2f %% of the link: sent %.3f Mpps, received %.3f Mpps, lost %d (%.4f %%)",
		what, percent, sent_mpps, received_mpps, sent - received, lost))
end

-- Pktgen ends with the script where it was started for it: PKTGEN_QUIT=1 in the environment.
function finish()
	if os.getenv("PKTGEN_QUIT") then
		pktgen.quit()
	end
end
