// A client of the control socket that asks for much: one line out, one line in, blocking.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SG_CLIENT_BACKENDS 10 // of each service

struct sg_client {
	int fd;
	uint64_t random;
	unsigned services;
	unsigned n_late; // answers that came before all workers used the change
	char *request;
	size_t request_bytes;
	char *answer;
	size_t answer_size;
};

// Ends the program with a sentence when there is no socket within some seconds.
void sg_client_open(struct sg_client *client, const char *socket, unsigned services);
void sg_client_close(struct sg_client *client);

// Each waits for its answer, and ends the program with it if it is a refusal.
// All services at once; `weight` makes each apply a change.
void sg_client_apply(struct sg_client *client, unsigned weight);
// `n` backends of random services get another weight, in one transaction.
void sg_client_change(struct sg_client *client, unsigned n);
// A list of up to `limit` flows. Returns its bytes.
size_t sg_client_flows(struct sg_client *client, unsigned limit);
// Any method. `params` are the members of its object.
void sg_client_ask(struct sg_client *client, const char *method, const char *params);
