#include "rconn.h"
#include "buf.h"
#include "tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_PING 4
#define KEEP_BUFFER 262144 /* a write buffer that grew beyond this is given back */
#define LENGTH_MAX 24      /* "$18446744073709551615\r\n" */

enum state { CONNECTING, SECURING, GREETING, READY, CLOSED };

struct pending {
  rconn_reply_fn *fn; /* NULL: ours (HELLO, PING) */
  void *arg;
  uint64_t end;      /* offset of its last byte in all that was ever appended */
  uint64_t deadline; /* in loop time */
  bool blocks;
};

struct rconn {
  uv_tcp_t tcp;
  uv_timer_t tick;
  uv_connect_t connect;
  uv_write_t write;
  int handles; /* open ones; the struct is freed with the last */
  enum state state;
  struct rconn_options opt;
  const struct rconn_events *events;
  void *owner;
  redisReader *reader;
  struct tls_link *tls; /* NULL: plain TCP */
  struct buf out;       /* appended, not yet written */
  size_t start;         /* where in `out` the command begins that is being built */
  bool whole;           /* nothing of it is missing so far */
  struct buf sealed;    /* with TLS: what was encrypted, not yet written */
  struct buf writing;   /* lent to libuv while write_busy */
  bool write_busy;
  uint64_t appended, sent;
  struct pending *ring; /* first in, first answered */
  size_t head, count, cap;
  unsigned blocking; /* pending commands that block in the server */
  uint64_t opened_at, heard_at, ticked_at;
  unsigned tick_ms;
  bool pinged;
};

static uint64_t now(const struct rconn *c) { return uv_now(c->tcp.loop); }

static void on_closed(uv_handle_t *handle) {
  struct rconn *c = handle->data;
  if (--c->handles > 0) return;
  redisReaderFree(c->reader);
  tls_close(c->tls);
  buf_free(&c->out);
  buf_free(&c->sealed);
  buf_free(&c->writing);
  free(c->ring);
  free(c);
}

static struct pending take_head(struct rconn *c) {
  struct pending p = c->ring[c->head];
  c->head = (c->head + 1) % c->cap;
  c->count--;
  if (p.blocks) c->blocking--;
  return p;
}

static void shut(struct rconn *c) {
  if (c->state == CLOSED) return;
  c->state = CLOSED;
  while (c->count > 0) {
    struct pending p = take_head(c);
    if (p.fn != NULL) p.fn(c->owner, p.arg, NULL, p.end <= c->sent);
  }
  uv_close((uv_handle_t *)&c->tick, on_closed);
  uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void fail(struct rconn *c, const char *why) {
  if (c->state == CLOSED) return;
  char text[160];
  snprintf(text, sizeof text, "%s", why); /* `why` may lie in the reader or in a reply */
  shut(c);
  c->events->lost(c->owner, c, text);
}

void rconn_close(struct rconn *c) { shut(c); }

size_t rconn_pending(const struct rconn *c) { return c->count; }

size_t rconn_backlog(const struct rconn *c) { return c->out.len + c->sealed.len + (c->write_busy ? c->writing.len : 0); }

static bool ring_grow(struct rconn *c) {
  if (c->count < c->cap) return true;
  size_t cap = c->cap == 0 ? 16 : c->cap * 2;
  struct pending *ring = malloc(cap * sizeof *ring);
  if (ring == NULL) return false;
  for (size_t i = 0; i < c->count; i++) ring[i] = c->ring[(c->head + i) % c->cap];
  free(c->ring);
  c->ring = ring;
  c->cap = cap;
  c->head = 0;
  return true;
}

/* There is room for LENGTH_MAX. */
static void put_length(struct buf *b, char type, size_t n) {
  char text[LENGTH_MAX];
  char *p = text + sizeof text;
  *--p = '\n';
  *--p = '\r';
  do {
    *--p = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  *--p = type;
  size_t len = (size_t)(text + sizeof text - p);
  memcpy(b->data + b->len, p, len);
  b->len += len;
}

static void begin(struct rconn *c, unsigned argc) {
  c->start = c->out.len;
  c->whole = ring_grow(c) && buf_reserve(&c->out, LENGTH_MAX);
  if (c->whole) put_length(&c->out, '*', argc);
}

void rconn_begin(struct rconn *c, unsigned argc) {
  begin(c, argc);
  if (c->state != READY) c->whole = false;
}

void rconn_arg2(struct rconn *c, const void *data, size_t len, const void *more, size_t more_len) {
  struct buf *b = &c->out;
  if (c->whole) c->whole = buf_reserve(b, LENGTH_MAX + len + more_len + 2);
  if (!c->whole) return;
  put_length(b, '$', len + more_len);
  if (len > 0) memcpy(b->data + b->len, data, len);
  b->len += len;
  if (more_len > 0) memcpy(b->data + b->len, more, more_len);
  b->len += more_len;
  memcpy(b->data + b->len, "\r\n", 2);
  b->len += 2;
}

void rconn_arg(struct rconn *c, const void *data, size_t len) { rconn_arg2(c, data, len, NULL, 0); }

static void arg_text(struct rconn *c, const char *text) { rconn_arg(c, text, strlen(text)); }

bool rconn_end(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms) {
  if (!c->whole) {
    c->out.len = c->start;
    return false;
  }
  c->appended += c->out.len - c->start;
  c->ring[(c->head + c->count) % c->cap] = (struct pending){
      .fn = fn, .arg = arg, .end = c->appended, .deadline = now(c) + c->opt.timeout_ms + blocks_ms, .blocks = blocks_ms > 0};
  c->count++;
  if (blocks_ms > 0) c->blocking++;
  return true;
}

bool rconn_ask(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms, ...) {
  va_list words, again;
  unsigned argc = 0;
  va_start(words, blocks_ms);
  va_copy(again, words);
  while (va_arg(words, const char *) != NULL) argc++;
  rconn_begin(c, argc);
  while (argc-- > 0) arg_text(c, va_arg(again, const char *));
  va_end(again);
  va_end(words);
  return rconn_end(c, fn, arg, blocks_ms);
}

static void on_written(uv_write_t *req, int status) {
  struct rconn *c = req->data;
  c->write_busy = false;
  c->writing.len = 0;
  if (c->writing.cap > KEEP_BUFFER) buf_free(&c->writing);
  if (c->state == CLOSED) return;
  if (status < 0) {
    fail(c, uv_strerror(status));
  } else {
    rconn_flush(c);
  }
}

/* Moves `out` into `sealed`, encrypted. It counts as sent from then on: a record can't be taken back out of the stream. */
static bool seal(struct rconn *c) {
  if (!tls_write(c->tls, c->out.data, c->out.len) || !tls_take(c->tls, &c->sealed)) return false;
  c->sent = c->appended;
  c->out.len = 0;
  return true;
}

void rconn_flush(struct rconn *c) {
  if (c->state == CLOSED || c->write_busy) return;
  if (c->tls != NULL && !seal(c)) {
    fail(c, "TLS: cannot encrypt");
    return;
  }
  struct buf *from = c->tls != NULL ? &c->sealed : &c->out;
  if (from->len == 0) return;
  uv_buf_t b = uv_buf_init(from->data, (unsigned)from->len);
  int n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
  if (n == UV_EAGAIN) n = 0;
  if (n < 0) {
    fail(c, uv_strerror(n));
    return;
  }
  /* What the kernel did not take is libuv's until on_written. It counts as sent: nobody can say how much was. */
  c->sent = c->appended;
  if ((size_t)n == from->len) {
    from->len = 0;
    if (from->cap > KEEP_BUFFER) buf_free(from);
    return;
  }
  struct buf spare = c->writing;
  c->writing = *from;
  *from = spare;
  c->write_busy = true;
  c->write.data = c;
  b = uv_buf_init(c->writing.data + n, (unsigned)(c->writing.len - (size_t)n));
  int rc = uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written);
  if (rc < 0) {
    c->write_busy = false;
    fail(c, uv_strerror(rc));
  }
}

/* In RESP3 the answer to SUBSCRIBE arrives as a push; it still belongs to the oldest pending command. */
static bool is_confirmation(const redisReply *r) {
  if (r->elements == 0 || r->element[0]->type != REDIS_REPLY_STRING) return false;
  return strcmp(r->element[0]->str, "subscribe") == 0 || strcmp(r->element[0]->str, "psubscribe") == 0;
}

static void take_reply(struct rconn *c, const redisReply *r) {
  if (r->type == REDIS_REPLY_PUSH && !is_confirmation(r)) {
    if (c->events->push != NULL) c->events->push(c->owner, c, r);
    return;
  }
  if (c->count == 0) {
    fail(c, "an answer that nobody asked for");
    return;
  }
  struct pending p = take_head(c);
  if (p.fn != NULL) {
    p.fn(c->owner, p.arg, r, true);
  } else if (c->state == GREETING) {
    if (r->type == REDIS_REPLY_ERROR) {
      fail(c, r->str);
      return;
    }
    c->state = READY;
    c->events->ready(c->owner, c);
  }
}

static void greet(struct rconn *c) {
  bool sign_in = c->opt.password[0] != '\0';
  c->state = GREETING;
  begin(c, sign_in ? 7 : 4);
  arg_text(c, "HELLO");
  arg_text(c, "3");
  if (sign_in) {
    arg_text(c, "AUTH");
    arg_text(c, c->opt.user[0] != '\0' ? c->opt.user : "default");
    arg_text(c, c->opt.password);
  }
  arg_text(c, "SETNAME");
  arg_text(c, "sessiond");
  if (rconn_end(c, NULL, NULL, 0)) {
    rconn_flush(c);
  } else {
    fail(c, "out of memory");
  }
}

/* One step of TLS' handshake. */
static void secure(struct rconn *c) {
  int done = tls_shake(c->tls);
  if (done > 0) {
    greet(c);
    return;
  }
  rconn_flush(c); /* in failure too: the peer learns the reason */
  if (done < 0) fail(c, tls_error(c->tls));
}

static void take_bytes(struct rconn *c, const char *data, size_t len) {
  if (redisReaderFeed(c->reader, data, len) != REDIS_OK) {
    fail(c, c->reader->errstr);
    return;
  }
  while (c->state != CLOSED) {
    void *reply = NULL;
    if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
      fail(c, c->reader->errstr);
      return;
    }
    if (reply == NULL) return;
    take_reply(c, reply);
    freeReplyObject(reply);
  }
}

static void take_sealed(struct rconn *c, const char *data, size_t len) {
  static char plain[16384]; /* a record; take_bytes copies it */
  if (!tls_feed(c->tls, data, len)) {
    fail(c, "out of memory");
    return;
  }
  if (c->state == SECURING) secure(c);
  while (c->state == GREETING || c->state == READY) {
    int n = tls_read(c->tls, plain, sizeof plain);
    if (n == 0) return;
    if (n < 0) {
      fail(c, tls_error(c->tls));
    } else {
      take_bytes(c, plain, (size_t)n);
    }
  }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
  struct rconn *c = stream->data;
  if (n == 0) return;
  if (n < 0) {
    fail(c, n == UV_EOF ? "closed by the server" : uv_strerror((int)n));
    return;
  }
  c->heard_at = now(c);
  c->pinged = false;
  if (c->tls != NULL) {
    take_sealed(c, b->base, (size_t)n);
  } else {
    take_bytes(c, b->base, (size_t)n);
  }
}

/* One area for all connections: libuv fills it and calls on_read, which copies, before it reads the next. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *b) {
  static char area[65536];
  (void)handle;
  (void)suggested;
  *b = uv_buf_init(area, sizeof area);
}

static void on_connected(uv_connect_t *req, int status) {
  struct rconn *c = req->data;
  if (c->state == CLOSED) return;
  int rc = status;
  if (rc == 0) rc = uv_tcp_nodelay(&c->tcp, 1);
  if (rc == 0) rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
  if (rc < 0) {
    fail(c, uv_strerror(rc));
    return;
  }
  if (c->tls != NULL) {
    c->state = SECURING;
    secure(c);
  } else {
    greet(c);
  }
}

/* The deadlines. A late tick means that this process slept (stopped, or starved): what the peer sent meanwhile is still
 * unread, so its silence is forgiven once. */
static void on_tick(uv_timer_t *timer) {
  struct rconn *c = timer->data;
  uint64_t t = now(c);
  if (t - c->ticked_at > 2 * c->tick_ms + 50) {
    c->heard_at = t;
    c->opened_at = t;
    for (size_t i = 0; i < c->count; i++) c->ring[(c->head + i) % c->cap].deadline += t - c->ticked_at;
  }
  c->ticked_at = t;
  uint64_t silent = t - c->heard_at;
  if (c->state != READY) {
    if (t - c->opened_at >= c->opt.dead_ms) fail(c, "no connection and greeting in time");
    return;
  }
  if (c->count > 0 && t >= c->ring[c->head].deadline) {
    fail(c, "a command was not answered in time");
  } else if (c->blocking == 0 && silent >= c->opt.dead_ms) {
    fail(c, "silent for too long");
  } else if (c->blocking == 0 && silent >= c->opt.ping_ms && !c->pinged) {
    c->pinged = rconn_ask(c, NULL, NULL, 0, "PING", NULL);
    rconn_flush(c);
  }
}

struct rconn *rconn_open(uv_loop_t *loop, const struct rconn_options *options, const struct rconn_events *events, void *owner) {
  struct sockaddr_storage to;
  struct rconn *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->reader = redisReaderCreate();
  if (options->tls != NULL) c->tls = tls_open(options->tls, options->addr.ip);
  if (c->reader == NULL || (options->tls != NULL && c->tls == NULL) || !addr_sockaddr(&options->addr, &to) ||
      uv_timer_init(loop, &c->tick) < 0) {
    redisReaderFree(c->reader);
    tls_close(c->tls);
    free(c);
    return NULL;
  }
  c->opt = *options;
  c->events = events;
  c->owner = owner;
  c->tick.data = c->tcp.data = c->connect.data = c;
  c->handles = 1;
  c->opened_at = c->heard_at = c->ticked_at = uv_now(loop);
  c->tick_ms = c->opt.ping_ms / TICKS_PER_PING + 1;
  if (uv_tcp_init(loop, &c->tcp) < 0) {
    c->state = CLOSED;
    uv_close((uv_handle_t *)&c->tick, on_closed);
    return NULL;
  }
  c->handles = 2;
  if (uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&to, on_connected) < 0 ||
      uv_timer_start(&c->tick, on_tick, c->tick_ms, c->tick_ms) < 0) {
    shut(c);
    return NULL;
  }
  return c;
}
