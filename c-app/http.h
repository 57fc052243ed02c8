/* http: an HTTP/1.1 server over libuv.
 *
 *   http_new, http_listen   then for every request the handler runs with a struct http_exchange
 *   http_respond            answers it, in the handler or any time later, exactly once
 *   http_drain              takes no new connection and closes each one after its answer
 *   http_stop               closes everything at once; http_free when the loop has ended and all exchanges are answered
 *
 * A connection handles one request at a time; what a client pipelines is kept, up to a limit, and answered in order.
 * Slow clients are cut: a request must arrive whole, and an answer be taken, within client_timeout_ms.
 * At connections_max no further client is accepted until one goes; they wait in the system's backlog.
 * An idle connection has no request: exchanges are taken from a pool when the first byte arrives. */
#ifndef HTTP_H
#define HTTP_H

#include "metrics.h"
#include "request.h"

#include <uv.h>

#define HTTP_IDLE_MS 60000 /* an idle connection is kept this long */
#define HTTP_EXTRA_MAX 256 /* bytes of an answer's further header lines */

struct http_server;

/* One request and its answer. Owned by the connection; valid until http_respond. */
struct http_exchange {
  struct request request;
  enum metrics_route route; /* for the metrics; the handler sets it */
  void *user;               /* the handler's: http_events.user_size bytes, not initialised */
  struct conn *conn;        /* private, as are the next ones */
  struct http_exchange *next;
  uint64_t started; /* in ns, when the request was complete */
  uv_write_t write;
  struct buf rest; /* of the answer, lent to libuv until it is written */
};

struct http_answer {
  int status;
  const char *type;  /* Content-Type; NULL: text/plain, and the body gets a line end */
  const char *extra; /* further header lines, each with its CRLF; NULL: none */
  const char *body;
  size_t len;
};

struct http_events {
  size_t user_size;
  void (*request)(void *owner, struct http_exchange *x);
  /* The client has gone before its answer. http_respond must still be called. */
  void (*gone)(void *owner, struct http_exchange *x);
};

/* NULL when memory is short. `config` and `events` are borrowed; a config that is changed in place holds from the next request or
 * connection on. Raises RLIMIT_NOFILE as far as it may: it is what connections-max = 0 means, less some for the other parts. */
struct http_server *http_new(uv_loop_t *loop, const struct config *config, const struct http_events *events, void *owner);
/* 0, or libuv's error code. `port` gets the port in use (of interest when 0 was asked for). */
int http_listen(struct http_server *s, const char *ip, unsigned *port);
void http_respond(struct http_exchange *x, const struct http_answer *answer);
/* It is done when metrics.connections is 0. */
void http_drain(struct http_server *s);
void http_stop(struct http_server *s);
void http_free(struct http_server *s);

#endif
