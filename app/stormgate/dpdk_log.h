// What DPDK says, kept away from the operator's screen until it matters.
//
// DPDK explains a failure in several lines of its own words. During start they are caught here, and
// the first of them that is an error, closest to the cause, ends up in our one sentence. Once
// running, warnings and errors become log lines. Opened once, before EAL starts; any thread of DPDK
// may speak.
#pragma once

void sg_dpdk_log_open(void);
void sg_dpdk_log_close(void);

// Forgets what was caught, before an attempt that may fail. Start-up only, main thread.
void sg_dpdk_log_forget(void);
// The first error caught since, without its newline; "no reason given" when DPDK was silent.
const char *sg_dpdk_log_reason(void);
// From now on every line becomes a warning of ours.
void sg_dpdk_log_speak(void);
