#include "routes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SESSIONS "/v1/sessions/"
#define ALLOW_ALL "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"
#define ALLOW_READ "Allow: GET, HEAD, OPTIONS\r\n"
#define RETRY "Retry-After: 1\r\n"
#define NO_ETAG "?" /* a condition that no version fulfils */
#define START_DIGITS 13      /* milliseconds since 1970, until 2286 */
#define WAITED_MAX_MS 60000 /* longer, and the two clocks differ */

#define LINES_MAX (sizeof "ETag: \"\"\r\nX-Replication-Id: \r\n" + STORE_ETAG_LEN + FOLLOW_REPLID_MAX)

/* A request under way in the store; it lives in the exchange. */
struct call {
  struct store_op op; /* first: on_done gets back here */
  struct http_exchange *x;
};

struct answer {
  int status;
  const char *text, *extra;
};

static void respond(struct http_exchange *x, struct answer a) {
  http_respond(x, &(struct http_answer){.status = a.status, .extra = a.extra, .body = a.text, .len = strlen(a.text)});
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
  return condition[0] == '*' || strncmp(condition, etag, STORE_ETAG_LEN) == 0;
}

/* The header lines of an answer of the store's, those that there is something to say in. */
static void write_lines(char out[static LINES_MAX], const char *etag, const char *primary) {
  if (etag != NULL) {
    out = stpcpy(out, "ETag: \"");
    memcpy(out, etag, STORE_ETAG_LEN);
    out = stpcpy(out + STORE_ETAG_LEN, "\"\r\n");
  }
  if (primary != NULL) out = stpcpy(stpcpy(stpcpy(out, "X-Replication-Id: "), primary), "\r\n");
  *out = '\0';
}

static void on_done(struct store_op *op, enum store_result result, const char *value, size_t len, const char *etag) {
  static const struct answer plain[] = {[STORE_OK] = {204, "", NULL},
                                        [STORE_ABSENT] = {404, "no such session", NULL},
                                        [STORE_MISMATCH] = {412, "the session has another version", NULL},
                                        [STORE_REUSED] = {422, "this X-Request-Id came before with another request", NULL}};
  struct http_exchange *x = ((struct call *)op)->x;
  char lines[LINES_MAX];
  bool failed = result == STORE_UNAVAILABLE || result == STORE_UNKNOWN, found = result == STORE_OK && etag != NULL;
  if (!failed && op->kind == STORE_GET && op->condition[0] != '\0' && !(found && fulfils(op->condition, etag))) result = STORE_MISMATCH;
  write_lines(lines, result == STORE_OK ? etag : NULL, op->primary);
  if (result == STORE_OK && op->kind == STORE_GET) {
    const char *none = condition(&x->request, REQUEST_IF_NONE_MATCH);
    int status = none[0] != '\0' && fulfils(none, etag) ? 304 : 200;
    http_respond(x, &(struct http_answer){.status = status, .type = "application/octet-stream", .extra = lines, .body = value, .len = len});
    return;
  }
  struct answer a = failed ? (struct answer){503, value, RETRY} : plain[result];
  if (!failed) a.extra = lines;
  respond(x, a);
}

static bool is_id(const char *id, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '.' && id[i] != '_') return false;
  }
  return len > 0 && len <= STORE_ID_MAX;
}

static bool is_request_id(const char *id, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (!isgraph((unsigned char)id[i])) return false;
  }
  return len > 0 && len <= STORE_REQUEST_ID_MAX;
}

/* How long the request has waited since the load balancer got it (ms); 0 when that is not said, or can't be. */
static unsigned waited_ms(const struct request *r) {
  const char *text = r->header[REQUEST_START].text;
  struct timespec t;
  uint64_t start = 0;
  if (r->header[REQUEST_START].len != 2 + START_DIGITS || memcmp(text, "t=", 2) != 0) return 0;
  for (size_t i = 2; i < 2 + START_DIGITS; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    start = start * 10 + (uint64_t)(text[i] - '0');
  }
  if (clock_gettime(CLOCK_REALTIME, &t) != 0) return 0;
  uint64_t now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
  return now > start && now - start <= WAITED_MAX_MS ? (unsigned)(now - start) : 0;
}

/* Answered at once, or, with no status, later. */
static struct answer session(struct store *s, struct http_exchange *x, const char *id, size_t len) {
  static const struct {
    uint8_t method;
    enum store_kind kind;
    enum metrics_route route;
  } methods[] = {{HTTP_GET, STORE_GET, ROUTE_SESSION_GET}, {HTTP_HEAD, STORE_GET, ROUTE_SESSION_GET},
                 {HTTP_PUT, STORE_SET, ROUTE_SESSION_PUT}, {HTTP_DELETE, STORE_DELETE, ROUTE_SESSION_DELETE}};
  struct request *q = &x->request;
  struct call *call = x->user;
  struct store_op *op = &call->op;
  size_t i = 0;
  if (!is_id(id, len)) return (struct answer){400, "a session's id is 1 to 128 of A-Z a-z 0-9 . _ -", NULL};
  if (q->method == HTTP_OPTIONS) return (struct answer){204, "", ALLOW_ALL};
  while (i < sizeof methods / sizeof methods[0] && methods[i].method != q->method) i++;
  if (i == sizeof methods / sizeof methods[0]) return (struct answer){405, "method not allowed", ALLOW_ALL};
  x->route = methods[i].route;
  *call = (struct call){.op = {.kind = methods[i].kind, .id = id, .id_len = len, .value = q->body.data, .value_len = q->body.len,
                               .condition = condition(q, REQUEST_IF_MATCH), .waited_ms = waited_ms(q), .done = on_done}, .x = x};
  if (op->kind != STORE_GET) {
    const char *none = condition(q, REQUEST_IF_NONE_MATCH);
    op->request_id = q->header[REQUEST_ID].text;
    op->request_id_len = q->header[REQUEST_ID].len;
    if (q->header[REQUEST_ID].given && !is_request_id(op->request_id, op->request_id_len)) {
      return (struct answer){400, "X-Request-Id is 1 to 128 visible ASCII characters", NULL};
    }
    if (none[0] != '\0') op->condition = none[0] == '*' && op->kind == STORE_SET && op->condition[0] == '\0' ? "-" : NO_ETAG;
    if (op->condition[0] == NO_ETAG[0]) return (struct answer){412, "no version fulfils this condition", NULL};
  }
  store_submit(s, op);
  return (struct answer){0};
}

static struct answer metrics_page(struct store *s, struct http_exchange *x) {
  size_t len = 0;
  store_measure(s);
  char *text = metrics_text(&len);
  if (text == NULL) return (struct answer){500, "out of memory", NULL};
  http_respond(x, &(struct http_answer){.status = 200, .type = "text/plain; version=0.0.4", .body = text, .len = len});
  free(text);
  return (struct answer){0};
}

static struct answer page(struct store *s, struct http_exchange *x) {
  if (x->request.method == HTTP_OPTIONS) return (struct answer){204, "", ALLOW_READ};
  if (x->request.method != HTTP_GET && x->request.method != HTTP_HEAD) return (struct answer){405, "method not allowed", ALLOW_READ};
  if (x->route == ROUTE_METRICS) return metrics_page(s, x);
  const char *why = x->route == ROUTE_READYZ ? store_unready(s) : NULL;
  if (why != NULL) return (struct answer){503, why, RETRY};
  return (struct answer){200, x->route == ROUTE_READYZ ? "ready" : "ok", NULL};
}

static struct answer route(struct store *s, struct http_exchange *x) {
  static const struct {
    const char *path;
    enum metrics_route route;
  } pages[] = {{"/healthz", ROUTE_HEALTHZ}, {"/readyz", ROUTE_READYZ}, {"/metrics", ROUTE_METRICS}};
  const char *path = x->request.target, *query = memchr(path, '?', x->request.target_len);
  size_t len = query != NULL ? (size_t)(query - path) : x->request.target_len, prefix = sizeof SESSIONS - 1;
  if (len > prefix && memcmp(path, SESSIONS, prefix) == 0) return session(s, x, path + prefix, len - prefix);
  for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    if (len == strlen(pages[i].path) && memcmp(path, pages[i].path, len) == 0) x->route = pages[i].route;
  }
  if (x->route != ROUTE_NONE) return page(s, x);
  if (len == 1 && path[0] == '*' && x->request.method == HTTP_OPTIONS) return (struct answer){204, "", ALLOW_ALL};
  return (struct answer){404, "no such path", NULL};
}

static void on_request(void *owner, struct http_exchange *x) {
  struct answer a = route(owner, x);
  if (a.status != 0) respond(x, a);
}

/* A request that was not sent yet is not worth sending any more. Only those that the store has are answered later. */
static void on_gone(void *owner, struct http_exchange *x) {
  struct call *call = x->user;
  if (store_withdraw(owner, &call->op)) on_done(&call->op, STORE_UNAVAILABLE, "", 0, NULL);
}

const struct http_events routes_events = {.user_size = sizeof(struct call), .request = on_request, .gone = on_gone};
