// Catching DPDK's log, see dpdk_log.h.
#include "dpdk_log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "base/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char reason[200];
static bool speaking;
static FILE *stream;

// One line, or a piece of one, from rte_log.
static ssize_t take_line(void *unused, const char *text, size_t length)
{
	int shown = (int)strcspn(text, "\n");

	(void)unused;
	if (shown > (int)length)
		shown = (int)length;
	if (shown == 0)
		return (ssize_t)length;
	pthread_mutex_lock(&lock);
	if (speaking)
		sg_log_warning("DPDK: %.*s", shown, text);
	else if (!reason[0] && rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR)
		snprintf(reason, sizeof(reason), "%.*s", shown, text);
	pthread_mutex_unlock(&lock);
	return (ssize_t)length;
}

void sg_dpdk_log_open(void)
{
	static const cookie_io_functions_t functions = {.write = take_line};

	stream = fopencookie(NULL, "w", functions);
	if (!stream)
		return; // DPDK's own words on stderr are better than none
	setvbuf(stream, NULL, _IOLBF, 1024);
	rte_openlog_stream(stream);
	rte_log_set_global_level(RTE_LOG_WARNING);
}

void sg_dpdk_log_close(void)
{
	rte_openlog_stream(NULL);
	if (stream)
		fclose(stream);
	stream = NULL;
}

void sg_dpdk_log_forget(void)
{
	pthread_mutex_lock(&lock);
	reason[0] = '\0';
	pthread_mutex_unlock(&lock);
}

const char *sg_dpdk_log_reason(void)
{
	return reason[0] ? reason : "no reason given";
}

void sg_dpdk_log_speak(void)
{
	pthread_mutex_lock(&lock);
	speaking = true;
	pthread_mutex_unlock(&lock);
}
