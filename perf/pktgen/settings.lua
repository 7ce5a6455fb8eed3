-- What the other scripts of this directory measure: edit it, or copy the directory and edit the copy.
-- README.md says how the gateway is prepared for it.

settings = {
	send_port = "0",                    -- Pktgen's port on the clients' side
	receive_port = "1",                 -- and on the pods' side; the same where the gateway has one arm
	gateway_mac = "02:00:00:00:57:00",  -- of the gateway's port on the clients' side (stormgate says it at start)
	vip = "192.0.2.10",
	port = 80,                          -- of a UDP service
	clients_from = "198.18.0.1",        -- clients have addresses from here to there,
	clients_to = "198.18.15.254",
	client_ports = 15,                  -- and so many ports. Both step together, so the flows are 4,094 x 15 =
	                                    -- 61,410 only because these two numbers have no common factor.
	size = 64,                          -- bytes of a frame, with its check sequence
	seconds = 10,                       -- of each trial
	settle_seconds = 2,                 -- for what is on its way when a trial ends
}
