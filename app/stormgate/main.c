// The life of the process: read the file, start everything in order, serve until told to stop, and
// take everything down in the opposite order.
#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "base/option_error.h"
#include "control/config_file.h"
#include "service/validate.h"

#include "gateway.h"
#include "kernel_ports.h"

static const char usage[] =
	"usage: stormgate -c FILE [--check]\n"
	"\n"
	"An L4 ingress gateway. Runs in the foreground, logs to stderr, ends on SIGTERM or SIGINT, and\n"
	"reads FILE again on SIGHUP.\n"
	"Change services while it runs with stormctl.\n"
	"\n"
	"  -c, --config FILE   the configuration, e.g. /etc/stormgate/stormgate.conf\n"
	"      --check         only validate FILE: exit 0 if it is good, 1 with a sentence if not\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n";

struct options {
	const char *config;
	bool check;
};

// Returns the exit status when there is nothing more to do, otherwise -1.
static int read_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:hV", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret_options->config = optarg;
			break;
		case 'n':
			ret_options->check = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("stormgate " SG_VERSION);
			return 0;
		default:
			sg_option_error(argv, option, "stormgate");
			return 2;
		}
	}
	if (optind < argc) {
		sg_log_error("\"%s\" is no option: see stormgate --help", argv[optind]);
		return 2;
	}
	if (!ret_options->config) {
		sg_log_error("-c FILE is wanted, the configuration: see stormgate --help");
		return 2;
	}
	return -1;
}

static void print_config_error(const char *file, const struct sg_error *error)
{
	if (error->line > 0)
		fprintf(stderr, "%s:%d: %s\n", file, error->line, error->text);
	else
		fprintf(stderr, "%s: %s\n", file, error->text);
}

static void print_warning(void *file, int line, const char *text)
{
	if (line > 0)
		sg_log_warning("%s:%d: %s", (const char *)file, line, text);
	else
		sg_log_warning("%s: %s", (const char *)file, text);
}

int main(int argc, char **argv)
{
	static struct sg_settings settings; // too large for a stack
	struct options options = {0};
	struct sg_state state;
	struct sg_error error = {0};
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	if (sg_config_file_read(options.config, &settings, &state, &error) < 0) {
		print_config_error(options.config, &error);
		return 1;
	}
	sg_validate_settings_warnings(&settings, print_warning, (void *)options.config);
	sg_validate_state_warnings(&state, NULL, print_warning, (void *)options.config);
	if (options.check) {
		printf("%s: good, %u services\n", options.config, state.n_services);
		sg_state_fini(&state);
		return 0;
	}
	if (sg_kernel_ports_check(&settings, &error) < 0) {
		print_config_error(options.config, &error);
		sg_state_fini(&state);
		return 1;
	}
	if (sg_gateway_run(options.config, &settings, &state, &error) < 0) {
		sg_log_error("%s", error.text);
		return 1;
	}
	return 0;
}
