/* sessiond: sessions over HTTP, kept in the Redis that the Sentinels call primary.
 *
 * The order of the parts, each in a file of its own with a header that explains it:
 *   http (request) -> routes -> store (hold) -> rconn -> Redis;  store -> sentinel -> rconn -> Sentinels, ROLE */
#include "config.h"
#include "http.h"
#include "log.h"
#include "notify.h"
#include "routes.h"
#include "store.h"
#include "tls.h"
#include "version.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_POLL_MS 10

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: sessiond --config FILE [--port N] [--check]\n"
    "       sessiond --version\n"
    "  --config FILE  settings, `key = value` a line\n"
    "  --port N       port to listen on, instead of the file's\n"
    "  --check        read the file, say what is wrong with it, and end\n"
    "SIGHUP reads the file again, SIGTERM ends after the requests under way.\n";

struct args {
  const char *config;
  char *port;
  int check, version;
};

struct app {
  uv_loop_t loop;
  struct args args;
  struct config config;
  struct tls *tls; /* of the config that was read last; the store's once it has taken it over */
  struct store *store;
  struct http_server *http;
  uv_signal_t signals[3];
  uv_timer_t drain, watchdog;
  uint64_t drain_until; /* 0: not stopping */
};

static bool parse_args(struct args *a, int argc, char **argv) {
  const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"port", required_argument, NULL, 'p'},
                                   {"check", no_argument, &a->check, 1}, {"version", no_argument, &a->version, 1}, {0}};
  bool good = true;
  for (int o = 0; o != -1; o = getopt_long(argc, argv, "", options, NULL)) {
    if (o == 'c') a->config = optarg;
    if (o == 'p') a->port = optarg;
    if (o == '?') good = false;
  }
  good = good && optind == argc && (a->config != NULL || a->version);
  if (!good) fputs(usage, stderr);
  return good;
}

/* The file, what overrules it, and the files that it names. */
static bool load(struct app *app, struct config *c, char error[static CONFIG_ERROR_MAX]) {
  if (!config_load(c, app->args.config, error)) return false;
  if (app->args.port != NULL && !config_set(c, "port", app->args.port, "--port", error)) return false;
  bool plain = c->tls_ca[0] == '\0';
  app->tls = plain ? NULL : tls_new(c->tls_ca, c->tls_cert, c->tls_key, c->tls_name, error, CONFIG_ERROR_MAX);
  return plain || app->tls != NULL;
}

static bool reload(struct app *app) {
  struct config old = app->config, new;
  char error[CONFIG_ERROR_MAX];
  if (!load(app, &new, error)) {
    log_line(LOG_ERROR, "%s", error);
    return false;
  }
  if (strcmp(new.listen, old.listen) != 0 || new.port != old.port) log_line(LOG_ERROR, "listen and port change with a restart only");
  memcpy(new.listen, old.listen, sizeof new.listen);
  new.port = old.port;
  app->config = new;
  if (store_reload(app->store, app->tls)) return true;
  tls_free(app->tls);
  app->config = old;
  return false;
}

/* Until the connections are closed, or it has taken too long. Closes what is left; the loop then ends by itself. */
static void on_drain(uv_timer_t *timer) {
  struct app *app = timer->data;
  if (metrics.connections > 0 && uv_now(&app->loop) < app->drain_until) return;
  if (metrics.connections > 0) log_line(LOG_ERROR, "%u connections were cut: not finished within drain-ms", (unsigned)metrics.connections);
  http_stop(app->http);
  store_stop(app->store);
  for (size_t i = 0; i < sizeof app->signals / sizeof app->signals[0]; i++) uv_close((uv_handle_t *)&app->signals[i], NULL);
  uv_close((uv_handle_t *)&app->watchdog, NULL);
  uv_close((uv_handle_t *)&app->drain, NULL);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct app *app = handle->data;
  if (app->drain_until != 0) return;
  if (number == SIGHUP) {
    notify_reloading();
    log_line(LOG_INFO, "%s: %s", app->args.config, reload(app) ? "read again" : "not taken over, the settings stay as they were");
    notify_send("READY=1");
    return;
  }
  log_line(LOG_INFO, "signal %d: draining %u connections", number, (unsigned)metrics.connections);
  notify_send("STOPPING=1");
  app->drain_until = uv_now(&app->loop) + app->config.drain_ms;
  http_drain(app->http);
  uv_timer_start(&app->drain, on_drain, 0, DRAIN_POLL_MS);
}

static bool start(struct app *app) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  unsigned port = app->config.port;
  if (uv_loop_init(&app->loop) == 0) app->store = store_new(&app->loop, &app->config, app->tls);
  if (app->store != NULL) app->http = http_new(&app->loop, &app->config, &routes_events, app->store);
  if (app->http == NULL) {
    log_line(LOG_ERROR, "out of memory");
    return false;
  }
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    uv_signal_init(&app->loop, &app->signals[i]);
    app->signals[i].data = app;
    uv_signal_start(&app->signals[i], on_signal, numbers[i]);
  }
  uv_timer_init(&app->loop, &app->drain);
  app->drain.data = app;
  notify_init(&app->watchdog, &app->loop);
  int rc = http_listen(app->http, app->config.listen, &port);
  if (rc != 0) {
    log_line(LOG_ERROR, "cannot listen on %s port %u: %s", app->config.listen, app->config.port, uv_strerror(rc));
    return false;
  }
  log_line(LOG_INFO, "version %s listens on %s port %u", SESSIOND_VERSION, app->config.listen, port);
  notify_send("READY=1");
  return true;
}

int main(int argc, char **argv) {
  static struct app app; /* large, and lives as long as the process */
  char error[CONFIG_ERROR_MAX];
  if (!parse_args(&app.args, argc, argv)) return EXIT_USAGE;
  if (app.args.version) {
    puts("sessiond " SESSIOND_VERSION);
    return EXIT_SUCCESS;
  }
  if (!load(&app, &app.config, error)) {
    fprintf(stderr, "%s\n", error);
    return EXIT_USAGE;
  }
  if (app.args.check) return EXIT_SUCCESS;
  signal(SIGPIPE, SIG_IGN);
  if (!start(&app)) return EXIT_FAILURE; /* the system takes back what was opened */
  uv_run(&app.loop, UV_RUN_DEFAULT);
  http_free(app.http);
  store_free(app.store);
  if (uv_loop_close(&app.loop) != 0) log_line(LOG_ERROR, "the loop ended with open handles");
  log_line(LOG_INFO, "ended");
  return EXIT_SUCCESS;
}
