-- Many flows at the full rate of the link: `pktgen ... -f perf/pktgen/many_flows.lua`. README.md says how to read it.

directory = (os.getenv("PKTGEN_SCRIPTS") or "perf/pktgen") .. "/"
dofile(directory .. "common.lua")

set_flows("udp")
trial(10) -- makes the flows
report("many flows", 100, trial(100))
finish()
