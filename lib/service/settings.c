// The design's defaults, see settings.h.
#include "service/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/refs.h"

static void fill(uint32_t *seconds, uint32_t value)
{
	if (*seconds == 0)
		*seconds = value;
}

void sg_timeouts_fill(struct sg_timeouts *timeouts)
{
	fill(&timeouts->syn, 30);
	fill(&timeouts->tcp, 900);
	fill(&timeouts->tcp_half_closed, 900);
	fill(&timeouts->tcp_fin, 10);
	fill(&timeouts->udp_new, 10);
	fill(&timeouts->udp, 300);
	fill(&timeouts->drain, 30);
}

void sg_settings_init(struct sg_settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	snprintf(settings->instance, sizeof(settings->instance), "stormgate");
	settings->control_cpu = -1;
	settings->flows_per_worker = 1048576;
	settings->hugepages = true;
	settings->poll = SG_POLL_BUSY;
	settings->unserved = SG_UNSERVED_DROP;
	settings->snat_port_min = 1024;
	settings->snat_port_max = 65535;
	sg_timeouts_fill(&settings->timeouts);
	snprintf(settings->socket_path, sizeof(settings->socket_path),
		"/run/stormgate/stormgate.sock");
	settings->socket_mode = 0660;
	settings->monitor_mode = 0660;
	settings->shutdown_timeout_s = SG_DEFAULT_SHUTDOWN_TIMEOUT_S;
}

struct sg_shared_settings *sg_shared_settings_create(const struct sg_settings *settings)
{
	struct sg_shared_settings *shared = malloc(sizeof(*shared));

	if (!shared)
		return NULL;
	shared->refs = 1;
	shared->settings = *settings;
	return shared;
}

struct sg_shared_settings *sg_shared_settings_ref(struct sg_shared_settings *shared)
{
	if (shared)
		sg_refs_take(&shared->refs);
	return shared;
}

void sg_shared_settings_unref(struct sg_shared_settings *shared)
{
	if (shared && sg_refs_drop(&shared->refs))
		free(shared);
}
