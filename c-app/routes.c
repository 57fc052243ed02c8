#include "routes.h"

#include <stdlib.h>
#include <string.h>

#define SESSIONS "/v1/sessions/"
#define ID_MAX 128
#define SPARE_MAX 256

/* A request under way in the store. Finished ones are kept for the next requests, so that these allocate nothing. */
struct call {
  struct store_op op; /* first: on_done gets back here */
  struct routes *routes;
  struct http_exchange *x;
  struct call *next_spare;
};

struct routes {
  struct store *store;
  const struct http_server *server;
  struct call *spare;
  unsigned spares;
};

static void answer(struct http_exchange *x, int status, const char *extra, const char *body) {
  http_respond(x, &(struct http_answer){.status = status, .extra = extra, .body = body, .len = strlen(body)});
}

static void unavailable(struct http_exchange *x, const char *why, size_t len) {
  char body[128];
  if (len > sizeof body - 1) len = sizeof body - 1;
  memcpy(body, why, len);
  body[len++] = '\n';
  http_respond(x, &(struct http_answer){.status = 503, .extra = "Retry-After: 1\r\n", .body = body, .len = len});
}

static void on_done(struct store_op *op, enum store_result result, const char *value, size_t len) {
  struct call *call = (struct call *)op;
  struct routes *r = call->routes;
  struct http_exchange *x = call->x;
  enum store_kind kind = op->kind;
  if (r->spares < SPARE_MAX) {
    call->next_spare = r->spare;
    r->spare = call;
    r->spares++;
  } else {
    free(call);
  }
  x->user = NULL;
  if (result == STORE_UNAVAILABLE || result == STORE_UNKNOWN) {
    unavailable(x, value, len);
  } else if (result == STORE_ABSENT) {
    answer(x, 404, NULL, "no such session\n");
  } else if (kind == STORE_GET) {
    http_respond(x, &(struct http_answer){.status = 200, .type = "application/octet-stream", .body = value, .len = len});
  } else {
    answer(x, 204, NULL, "");
  }
}

static void session(struct routes *r, struct http_exchange *x, const char *id, size_t len) {
  static const char id_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (len == 0 || len > ID_MAX || strspn(id, id_chars) < len) {
    answer(x, 400, NULL, "a session's id is 1 to 128 of A-Z a-z 0-9 . _ -\n");
    return;
  }
  enum store_kind kind;
  switch (x->request.method) {
    case HTTP_GET:
    case HTTP_HEAD:
      kind = STORE_GET;
      x->route = ROUTE_SESSION_GET;
      break;
    case HTTP_PUT:
      kind = STORE_SET;
      x->route = ROUTE_SESSION_PUT;
      break;
    case HTTP_DELETE:
      kind = STORE_DELETE;
      x->route = ROUTE_SESSION_DELETE;
      break;
    case HTTP_OPTIONS:
      answer(x, 204, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", "");
      return;
    default:
      answer(x, 405, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", "method not allowed\n");
      return;
  }
  struct call *call = r->spare;
  if (call != NULL) {
    r->spare = call->next_spare;
    r->spares--;
  } else {
    call = malloc(sizeof *call);
  }
  if (call == NULL) {
    unavailable(x, "out of memory", 13);
    return;
  }
  *call = (struct call){.op = {.kind = kind, .id = id, .id_len = len, .value = x->request.body.data, .value_len = x->request.body.len, .done = on_done},
                        .routes = r, .x = x};
  x->user = call;
  store_submit(r->store, &call->op);
}

static void metrics_page(struct routes *r, struct http_exchange *x) {
  struct buf page = {0};
  struct sentinel_stats stats = store_sentinel_stats(r->store);
  struct metrics_now now = {.held_now = store_held(r->store), .discoveries = stats.discoveries, .failovers = stats.failovers,
                            .sentinels = stats.connected, .replicas = store_replicas(r->store), .connections = http_connections(r->server),
                            .has_primary = store_has_primary(r->store), .ready = store_ready(r->store)};
  if (metrics_write(&page, &now)) {
    http_respond(x, &(struct http_answer){.status = 200, .type = "text/plain; version=0.0.4", .body = page.data, .len = page.len});
  } else {
    answer(x, 500, NULL, "out of memory\n");
  }
  buf_free(&page);
}

static void page(struct routes *r, struct http_exchange *x) {
  if (x->request.method == HTTP_OPTIONS) {
    answer(x, 204, "Allow: GET, HEAD, OPTIONS\r\n", "");
  } else if (x->request.method != HTTP_GET && x->request.method != HTTP_HEAD) {
    answer(x, 405, "Allow: GET, HEAD, OPTIONS\r\n", "method not allowed\n");
  } else if (x->route == ROUTE_HEALTHZ) {
    answer(x, 200, NULL, "ok\n");
  } else if (x->route == ROUTE_METRICS) {
    metrics_page(r, x);
  } else if (store_ready(r->store)) {
    answer(x, 200, NULL, "ready\n");
  } else if (store_has_primary(r->store)) {
    unavailable(x, "too few replicas are linked to the primary", 42);
  } else {
    unavailable(x, "no primary", 10);
  }
}

static void on_request(void *owner, struct http_exchange *x) {
  struct routes *r = owner;
  const char *path = x->request.target;
  size_t len = strcspn(path, "?");
  size_t prefix = sizeof SESSIONS - 1;
  if (len > prefix && memcmp(path, SESSIONS, prefix) == 0) {
    session(r, x, path + prefix, len - prefix);
    return;
  }
  if (len == 8 && memcmp(path, "/healthz", len) == 0) x->route = ROUTE_HEALTHZ;
  if (len == 7 && memcmp(path, "/readyz", len) == 0) x->route = ROUTE_READYZ;
  if (len == 8 && memcmp(path, "/metrics", len) == 0) x->route = ROUTE_METRICS;
  if (x->route != ROUTE_NONE) {
    page(r, x);
  } else if (len == 1 && path[0] == '*' && x->request.method == HTTP_OPTIONS) {
    answer(x, 204, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n", "");
  } else {
    answer(x, 404, NULL, "no such path\n");
  }
}

/* A request that was not sent yet is not worth sending any more. */
static void on_gone(void *owner, struct http_exchange *x) {
  struct routes *r = owner;
  struct call *call = x->user;
  if (call != NULL && store_withdraw(r->store, &call->op)) on_done(&call->op, STORE_UNAVAILABLE, "", 0);
}

const struct http_events routes_events = {.request = on_request, .gone = on_gone};

struct routes *routes_new(struct store *store) {
  struct routes *r = calloc(1, sizeof *r);
  if (r != NULL) r->store = store;
  return r;
}

void routes_serve(struct routes *r, const struct http_server *server) { r->server = server; }

void routes_free(struct routes *r) {
  if (r == NULL) return;
  while (r->spare != NULL) {
    struct call *call = r->spare;
    r->spare = call->next_spare;
    free(call);
  }
  free(r);
}
