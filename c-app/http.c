#include "http.h"
#include "addr.h"
#include "log.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKLOG 1024
#define SWEEP_MS 100
#define LINGER_MS 1000   /* after an error: the client gets this long to read the answer before the reset */
#define KEPT_MAX 65536   /* bytes of further requests kept while one is answered */
#define HEAD_SIZE 512

enum state {
  READING,   /* a request, or idle */
  BUSY,      /* the handler has it */
  WRITING,   /* the socket did not take all of the answer */
  LINGERING, /* answered and shut down for writing; input is thrown away */
  CLOSED
};

struct conn {
  struct http_exchange x; /* first: http_respond gets back here */
  uv_tcp_t tcp;
  struct http_server *server;
  struct conn *prev, *next;
  enum state state;
  bool handling;    /* the handler has the exchange, also after the connection was closed */
  bool released;    /* libuv has let go of the handle */
  bool feeding;     /* feed() is on the stack */
  bool ended;       /* the client sends nothing more */
  bool close_after; /* this answer is the last */
  uint64_t deadline;
  uint64_t started; /* in ns, when the request was complete */
  struct buf kept;  /* received, not parsed yet */
};

struct http_server {
  uv_loop_t *loop;
  struct http_options opt;
  const struct http_events *events;
  void *owner;
  uv_tcp_t listener;
  uv_timer_t sweep;
  struct conn *first;
  unsigned count;
  bool listening, draining, stopped;
  bool stalled; /* a connection waits to be accepted, for want of memory */
  void (*drained)(void *arg); /* NULL: nobody asked, or told already */
  void *drained_arg;
  time_t date_of;
  char date[40];
};

/* An answer's rest that waits for the socket; freed by on_written. */
struct rest {
  uv_write_t write;
  char data[];
};

static void feed(struct conn *c, const char *data, size_t len);

static void free_if_done(struct conn *c) {
  if (!c->released || c->handling) return;
  request_reset(&c->x.request);
  buf_free(&c->kept);
  free(c);
}

static void on_closed(uv_handle_t *handle) {
  struct conn *c = handle->data;
  c->released = true;
  free_if_done(c);
}

static void tell_drained(struct http_server *s) {
  if (s->count > 0 || s->drained == NULL) return;
  void (*drained)(void *arg) = s->drained;
  s->drained = NULL;
  drained(s->drained_arg);
}

static void conn_close(struct conn *c) {
  struct http_server *s = c->server;
  if (c->state == CLOSED) return;
  c->state = CLOSED;
  if (c->prev != NULL) {
    c->prev->next = c->next;
  } else {
    s->first = c->next;
  }
  if (c->next != NULL) c->next->prev = c->prev;
  s->count--;
  uv_close((uv_handle_t *)&c->tcp, on_closed);
  if (c->handling) s->events->gone(s->owner, &c->x);
  tell_drained(s);
}

static void set_deadline(struct conn *c, uint64_t ms) { c->deadline = uv_now(c->server->loop) + ms; }

/* The answer is out. */
static void next_request(struct conn *c) {
  if (c->close_after) {
    /* To close with unread input would reset the connection, and the client might lose the answer. */
    c->state = LINGERING;
    set_deadline(c, LINGER_MS);
    buf_free(&c->kept);
    uv_os_fd_t fd;
    if (c->ended || uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0 || shutdown(fd, SHUT_WR) != 0) conn_close(c);
    return;
  }
  request_reset(&c->x.request);
  c->x.route = ROUTE_NONE;
  c->x.user = NULL;
  c->state = READING;
  set_deadline(c, HTTP_IDLE_MS);
  if (c->feeding) return; /* feed goes on by itself */
  if (c->kept.len > 0) {
    struct buf kept = c->kept;
    c->kept = (struct buf){0};
    feed(c, kept.data, kept.len);
    buf_free(&kept);
  }
  if (c->state == READING && c->ended) conn_close(c);
}

static void on_written(uv_write_t *write, int status) {
  struct conn *c = write->data;
  free((struct rest *)(void *)write);
  if (c->state != WRITING) return;
  if (status < 0) {
    conn_close(c);
  } else {
    next_request(c);
  }
}

static void send_parts(struct conn *c, const char *head, size_t head_len, const char *body, size_t body_len) {
  uv_buf_t parts[2] = {uv_buf_init((char *)head, (unsigned)head_len), uv_buf_init((char *)body, (unsigned)body_len)};
  size_t total = head_len + body_len;
  int n = uv_try_write((uv_stream_t *)&c->tcp, parts, body_len > 0 ? 2 : 1);
  if (n == UV_EAGAIN) n = 0;
  if (n < 0) {
    conn_close(c);
    return;
  }
  size_t sent = (size_t)n;
  if (sent == total) {
    next_request(c);
    return;
  }
  struct rest *rest = malloc(sizeof *rest + total - sent);
  if (rest == NULL) {
    conn_close(c);
    return;
  }
  size_t of_head = sent < head_len ? head_len - sent : 0;
  size_t body_sent = sent < head_len ? 0 : sent - head_len;
  memcpy(rest->data, head + (head_len - of_head), of_head);
  if (body_len > body_sent) memcpy(rest->data + of_head, body + body_sent, body_len - body_sent);
  rest->write.data = c;
  c->state = WRITING;
  set_deadline(c, c->server->opt.client_timeout_ms);
  uv_buf_t b = uv_buf_init(rest->data, (unsigned)(total - sent));
  if (uv_write(&rest->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0) {
    free(rest);
    conn_close(c);
  }
}

static const char *reason(int status) { return status == 505 ? "HTTP Version Not Supported" : llhttp_status_name((llhttp_status_t)status); }

static const char *date(struct http_server *s) {
  time_t now = time(NULL);
  struct tm tm;
  if (now != s->date_of && gmtime_r(&now, &tm) != NULL) {
    strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    s->date_of = now;
  }
  return s->date;
}

static void write_answer(struct conn *c, const struct http_answer *a) {
  char head[HEAD_SIZE];
  const struct request *r = &c->x.request;
  if (!r->keep_alive || c->server->draining || (c->ended && c->kept.len == 0)) c->close_after = true;
  const char *connection = c->close_after ? "Connection: close\r\n" : r->http_1_0 ? "Connection: keep-alive\r\n" : "";
  const char *extra = a->extra != NULL ? a->extra : "";
  int n;
  if (a->status == 204) {
    n = snprintf(head, sizeof head, "HTTP/1.1 204 No Content\r\nDate: %s\r\n%s%s\r\n", date(c->server), connection, extra);
  } else {
    n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", a->status,
                 reason(a->status), date(c->server), a->type != NULL ? a->type : "text/plain", a->len, connection, extra);
  }
  if (n < 0 || (size_t)n >= sizeof head) {
    conn_close(c);
    return;
  }
  bool no_body = a->status == 204 || r->method == HTTP_HEAD;
  send_parts(c, head, (size_t)n, a->body, no_body ? 0 : a->len);
}

void http_respond(struct http_exchange *x, const struct http_answer *a) {
  struct conn *c = (struct conn *)x;
  c->handling = false;
  metrics_request(x->route, a->status, uv_hrtime() - c->started);
  if (c->state == CLOSED) {
    free_if_done(c);
    return;
  }
  write_answer(c, a);
}

/* An answer to what is no request; the connection ends with it. */
static void reject(struct conn *c, int status, const char *why) {
  char body[128];
  int n = snprintf(body, sizeof body, "%s\n", why != NULL && why[0] != '\0' ? why : reason(status));
  size_t len = n < 0 ? 0 : (size_t)n < sizeof body ? (size_t)n : sizeof body - 1;
  c->x.request.keep_alive = false;
  c->x.request.method = HTTP_GET;
  metrics_request(ROUTE_NONE, status, 0);
  write_answer(c, &(struct http_answer){.status = status, .body = body, .len = len});
}

static void send_continue(struct conn *c) {
  static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  uv_buf_t b = uv_buf_init(line, sizeof line - 1);
  c->x.request.wants_continue = false;
  /* On a fresh request the socket is empty, so a short write means a broken client. */
  if (uv_try_write((uv_stream_t *)&c->tcp, &b, 1) != (int)(sizeof line - 1)) conn_close(c);
}

static void keep(struct conn *c, const char *data, size_t len) {
  if (!buf_add(&c->kept, data, len)) {
    conn_close(c);
    return;
  }
  if (c->kept.len > KEPT_MAX) uv_read_stop((uv_stream_t *)&c->tcp);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *b) {
  static char area[65536];
  (void)handle;
  (void)suggested;
  *b = uv_buf_init(area, sizeof area);
}

static void feed(struct conn *c, const char *data, size_t len) {
  struct http_server *s = c->server;
  c->feeding = true;
  while (len > 0 && c->state == READING) {
    size_t used;
    if (!c->x.request.begun) set_deadline(c, s->opt.client_timeout_ms);
    enum request_verdict v = request_feed(&c->x.request, data, len, &used);
    data += used;
    len -= used;
    if (v == REQUEST_BAD) {
      reject(c, c->x.request.status, c->x.request.why);
    } else if (v == REQUEST_DONE) {
      c->state = BUSY;
      c->handling = true;
      c->started = uv_hrtime();
      s->events->request(s->owner, &c->x);
    } else if (c->x.request.wants_continue) {
      send_continue(c);
    }
  }
  c->feeding = false;
  if (len > 0 && (c->state == BUSY || c->state == WRITING)) {
    keep(c, data, len);
  } else if (c->state == READING && !c->ended) {
    int rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (rc < 0 && rc != UV_EALREADY) conn_close(c);
  }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
  struct conn *c = stream->data;
  if (n == 0 || c->state == CLOSED) return;
  if (n == UV_EOF && (c->state == BUSY || c->state == WRITING)) {
    /* It may only have finished sending: it still gets its answer. */
    c->ended = true;
    uv_read_stop(stream);
  } else if (n < 0) {
    conn_close(c);
  } else if (c->state == READING) {
    feed(c, b->base, (size_t)n);
  } else if (c->state != LINGERING) {
    keep(c, b->base, (size_t)n);
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  struct http_server *s = listener->data;
  if (status < 0) {
    log_error("accept: %s", uv_strerror(status));
    return;
  }
  struct conn *c = calloc(1, sizeof *c);
  /* libuv keeps the connection, and takes no further one, until it is asked for: on_sweep comes back here. */
  s->stalled = c == NULL || uv_tcp_init(s->loop, &c->tcp) < 0;
  if (s->stalled) {
    free(c);
    return;
  }
  c->tcp.data = c;
  c->server = s;
  request_init(&c->x.request, s->opt.body_max);
  c->next = s->first;
  if (s->first != NULL) s->first->prev = c;
  s->first = c;
  s->count++;
  set_deadline(c, HTTP_IDLE_MS);
  if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0 ||
      uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
    conn_close(c);
  }
}

static void on_sweep(uv_timer_t *timer) {
  struct http_server *s = timer->data;
  uint64_t now = uv_now(s->loop);
  struct conn *next;
  if (s->stalled && s->listening) on_connection((uv_stream_t *)&s->listener, 0);
  for (struct conn *c = s->first; c != NULL; c = next) {
    next = c->next;
    if (c->state == BUSY || now < c->deadline) continue;
    if (c->state == READING && c->x.request.begun) {
      reject(c, 408, NULL);
    } else {
      conn_close(c);
    }
  }
}

struct http_server *http_new(uv_loop_t *loop, const struct http_options *options, const struct http_events *events, void *owner) {
  struct http_server *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->opt = *options;
  s->events = events;
  s->owner = owner;
  if (uv_tcp_init(loop, &s->listener) < 0) {
    free(s);
    return NULL;
  }
  uv_timer_init(loop, &s->sweep);
  s->listener.data = s->sweep.data = s;
  s->listening = true;
  return s;
}

int http_listen(struct http_server *s, const char *ip, unsigned *port) {
  struct addr a = {.port = (uint16_t)*port};
  struct sockaddr_storage at;
  int len = sizeof at;
  snprintf(a.ip, sizeof a.ip, "%s", ip);
  if (!addr_sockaddr(&a, &at)) return UV_EINVAL;
  int rc = uv_tcp_bind(&s->listener, (struct sockaddr *)&at, 0);
  if (rc == 0) rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
  if (rc == 0) rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&at, &len);
  if (rc == 0) rc = uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  if (rc != 0) return rc;
  *port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port : ((struct sockaddr_in *)&at)->sin_port);
  return 0;
}

unsigned http_connections(const struct http_server *s) { return s->count; }

static void stop_listening(struct http_server *s) {
  if (!s->listening) return;
  s->listening = false;
  uv_close((uv_handle_t *)&s->listener, NULL);
}

void http_drain(struct http_server *s, void (*drained)(void *arg), void *arg) {
  s->draining = true;
  s->drained = drained;
  s->drained_arg = arg;
  stop_listening(s);
  struct conn *next;
  for (struct conn *c = s->first; c != NULL; c = next) {
    next = c->next;
    if (c->state == READING && !c->x.request.begun) conn_close(c);
  }
  tell_drained(s);
}

void http_stop(struct http_server *s) {
  if (s->stopped) return;
  s->stopped = true;
  s->drained = NULL;
  stop_listening(s);
  while (s->first != NULL) conn_close(s->first);
  uv_close((uv_handle_t *)&s->sweep, NULL);
}

void http_free(struct http_server *s) { free(s); }
