// The limits of a configuration: each is checked when a change is validated, and answered with a
// sentence.
#pragma once

#define SG_MAX_PORTS            32 // devices, and VLANs of them
#define SG_MAX_VLAN             4094
#define SG_MAX_WORKERS          64
#define SG_MAX_SERVICES         16384  // service slots, draining ones included
#define SG_MAX_BACKENDS         262144 // backend slots, draining ones included
#define SG_MAX_SERVICE_BACKENDS 4096   // of one service
#define SG_MAX_SERVICE_PREFIXES 10000  // of one service's `allow`, or `deny`
#define SG_MAX_POLICY_PREFIXES  10000  // of `allow`, or `deny`, for all services
#define SG_MAX_SNAT_ADDRESSES   256
#define SG_MAX_BACKEND_CIDRS    1024
#define SG_MAX_HOPS             65536 // next hops; index 0 is "none"
#define SG_MAX_MTU              64000 // a packet's buffer, headers and all, has at most 65535 bytes
#define SG_MAX_NAME_BYTES       64    // of a service, an owner, a port, an instance; with the NUL
#define SG_MAX_WEIGHT           65535
#define SG_BACKENDS_PER_PAGE    256
