// Requests as stormctl makes them, see client.h.
#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/random.h"
#include "bench/bench.h"

#define OPEN_TRIES    1000 // of 10 ms
#define REQUEST_BYTES (16u << 20)
#define FIRST_ANSWER  (1u << 20)

void sg_client_open(struct sg_client *client, const char *socket_path, unsigned services)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*client = (struct sg_client){.random = 1,
		.services = services,
		.request = malloc(REQUEST_BYTES),
		.answer = malloc(FIRST_ANSWER),
		.answer_size = FIRST_ANSWER};
	if (!client->request || !client->answer)
		sg_bench_die("no memory");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return;
		close(client->fd);
		usleep(10000);
	}
	sg_bench_die("the control thread does not open its socket");
}

void sg_client_close(struct sg_client *client)
{
	close(client->fd);
	free(client->request);
	free(client->answer);
}

static void put(struct sg_client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct sg_client *client, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	client->request_bytes += (size_t)vsnprintf(client->request + client->request_bytes,
		REQUEST_BYTES - client->request_bytes, format, args);
	va_end(args);
	if (client->request_bytes >= REQUEST_BYTES)
		sg_bench_die("a request is too long");
}

static void begin(struct sg_client *client, const char *method)
{
	client->request_bytes = 0;
	put(client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{", method);
}

static void write_all(struct sg_client *client)
{
	for (size_t at = 0; at < client->request_bytes;) {
		ssize_t n = write(client->fd, client->request + at, client->request_bytes - at);

		if (n <= 0)
			sg_bench_die("the control thread has closed its socket");
		at += (size_t)n;
	}
}

static size_t read_line(struct sg_client *client)
{
	size_t length = 0;

	for (;;) {
		ssize_t n;

		if (length == client->answer_size) {
			client->answer_size *= 2;
			client->answer = realloc(client->answer, client->answer_size);
			if (!client->answer)
				sg_bench_die("no memory");
		}
		n = read(client->fd, client->answer + length, client->answer_size - length);
		if (n <= 0)
			sg_bench_die("the control thread has closed its socket");
		length += (size_t)n;
		if (client->answer[length - 1] == '\n')
			return length;
	}
}

static size_t ask(struct sg_client *client)
{
	static const char refusal[] = "\"error\"", late[] = "\"active\":false";
	size_t length;

	put(client, "}}\n");
	write_all(client);
	length = read_line(client);
	if (memmem(client->answer, length < 300 ? length : 300, refusal, strlen(refusal)))
		sg_bench_die("a request was refused: %.*s", (int)(length < 500 ? length : 500),
			client->answer);
	client->n_late +=
		memmem(client->answer, length < 300 ? length : 300, late, strlen(late)) != NULL;
	return length;
}

static void put_backend(struct sg_client *client, unsigned service, unsigned backend, bool bare)
{
	uint32_t number = service * SG_CLIENT_BACKENDS + backend + 1;

	put(client, "%s\"address\":\"10.%u.%u.%u\",\"port\":8080", bare ? "" : "{", number >> 16,
		number >> 8 & 255, number & 255);
}

void sg_client_apply(struct sg_client *client, unsigned weight)
{
	begin(client, "apply");
	put(client, "\"owner\":\"operator\",\"services\":[");
	for (unsigned i = 0; i < client->services; i++) {
		put(client,
			"%s{\"name\":\"s-%u\",\"vip\":\"203.%u.%u.%u\",\"protocol\":\"tcp\",\"port\":80,"
			"\"maglev_table_size\":1021,\"backends\":[",
			i ? "," : "", i, i >> 16, i >> 8 & 255, i & 255);
		for (unsigned j = 0; j < SG_CLIENT_BACKENDS; j++) {
			put(client, "%s", j ? "," : "");
			put_backend(client, i, j, false);
			put(client, ",\"weight\":%u}", j == 0 ? weight : 1);
		}
		put(client, "]}");
	}
	put(client, "]");
	ask(client);
}

void sg_client_change(struct sg_client *client, unsigned n)
{
	begin(client, "change");
	put(client, "\"changes\":[");
	for (unsigned i = 0; i < n; i++) {
		uint64_t random = sg_random_next(&client->random);
		unsigned service = sg_reduce((uint32_t)(random >> 32), client->services);

		put(client, "%s{\"method\":\"backend set\",\"params\":{\"service\":\"s-%u\",",
			i ? "," : "", service);
		put_backend(client, service, (unsigned)(random % SG_CLIENT_BACKENDS), true);
		put(client, ",\"weight\":%u}}", 1 + (unsigned)(random >> 8 & 127));
	}
	put(client, "]");
	ask(client);
}

size_t sg_client_flows(struct sg_client *client, unsigned limit)
{
	begin(client, "flows");
	put(client, "\"limit\":%u", limit);
	return ask(client);
}

void sg_client_ask(struct sg_client *client, const char *method, const char *params)
{
	begin(client, method);
	put(client, "%s", params);
	ask(client);
}
