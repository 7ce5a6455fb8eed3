-- A SYN flood of clients that never answer: `pktgen ... -f perf/pktgen/syn_flood.lua`. The service has to be TCP.
-- What matters is not how much of it comes through, but what becomes of others meanwhile: see README.md.

directory = (os.getenv("PKTGEN_SCRIPTS") or "perf/pktgen") .. "/"
dofile(directory .. "common.lua")

set_flows("tcp", "syn")
for _, percent in ipairs({ 1, 10, 100 }) do
	report("SYN flood", percent, trial(percent))
end
finish()
