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

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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
  unsigned port;
  bool has_port, check, version;
};

struct app {
  uv_loop_t loop;
  struct args args;
  struct config config;
  struct store *store;
  struct routes *routes;
  struct http_server *http;
  struct notify notify;
  uv_signal_t term, interrupt, hangup;
  uv_timer_t drain;
  bool stopping;
};

static bool parse_port(const char *text, unsigned *port) {
  char *end = NULL;
  if (text == NULL || *text < '0' || *text > '9') return false;
  unsigned long n = strtoul(text, &end, 10);
  *port = (unsigned)n;
  return *end == '\0' && n <= 65535;
}

static bool parse_args(struct args *a, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--version") == 0) {
      a->version = true;
    } else if (strcmp(argv[i], "--check") == 0) {
      a->check = true;
    } else if (strcmp(argv[i], "--config") == 0 && value != NULL) {
      a->config = value;
      i++;
    } else if (strcmp(argv[i], "--port") == 0 && parse_port(value, &a->port)) {
      a->has_port = true;
      i++;
    } else {
      fprintf(stderr, "sessiond: cannot use argument \"%s\"\n%s", argv[i], usage);
      return false;
    }
  }
  if (a->config == NULL && !a->version) fputs(usage, stderr);
  return a->config != NULL || a->version;
}

/* Closes what is left; the loop then ends by itself. */
static void stop(struct app *app) {
  http_stop(app->http);
  store_stop(app->store);
  notify_stop(&app->notify);
  uv_close((uv_handle_t *)&app->term, NULL);
  uv_close((uv_handle_t *)&app->interrupt, NULL);
  uv_close((uv_handle_t *)&app->hangup, NULL);
  uv_close((uv_handle_t *)&app->drain, NULL);
}

static void on_drain_deadline(uv_timer_t *timer) {
  struct app *app = timer->data;
  unsigned left = http_connections(app->http);
  if (left > 0) log_error("%u connections were cut: not finished within drain-ms", left);
  stop(app);
}

/* Not stop() itself: this comes from inside a connection that is being closed. */
static void on_drained(void *arg) {
  struct app *app = arg;
  uv_timer_start(&app->drain, on_drain_deadline, 0, 0);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct app *app = handle->data;
  if (app->stopping) return;
  app->stopping = true;
  log_info("signal %d: draining %u connections", number, http_connections(app->http));
  notify_send(&app->notify, "STOPPING=1");
  uv_timer_start(&app->drain, on_drain_deadline, app->config.drain_ms, 0);
  http_drain(app->http, on_drained, app);
}

/* As many open files as we may have. Where that fails, what there is has to do. */
static void raise_descriptors(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static struct http_options limits(const struct config *c) {
  return (struct http_options){
      .client_timeout_ms = c->client_timeout_ms, .body_max = c->body_max, .connections_max = c->connections_max};
}

/* The file, and the files that it names. */
static bool load(struct config *c, const struct args *args, char error[static CONFIG_ERROR_MAX]) {
  if (!config_load(c, args->config, error)) return false;
  if (args->has_port) c->port = args->port;
  if (c->tls_ca[0] == '\0') return true;
  struct tls *tls = tls_new(c->tls_ca, c->tls_cert, c->tls_key, c->tls_name, error, CONFIG_ERROR_MAX);
  tls_free(tls);
  return tls != NULL;
}

static bool reload(struct app *app) {
  struct config old = app->config, new;
  char error[CONFIG_ERROR_MAX];
  if (!load(&new, &app->args, error)) {
    log_error("%s", error);
    return false;
  }
  if (strcmp(new.listen, old.listen) != 0 || new.port != old.port) log_error("listen and port change with a restart only");
  memcpy(new.listen, old.listen, sizeof new.listen);
  new.port = old.port;
  app->config = new;
  if (!store_reload(app->store)) {
    app->config = old;
    return false;
  }
  struct http_options o = limits(&app->config);
  http_set_limits(app->http, &o);
  return true;
}

static void on_hangup(uv_signal_t *handle, int number) {
  struct app *app = handle->data;
  (void)number;
  if (app->stopping) return;
  notify_reloading(&app->notify);
  log_info("%s: %s", app->args.config, reload(app) ? "read again" : "not taken over, the settings stay as they were");
  notify_send(&app->notify, "READY=1");
}

static void watch(struct app *app, uv_signal_t *handle, uv_signal_cb fn, int number) {
  uv_signal_init(&app->loop, handle);
  handle->data = app;
  uv_signal_start(handle, fn, number);
}

static bool start(struct app *app) {
  struct http_options o = limits(&app->config);
  unsigned port = app->config.port;
  app->store = store_new(&app->loop, &app->config);
  app->routes = app->store != NULL ? routes_new(app->store) : NULL;
  app->http = app->routes != NULL ? http_new(&app->loop, &o, &routes_events, app->routes) : NULL;
  if (app->http == NULL) {
    log_error("out of memory");
    return false;
  }
  routes_serve(app->routes, app->http);
  int rc = http_listen(app->http, app->config.listen, &port);
  if (rc != 0) {
    log_error("cannot listen on %s port %u: %s", app->config.listen, app->config.port, uv_strerror(rc));
    return false;
  }
  log_info("version %s listens on %s port %u", SESSIOND_VERSION, app->config.listen, port);
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
  if (!load(&app.config, &app.args, error)) {
    fprintf(stderr, "%s\n", error);
    return EXIT_USAGE;
  }
  if (app.args.check) return EXIT_SUCCESS;
  signal(SIGPIPE, SIG_IGN);
  raise_descriptors();
  if (uv_loop_init(&app.loop) < 0) {
    log_error("cannot make an event loop");
    return EXIT_FAILURE;
  }
  uv_timer_init(&app.loop, &app.drain);
  app.drain.data = &app;
  watch(&app, &app.term, on_signal, SIGTERM);
  watch(&app, &app.interrupt, on_signal, SIGINT);
  watch(&app, &app.hangup, on_hangup, SIGHUP);
  notify_init(&app.notify, &app.loop);
  if (!start(&app)) return EXIT_FAILURE; /* the system takes back what was opened */
  notify_send(&app.notify, "READY=1");
  uv_run(&app.loop, UV_RUN_DEFAULT);
  http_free(app.http);
  store_free(app.store);
  routes_free(app.routes);
  if (uv_loop_close(&app.loop) != 0) log_error("the loop ended with open handles");
  log_info("ended");
  return EXIT_SUCCESS;
}
