// The mirror's sockets, see mirror.h: what the kernel tells goes into the model, what the model
// wants is asked.
//
// Two sockets: one hears events, the other asks and waits for the answer. An event about an
// address, a route or a link only says "dump again": the kernel drops routes without a word when a
// link goes down, and says little about order among equals, so the dump alone is the truth. Dumps
// follow the first event at once, and then have a pause that grows with their cost, so that a
// routing protocol that converges cannot keep us busy. Neighbours are followed one by one: their
// events are complete.
#include "control/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/mirror_model.h"

#define EVENT_BUFFER_BYTES (4 << 20) // of the event socket: some 10,000 changes between two calls
#define MIN_DUMP_PAUSE_MS  2
#define DUMP_PAUSE_FACTOR  2 // a pause is this many times what the dump took
#define MAX_DUMP_TRIES     5

struct sg_mirror {
	struct sg_mirror_model model;
	struct mnl_socket *events;
	struct mnl_socket *requests;
	uint32_t sequence; // of the last request
	int timer_fd;
	int epoll_fd; // covers the events and the timer
	bool routes_stale;
	bool neighbours_stale;
	uint64_t dump_at_ms; // not before
	bool told_full;
	bool told_overflow;
	_Alignas(struct nlmsghdr) char buffer[32768];
};

// Opening and closing.

static struct mnl_socket *open_socket(int flags)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	int one = 1;

	if (!socket)
		return NULL;
	// Lets the kernel filter dumps by table; older ones ignore it, and the parser filters
	// again.
	mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		return socket;
	mnl_socket_close(socket);
	return NULL;
}

static int subscribe(struct sg_mirror *mirror)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP};
	int bytes = EVENT_BUFFER_BYTES;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];
		int err = mnl_socket_setsockopt(
			mirror->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));

		// Next hop objects came with Linux 5.3.
		if (err && group != RTNLGRP_NEXTHOP)
			return -errno;
	}
	// Without CAP_NET_ADMIN the default size remains, and an overrun only costs a dump.
	setsockopt(mnl_socket_get_fd(mirror->events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		sizeof(bytes));
	return 0;
}

static int watch(const struct sg_mirror *mirror, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(mirror->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_descriptors(struct sg_mirror *mirror)
{
	int err;

	mirror->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	mirror->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (mirror->epoll_fd < 0 || mirror->timer_fd < 0)
		return -errno;
	mirror->events = open_socket(SOCK_NONBLOCK);
	mirror->requests = open_socket(0);
	if (!mirror->events || !mirror->requests)
		return -errno;
	err = subscribe(mirror);
	if (!err)
		err = watch(mirror, mnl_socket_get_fd(mirror->events));
	if (!err)
		err = watch(mirror, mirror->timer_fd);
	return err;
}

int sg_mirror_open(struct sg_mirror **ret_mirror, const struct sg_mirror_port *ports,
	unsigned n_ports, struct sg_error *error)
{
	struct sg_mirror *mirror = calloc(1, sizeof(*mirror));
	bool changed;
	int err;

	if (!mirror)
		return sg_error_set(
			error, -ENOMEM, "out of memory for the mirror of the kernel's routes");
	mirror->epoll_fd = mirror->timer_fd = -1;
	err = sg_mirror_model_init(&mirror->model, ports, n_ports);
	if (!err)
		err = open_descriptors(mirror);
	if (err) {
		sg_mirror_close(mirror);
		return sg_error_set(
			error, err, "the kernel's routes cannot be followed: %s", strerror(-err));
	}
	mirror->routes_stale = mirror->neighbours_stale = true;
	err = sg_mirror_receive(mirror, &changed, error);
	if (err) {
		sg_mirror_close(mirror);
		return err;
	}
	*ret_mirror = mirror;
	return 0;
}

void sg_mirror_close(struct sg_mirror *mirror)
{
	if (!mirror)
		return;
	if (mirror->events)
		mnl_socket_close(mirror->events);
	if (mirror->requests)
		mnl_socket_close(mirror->requests);
	if (mirror->timer_fd >= 0)
		close(mirror->timer_fd);
	if (mirror->epoll_fd >= 0)
		close(mirror->epoll_fd);
	sg_mirror_model_fini(&mirror->model);
	free(mirror);
}

int sg_mirror_fd(const struct sg_mirror *mirror)
{
	return mirror->epoll_fd;
}

// Dumps.

static int take_address(const struct nlmsghdr *message, void *context)
{
	struct sg_mirror_model *model = context;
	struct sg_mirror_address address;

	if (message->nlmsg_type == RTM_NEWADDR &&
		sg_mirror_parse_address(message, model->ports, model->n_ports, &address) == 0 &&
		sg_mirror_model_add_address(model, &address)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int take_route(const struct nlmsghdr *message, void *context)
{
	struct sg_mirror_model *model = context;
	struct sg_mirror_route route;

	if (message->nlmsg_type == RTM_NEWROUTE &&
		sg_mirror_parse_route(message, model->ports, model->n_ports, &route) == 0 &&
		sg_mirror_model_add_route(model, &route)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int take_neighbour(const struct nlmsghdr *message, void *context)
{
	struct sg_mirror_model *model = context;
	struct sg_mirror_neighbour neighbour;

	if (sg_mirror_parse_neighbour(message, model->ports, model->n_ports, &neighbour) == 0)
		sg_mirror_model_set_neighbour(model, &neighbour, sg_clock_ms());
	return MNL_CB_OK;
}

// Sends one request and gives every answer to `take` (NULL: only an acknowledgement is awaited).
// Returns 0, what the kernel answered, or -EINTR when a dump was overtaken by a change.
static int request(struct sg_mirror *mirror, struct nlmsghdr *message, mnl_cb_t take)
{
	unsigned port_id = mnl_socket_get_portid(mirror->requests);
	int result;

	message->nlmsg_seq = ++mirror->sequence;
	if (mnl_socket_sendto(mirror->requests, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t length = mnl_socket_recvfrom(
			mirror->requests, mirror->buffer, sizeof(mirror->buffer));

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		result = mnl_cb_run(mirror->buffer, (size_t)length, mirror->sequence, port_id, take,
			&mirror->model);
		// A late answer to a request that was given up is none to this one.
		if (result < 0 && errno == ESRCH)
			result = MNL_CB_OK;
	} while (result == MNL_CB_OK);
	return result == MNL_CB_ERROR ? -errno : 0;
}

static int dump(
	struct sg_mirror *mirror, uint16_t type, uint8_t family, size_t head_bytes, mnl_cb_t take)
{
	_Alignas(struct nlmsghdr) char space[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *message = mnl_nlmsg_put_header(space);
	uint8_t *head;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	head = mnl_nlmsg_put_extra_header(message, head_bytes);
	// The first byte of each of these heads is the address family.
	head[0] = family;
	if (type == RTM_GETROUTE)
		((struct rtmsg *)head)->rtm_table = RT_TABLE_MAIN;
	return request(mirror, message, take);
}

static int dump_routes(struct sg_mirror *mirror)
{
	int err = -EINTR;

	for (unsigned tries = 0; err == -EINTR && tries < MAX_DUMP_TRIES; tries++) {
		sg_mirror_model_begin_routes(&mirror->model);
		err = dump(mirror, RTM_GETADDR, AF_UNSPEC, sizeof(struct ifaddrmsg), take_address);
		if (!err)
			err = dump(mirror, RTM_GETROUTE, AF_INET, sizeof(struct rtmsg), take_route);
		// A kernel without IPv6 answers with what it has: the same once more, which changes
		// nothing.
		if (!err)
			err = dump(
				mirror, RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg), take_route);
	}
	if (!err)
		err = sg_mirror_model_commit_routes(&mirror->model, sg_clock_ms());
	return err;
}

static int dump_neighbours(struct sg_mirror *mirror)
{
	int err;

	sg_mirror_model_begin_neighbours(&mirror->model);
	err = dump(mirror, RTM_GETNEIGH, AF_UNSPEC, sizeof(struct ndmsg), take_neighbour);
	sg_mirror_model_commit_neighbours(&mirror->model, sg_clock_ms());
	return err;
}

// Dumps what is stale. An interrupted dump or a lack of memory leaves it stale, to be tried again
// after the pause.
static int refresh(struct sg_mirror *mirror)
{
	uint64_t begun_ms = sg_clock_ms();
	int err = 0;

	if (!(mirror->routes_stale || mirror->neighbours_stale) || begun_ms < mirror->dump_at_ms)
		return 0;
	if (mirror->neighbours_stale) {
		err = dump_neighbours(mirror);
		mirror->neighbours_stale = err != 0;
	}
	if (!err && mirror->routes_stale) {
		err = dump_routes(mirror);
		mirror->routes_stale = err != 0;
	}
	mirror->dump_at_ms =
		sg_clock_ms() + MIN_DUMP_PAUSE_MS + DUMP_PAUSE_FACTOR * (sg_clock_ms() - begun_ms);
	return err == -EINTR || err == -ENOMEM || err == -ENOBUFS ? 0 : err;
}

// Events.

static int take_event(const struct nlmsghdr *message, void *context)
{
	struct sg_mirror *mirror = context;

	if (message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH)
		return take_neighbour(message, &mirror->model);
	mirror->routes_stale = true;
	return MNL_CB_OK;
}

static int read_events(struct sg_mirror *mirror)
{
	for (;;) {
		ssize_t length =
			mnl_socket_recvfrom(mirror->events, mirror->buffer, sizeof(mirror->buffer));

		if (length < 0 && errno == EAGAIN)
			return 0;
		if (length < 0 && errno == ENOBUFS) {
			mirror->routes_stale = mirror->neighbours_stale = true;
			continue;
		}
		if (length < 0 && errno != EINTR)
			return -errno;
		if (length > 0)
			mnl_cb_run(mirror->buffer, (size_t)length, 0, 0, take_event, mirror);
	}
}

// Questions.

static void ask(void *context, const struct sg_mirror_hop *hop, bool keep)
{
	struct sg_mirror *mirror = context;
	_Alignas(struct nlmsghdr) char space[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *message = mnl_nlmsg_put_header(space);
	struct ndmsg *head;
	int err;

	message->nlmsg_type = RTM_NEWNEIGH;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	head->ndm_family = hop->addr.family == SG_FAMILY_IPV4 ? AF_INET : AF_INET6;
	head->ndm_ifindex = mirror->model.ports[hop->port].ifindex;
	// Alone, NTF_USE also ends an earlier NTF_EXT_MANAGED: that is how the kernel is told that
	// we need it no more.
	head->ndm_flags = NTF_USE;
	mnl_attr_put(message, NDA_DST, sg_family_bits(hop->addr.family) / 8, hop->addr.bytes);
	if (keep)
		mnl_attr_put_u32(message, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	err = request(mirror, message, NULL);
	if (err == -ENOBUFS && !mirror->told_overflow) {
		sg_log_warning(
			"the kernel's neighbour table is full, so next hops cannot be resolved: raise "
			"net.%s.neigh.default.gc_thresh3",
			head->ndm_family == AF_INET ? "ipv4" : "ipv6");
		mirror->told_overflow = true;
	}
}

// When the descriptor has to become readable without an event.
static void arm_timer(struct sg_mirror *mirror)
{
	struct itimerspec timer = {0};
	uint64_t at_ms = mirror->model.ask_at_ms;

	if ((mirror->routes_stale || mirror->neighbours_stale) && mirror->dump_at_ms < at_ms)
		at_ms = mirror->dump_at_ms;
	if (at_ms != UINT64_MAX) {
		timer.it_value.tv_sec = (time_t)(at_ms / 1000);
		timer.it_value.tv_nsec =
			(long)(at_ms % 1000) * 1000000 + 1; // all zero would disarm it
	}
	timerfd_settime(mirror->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

int sg_mirror_receive(struct sg_mirror *mirror, bool *ret_changed, struct sg_error *error)
{
	int err = read_events(mirror);

	if (!err)
		err = refresh(mirror);
	if (err)
		return sg_error_set(error, err,
			"the kernel's routes cannot be followed any more: %s", strerror(-err));
	sg_mirror_model_ask(&mirror->model, sg_clock_ms(), ask, mirror);
	arm_timer(mirror);
	if (mirror->model.full && !mirror->told_full) {
		sg_log_warning("more than %u neighbours: those beyond have no next hop",
			SG_MIRROR_MAX_INDICES);
		mirror->told_full = true;
	}
	*ret_changed = mirror->model.changed;
	return 0;
}

struct sg_routes *sg_mirror_build(struct sg_mirror *mirror)
{
	return sg_mirror_model_build(&mirror->model);
}

const struct sg_mirror_elsewhere *sg_mirror_get_elsewhere(const struct sg_mirror *mirror)
{
	return &mirror->model.elsewhere;
}

bool sg_mirror_keep(struct sg_mirror *mirror, const struct sg_addr *addresses, unsigned n)
{
	// Without memory the old ones are kept, and the next change of the configuration tries
	// again.
	sg_mirror_model_keep(&mirror->model, addresses, n, sg_clock_ms());
	sg_mirror_model_ask(&mirror->model, sg_clock_ms(), ask, mirror);
	arm_timer(mirror);
	return mirror->model.changed;
}

void sg_mirror_use(struct sg_mirror *mirror, unsigned port, const struct sg_addr *addr)
{
	struct sg_mirror_hop hop = {.port = (uint8_t)port};
	uint32_t index;

	if (port >= mirror->model.n_ports)
		return;
	hop.addr = sg_mirror_model_next_hop(&mirror->model, port, addr);
	index = sg_mirror_hops_find(&mirror->model.hops, hop.port, &hop.addr);
	// Asking for an operator's permanent entry would make it an ordinary one.
	if (index && mirror->model.hops.hops[index].reachability == SG_MIRROR_FIXED)
		return;
	// One that is kept must be asked for as such, or the kernel would stop managing it.
	ask(mirror, &hop, index && sg_mirror_hop_wanted(&mirror->model.hops.hops[index]));
}
