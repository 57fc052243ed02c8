#include "http.h"
#include "hold.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BACKLOG 1024
#define SWEEP_MS 100
#define LINGER_MS 1000   /* after an error: the client gets this long to read the answer before the reset */
#define KEPT_MAX 65536   /* bytes of further requests kept while one is answered */
#define FILES_MAX 1000000
#define FILES_LEFT 64    /* descriptors that clients do not get: Redis, Sentinels, libuv, the log */
#define HEAD_MAX 1024    /* an answer's head, with HTTP_EXTRA_MAX, and a line end */

enum state {
  READING,   /* a request, or idle */
  BUSY,      /* the handler has it */
  WRITING,   /* the answer is under way */
  LINGERING, /* answered and shut down for writing; input is thrown away */
  CLOSED
};

struct conn {
  struct hold_item item; /* first: the list of all hands this back */
  uv_tcp_t tcp;
  struct http_server *server;
  struct http_exchange *x; /* NULL: idle */
  uint64_t deadline;
  struct buf kept; /* received, not parsed yet */
  enum state state;
  uint8_t holders;  /* libuv has the handle, and the handler may have the exchange */
  bool feeding;     /* feed() is on the stack */
  bool paused;      /* not reading */
  bool ended;       /* the client sends nothing more */
  bool close_after; /* this answer is the last */
};

struct http_server {
  uv_loop_t *loop;
  const struct config *cfg;
  const struct http_events *events;
  void *owner;
  uv_tcp_t listener;
  uv_timer_t sweep;
  struct hold conns; /* all, in no order: their deadlines are not the list's */
  size_t files;      /* descriptors for clients */
  struct http_exchange *spare;
  struct buf out; /* the answer that is being made */
  bool listening;
  bool stalled; /* a connection waits to be accepted: connections_max is reached, or memory is short */
  char date[40]; /* made by the sweep */
};

static void feed(struct conn *c, const char *data, size_t len);
static void on_connection(uv_stream_t *listener, int status);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b);

static void set_deadline(struct conn *c, uint64_t ms) { c->deadline = uv_now(c->server->loop) + ms; }

/* exchanges */

static bool take_exchange(struct conn *c) {
  struct http_server *s = c->server;
  struct http_exchange *x = s->spare;
  if (x != NULL) {
    s->spare = x->next;
  } else {
    x = calloc(1, sizeof *x + s->events->user_size);
    if (x == NULL) return false;
    x->user = x + 1;
  }
  request_init(&x->request, s->cfg->body_max);
  x->route = ROUTE_NONE;
  x->conn = c;
  c->x = x;
  set_deadline(c, s->cfg->client_timeout_ms);
  return true;
}

/* All are kept: there are never more than requests were under way at once. */
static void give_exchange(struct conn *c) {
  if (c->x == NULL) return;
  buf_free(&c->x->rest);
  request_trim(&c->x->request);
  c->x->next = c->server->spare;
  c->server->spare = c->x;
  c->x = NULL;
}

/* closing */

static void conn_release(struct conn *c) {
  if (--c->holders > 0) return;
  give_exchange(c);
  buf_free(&c->kept);
  free(c);
}

static void on_closed(uv_handle_t *handle) { conn_release(handle->data); }

static void conn_close(struct conn *c) {
  struct http_server *s = c->server;
  bool handled = c->state == BUSY;
  if (c->state == CLOSED) return;
  c->state = CLOSED;
  hold_remove(&s->conns, &c->item);
  metrics.connections = s->conns.count;
  uv_close((uv_handle_t *)&c->tcp, on_closed);
  if (handled) s->events->gone(s->owner, c->x);
  if (s->stalled && s->listening) on_connection((uv_stream_t *)&s->listener, 0);
}

/* answers */

/* The answer is out. */
static void next_request(struct conn *c) {
  give_exchange(c);
  if (c->close_after) {
    /* To close with unread input would reset the connection, and the client might lose the answer. */
    c->state = LINGERING;
    set_deadline(c, LINGER_MS);
    buf_free(&c->kept);
    if (c->paused && uv_read_start((uv_stream_t *)&c->tcp, buf_area, on_read) < 0) c->ended = true;
    uv_os_fd_t fd;
    if (c->ended || uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0 || shutdown(fd, SHUT_WR) != 0) conn_close(c);
    return;
  }
  c->state = READING;
  set_deadline(c, HTTP_IDLE_MS);
  if (c->feeding) return; /* feed goes on by itself */
  struct buf kept = c->kept;
  c->kept = (struct buf){0};
  feed(c, kept.data, kept.len);
  buf_free(&kept);
  if (c->state == READING && c->ended) conn_close(c);
}

static void on_written(uv_write_t *write, int status) {
  struct conn *c = ((struct http_exchange *)write->data)->conn;
  if (status < 0) conn_close(c);
  if (c->state == WRITING) next_request(c);
}

static const char *reason(int status) {
  static const struct {
    int status;
    const char *text;
  } table[] = {{200, "OK"}, {204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"}, {404, "Not Found"},
               {405, "Method Not Allowed"}, {408, "Request Timeout"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
               {414, "URI Too Long"}, {417, "Expectation Failed"}, {422, "Unprocessable Content"},
               {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {503, "Service Unavailable"},
               {505, "HTTP Version Not Supported"}};
  size_t i = 0;
  while (i + 1 < sizeof table / sizeof table[0] && table[i].status != status) i++;
  return table[i].text;
}

static void write_answer(struct conn *c, const struct http_answer *a) {
  struct buf *out = &c->server->out;
  struct http_exchange *x = c->x;
  const struct request *r = &x->request;
  bool no_length = a->status == 204 || a->status == 304, line = a->type == NULL;
  if (!r->keep_alive || !c->server->listening || (c->ended && c->kept.len == 0)) c->close_after = true;
  c->state = WRITING;
  set_deadline(c, c->server->cfg->client_timeout_ms);
  out->len = 0;
  if (!buf_reserve(out, HEAD_MAX + a->len)) {
    conn_close(c);
    return;
  }
  char *at = stpcpy(buf_number(stpcpy(out->data, "HTTP/1.1 "), (size_t)a->status), " ");
  at = stpcpy(stpcpy(stpcpy(stpcpy(at, reason(a->status)), "\r\nDate: "), c->server->date), "\r\n");
  if (!no_length) {
    at = stpcpy(stpcpy(stpcpy(at, "Content-Type: "), line ? "text/plain" : a->type), "\r\nContent-Length: ");
    at = stpcpy(buf_number(at, a->len + line), "\r\n");
  }
  if (c->close_after || r->http_1_0) at = stpcpy(at, c->close_after ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
  at = stpcpy(stpcpy(at, a->extra != NULL ? a->extra : ""), "\r\n");
  out->len = (size_t)(at - out->data);
  /* There is room for it. */
  if (!no_length && r->method != HTTP_HEAD && buf_add(out, a->body, a->len)) buf_add(out, "\n", line);
  x->write.data = x;
  int rc = buf_write((uv_stream_t *)&c->tcp, out, &x->write, &x->rest, on_written);
  if (rc > 0) next_request(c);
  if (rc < 0) conn_close(c);
}

void http_respond(struct http_exchange *x, const struct http_answer *a) {
  struct conn *c = x->conn;
  metrics_request(x->route, a->status, uv_hrtime() - x->started);
  if (c->state != CLOSED) write_answer(c, a);
  conn_release(c);
}

/* An answer to what is no request; the connection ends with it. */
static void reject(struct conn *c, int status, const char *why) {
  c->x->request.keep_alive = false;
  metrics_request(ROUTE_NONE, status, 0);
  write_answer(c, &(struct http_answer){.status = status, .body = why, .len = strlen(why)});
}

static void send_continue(struct conn *c) {
  static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  uv_buf_t b = uv_buf_init(line, sizeof line - 1);
  c->x->request.wants_continue = false;
  /* On a fresh request the socket is empty, so a short write means a broken client. */
  if (uv_try_write((uv_stream_t *)&c->tcp, &b, 1) != (int)(sizeof line - 1)) conn_close(c);
}

/* requests */

static void keep(struct conn *c, const char *data, size_t len) {
  if (!buf_add(&c->kept, data, len)) {
    conn_close(c);
  } else if (c->kept.len > KEPT_MAX) {
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->paused = true;
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

static void feed(struct conn *c, const char *data, size_t len) {
  struct http_server *s = c->server;
  c->feeding = true;
  while (len > 0 && c->state == READING) {
    size_t used;
    if (c->x == NULL && !take_exchange(c)) {
      conn_close(c);
      break;
    }
    struct http_exchange *x = c->x;
    enum request_verdict v = request_feed(&x->request, data, len, &used);
    data += used;
    len -= used;
    if (v == REQUEST_BAD) {
      reject(c, x->request.status, x->request.why);
    } else if (v == REQUEST_DONE) {
      c->state = BUSY;
      c->holders++;
      x->started = uv_hrtime();
      s->events->request(s->owner, x);
    } else if (x->request.wants_continue) {
      send_continue(c);
    }
  }
  c->feeding = false;
  if (len > 0 && (c->state == BUSY || c->state == WRITING)) {
    keep(c, data, len);
  } else if (c->state == READING && c->paused && !c->ended) {
    c->paused = false;
    if (uv_read_start((uv_stream_t *)&c->tcp, buf_area, on_read) < 0) conn_close(c);
  }
}

/* connections */

/* libuv keeps a connection that is not accepted here, and takes no further one: conn_close and on_sweep come back for it. */
static void on_connection(uv_stream_t *listener, int status) {
  struct http_server *s = listener->data;
  if (status < 0) {
    log_line(LOG_ERROR, "accept: %s", uv_strerror(status));
    return;
  }
  bool full = s->conns.count >= (s->cfg->connections_max > 0 ? s->cfg->connections_max : s->files);
  if (full && !s->stalled) metrics.accept_pauses++;
  struct conn *c = full ? NULL : calloc(1, sizeof *c);
  s->stalled = c == NULL;
  if (s->stalled) return;
  uv_tcp_init(s->loop, &c->tcp); /* cannot fail: it only fills in the struct */
  c->tcp.data = c;
  c->server = s;
  c->holders = 1;
  hold_return(&s->conns, &c->item);
  metrics.connections = s->conns.count;
  set_deadline(c, HTTP_IDLE_MS);
  if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0 ||
      uv_read_start((uv_stream_t *)&c->tcp, buf_area, on_read) < 0) {
    conn_close(c);
  }
}

static void on_sweep(uv_timer_t *timer) {
  struct http_server *s = timer->data;
  uint64_t now = uv_now(s->loop);
  time_t date = time(NULL);
  struct tm tm;
  struct hold_item *next;
  if (gmtime_r(&date, &tm) != NULL) strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  if (s->stalled && s->listening) on_connection((uv_stream_t *)&s->listener, 0);
  for (struct hold_item *item = s->conns.end.next; item != &s->conns.end; item = next) {
    struct conn *c = (struct conn *)item;
    bool idle = c->state == READING && c->x == NULL, late = c->state != BUSY && now >= c->deadline;
    next = item->next;
    if (late && c->state == READING && !idle) {
      reject(c, 408, "the request took too long");
    } else if (late || (idle && !s->listening)) {
      conn_close(c);
    }
  }
}

struct http_server *http_new(uv_loop_t *loop, const struct config *config, const struct http_events *events, void *owner) {
  struct rlimit files;
  struct http_server *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->cfg = config;
  s->events = events;
  s->owner = owner;
  hold_init(&s->conns, 0);
  bool known = getrlimit(RLIMIT_NOFILE, &files) == 0;
  rlim_t before = files.rlim_cur;
  files.rlim_cur = files.rlim_max;
  if (known && setrlimit(RLIMIT_NOFILE, &files) < 0) files.rlim_cur = before;
  size_t most = known && files.rlim_cur < FILES_MAX ? (size_t)files.rlim_cur : FILES_MAX;
  s->files = most > 2 * FILES_LEFT ? most - FILES_LEFT : most / 2;
  uv_tcp_init(loop, &s->listener); /* these cannot fail: they only fill in the structs */
  uv_timer_init(loop, &s->sweep);
  s->listener.data = s->sweep.data = s;
  s->listening = true;
  return s;
}

int http_listen(struct http_server *s, const char *ip, unsigned *port) {
  struct sockaddr_storage at;
  int len = sizeof at;
  if (!addr_sockaddr(ip, *port, &at)) return UV_EINVAL;
  int rc = uv_tcp_bind(&s->listener, (struct sockaddr *)&at, 0);
  if (rc == 0) rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
  if (rc == 0) rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&at, &len);
  if (rc == 0) rc = uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  if (rc != 0) return rc;
  on_sweep(&s->sweep);
  *port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port : ((struct sockaddr_in *)&at)->sin_port);
  return 0;
}

static void stop_listening(struct http_server *s) {
  if (!s->listening) return;
  s->listening = false;
  uv_close((uv_handle_t *)&s->listener, NULL);
}

void http_drain(struct http_server *s) {
  stop_listening(s);
  on_sweep(&s->sweep);
}

void http_stop(struct http_server *s) {
  stop_listening(s);
  while (s->conns.count > 0) conn_close((struct conn *)s->conns.end.next);
  uv_close((uv_handle_t *)&s->sweep, NULL);
}

void http_free(struct http_server *s) {
  if (s == NULL) return;
  while (s->spare != NULL) {
    struct http_exchange *x = s->spare;
    s->spare = x->next;
    request_free(&x->request);
    free(x);
  }
  buf_free(&s->out);
  free(s);
}
