-- RFC 2544, 26.1: for each frame size the highest rate at which nothing is lost, found by halving:
-- `pktgen ... -f perf/pktgen/rfc2544.lua`. A quarter of an hour with the defaults.

directory = (os.getenv("PKTGEN_SCRIPTS") or "perf/pktgen") .. "/"
dofile(directory .. "common.lua")

local sizes = { 64, 128, 256, 512, 1024, 1280, 1518 }
local steps = 8 -- to 100 / 2^8 = 0.4 % of the link's rate

local function search(size)
	local low, high, best = 0, 100, 0
	local percent = 100
	set_size(size)
	trial(1) -- makes the flows
	for _ = 1, steps do
		local sent, received, sent_mpps, received_mpps = trial(percent)
		report(size .. " bytes", percent, sent, received, sent_mpps, received_mpps)
		if sent > 0 and received >= sent then
			low, best = percent, received_mpps
		else
			high = percent
		end
		if low == high then
			break
		end
		percent = (low + high) / 2
	end
	print(string.format("\n%-24s %6.2f %% of the link without loss: %.3f Mpps, %.2f Gbit/s on the wire",
		size .. " bytes:", low, best, best * 1e6 * (size + 20) * 8 / 1e9))
end

set_flows("udp")
for _, size in ipairs(sizes) do
	search(size)
end
finish()
