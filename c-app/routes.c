#include "routes.h"

#include <stdlib.h>
#include <string.h>

#define SESSIONS "/v1/sessions/"
#define ALLOW_ALL "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"
#define NO_ETAG "?" /* a condition that no version fulfils */

/* A request under way in the store; it lives in the exchange. */
struct call {
  struct store_op op; /* first: on_done gets back here */
  struct http_exchange *x;
};

struct routes {
  struct store *store;
  const struct http_server *server;
};

static void answer(struct http_exchange *x, int status, const char *extra, const char *body) {
  http_respond(x, &(struct http_answer){.status = status, .extra = extra, .body = body, .len = strlen(body)});
}

static void unavailable(struct http_exchange *x, const char *why, size_t len) {
  http_respond(x, &(struct http_answer){.status = 503, .extra = "Retry-After: 1\r\n", .body = why, .len = len});
}

/* A condition as the store takes it: "" for none, "*", an etag without its quotes, or NO_ETAG. Lives in the request. */
static const char *condition(struct request *r, enum request_header which) {
  char *text = r->header[which].text;
  size_t len = r->header[which].len;
  if (!r->header[which].given) return "";
  if (len == 1 && text[0] == '*') return "*";
  if (len != STORE_ETAG_LEN + 2 || text[0] != '"' || text[len - 1] != '"') return NO_ETAG;
  text[len - 1] = '\0';
  return text + 1;
}

static bool fulfils(const char *condition, const char *etag) {
  return etag != NULL && (condition[0] == '*' || strncmp(condition, etag, STORE_ETAG_LEN) == 0);
}

static void on_done(struct store_op *op, enum store_result result, const char *value, size_t len, const char *etag) {
  static const struct {
    int status;
    const char *text;
  } plain[] = {[STORE_OK] = {204, ""},
               [STORE_ABSENT] = {404, "no such session"},
               [STORE_MISMATCH] = {412, "the session has another version"},
               [STORE_REUSED] = {422, "this X-Request-Id came before with another request"}};
  struct http_exchange *x = ((struct call *)op)->x;
  char line[] = "ETag: \"0123456789abcdef\"\r\n", *extra = result == STORE_OK && etag != NULL ? line : NULL;
  if (extra != NULL) memcpy(line + 7, etag, STORE_ETAG_LEN);
  if (result == STORE_UNAVAILABLE || result == STORE_UNKNOWN) {
    unavailable(x, value, len);
    return;
  }
  if (op->kind == STORE_GET) {
    const char *found = extra != NULL ? etag : NULL, *none = condition(&x->request, REQUEST_IF_NONE_MATCH);
    if (op->condition[0] != '\0' && !fulfils(op->condition, found)) {
      result = STORE_MISMATCH;
    } else if (found != NULL) {
      int status = none[0] != '\0' && fulfils(none, found) ? 304 : 200;
      http_respond(x, &(struct http_answer){.status = status, .type = "application/octet-stream", .extra = extra, .body = value, .len = len});
      return;
    }
  }
  answer(x, plain[result].status, result == STORE_OK ? extra : NULL, plain[result].text);
}

static bool is_id(const char *id, size_t len) {
  for (size_t i = 0; i < len; i++) {
    char c = id[i], letter = (char)(c | 32);
    if ((letter < 'a' || letter > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_') return false;
  }
  return len > 0 && len <= STORE_ID_MAX;
}

static bool is_request_id(const char *id, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (id[i] <= ' ' || id[i] > '~') return false;
  }
  return len > 0 && len <= STORE_REQUEST_ID_MAX;
}

static void session(struct routes *r, struct http_exchange *x, const char *id, size_t len) {
  static const struct {
    uint8_t method;
    enum store_kind kind;
    enum metrics_route route;
  } methods[] = {{HTTP_GET, STORE_GET, ROUTE_SESSION_GET}, {HTTP_HEAD, STORE_GET, ROUTE_SESSION_GET},
                 {HTTP_PUT, STORE_SET, ROUTE_SESSION_PUT}, {HTTP_DELETE, STORE_DELETE, ROUTE_SESSION_DELETE}};
  struct request *q = &x->request;
  struct call *call = x->user;
  *call = (struct call){.op = {.id = id, .id_len = len, .value = q->body.data, .value_len = q->body.len, .done = on_done}, .x = x};
  if (!is_id(id, len)) {
    answer(x, 400, NULL, "a session's id is 1 to 128 of A-Z a-z 0-9 . _ -");
    return;
  }
  size_t i = 0;
  while (i < sizeof methods / sizeof methods[0] && methods[i].method != q->method) i++;
  if (i == sizeof methods / sizeof methods[0]) {
    bool options = q->method == HTTP_OPTIONS;
    answer(x, options ? 204 : 405, ALLOW_ALL, options ? "" : "method not allowed");
    return;
  }
  call->op.kind = methods[i].kind;
  x->route = methods[i].route;
  call->op.condition = condition(q, REQUEST_IF_MATCH);
  if (call->op.kind != STORE_GET) {
    call->op.request_id = q->header[REQUEST_ID].text;
    call->op.request_id_len = q->header[REQUEST_ID].len;
    if (q->header[REQUEST_ID].given && !is_request_id(call->op.request_id, call->op.request_id_len)) {
      answer(x, 400, NULL, "X-Request-Id is 1 to 128 visible ASCII characters");
      return;
    }
    const char *none = condition(q, REQUEST_IF_NONE_MATCH);
    if (none[0] != '\0') call->op.condition = none[0] == '*' && call->op.kind == STORE_SET && call->op.condition[0] == '\0' ? "-" : NO_ETAG;
    if (call->op.condition[0] == NO_ETAG[0]) {
      answer(x, 412, NULL, "no version fulfils this condition");
      return;
    }
  }
  store_submit(r->store, &call->op);
}

static void metrics_page(struct routes *r, struct http_exchange *x) {
  struct sentinel_stats stats = sentinel_stats(store_sentinel(r->store));
  struct metrics_now now = {.queued = store_held(r->store), .discoveries = stats.discoveries, .failovers = stats.failovers,
                            .lost_ms = stats.lost_ms, .sentinels = stats.connected, .linked = stats.linked, .required = stats.required,
                            .excluded = stats.excluded, .connections = http_connections(r->server),
                            .has_primary = store_has_primary(r->store), .ready = store_ready(r->store)};
  size_t len = 0;
  char *text = metrics_text(&now, &len);
  http_respond(x, &(struct http_answer){.status = text != NULL ? 200 : 500, .type = "text/plain; version=0.0.4", .body = text, .len = len});
  free(text);
}

static void page(struct routes *r, struct http_exchange *x) {
  if (x->request.method == HTTP_OPTIONS) {
    answer(x, 204, "Allow: GET, HEAD, OPTIONS\r\n", "");
  } else if (x->request.method != HTTP_GET && x->request.method != HTTP_HEAD) {
    answer(x, 405, "Allow: GET, HEAD, OPTIONS\r\n", "method not allowed");
  } else if (x->route == ROUTE_HEALTHZ) {
    answer(x, 200, NULL, "ok");
  } else if (x->route == ROUTE_METRICS) {
    metrics_page(r, x);
  } else if (store_ready(r->store)) {
    answer(x, 200, NULL, "ready");
  } else if (store_has_primary(r->store)) {
    unavailable(x, "too few replicas are linked to the primary", 42);
  } else {
    unavailable(x, "no primary", 10);
  }
}

static void on_request(void *owner, struct http_exchange *x) {
  static const struct {
    const char *path;
    enum metrics_route route;
  } pages[] = {{"/healthz", ROUTE_HEALTHZ}, {"/readyz", ROUTE_READYZ}, {"/metrics", ROUTE_METRICS}};
  const char *path = x->request.target, *query = memchr(path, '?', x->request.target_len);
  size_t len = query != NULL ? (size_t)(query - path) : x->request.target_len, prefix = sizeof SESSIONS - 1;
  if (len > prefix && memcmp(path, SESSIONS, prefix) == 0) {
    session(owner, x, path + prefix, len - prefix);
    return;
  }
  for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    if (len == strlen(pages[i].path) && memcmp(path, pages[i].path, len) == 0) x->route = pages[i].route;
  }
  if (x->route != ROUTE_NONE) {
    page(owner, x);
  } else if (len == 1 && path[0] == '*' && x->request.method == HTTP_OPTIONS) {
    answer(x, 204, ALLOW_ALL, "");
  } else {
    answer(x, 404, NULL, "no such path");
  }
}

/* A request that was not sent yet is not worth sending any more. Only those that the store has are answered later. */
static void on_gone(void *owner, struct http_exchange *x) {
  struct routes *r = owner;
  struct call *call = x->user;
  if (store_withdraw(r->store, &call->op)) on_done(&call->op, STORE_UNAVAILABLE, "", 0, NULL);
}

const struct http_events routes_events = {.user_size = sizeof(struct call), .request = on_request, .gone = on_gone};

struct routes *routes_new(struct store *store) {
  struct routes *r = calloc(1, sizeof *r);
  if (r != NULL) r->store = store;
  return r;
}

void routes_serve(struct routes *r, const struct http_server *server) { r->server = server; }

void routes_free(struct routes *r) { free(r); }
