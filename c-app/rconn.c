#include "rconn.h"
#include "buf.h"
#include "tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_PING 4
#define KEEP_BUFFER 262144 /* a write buffer that grew beyond this is given back */
#define LENGTH_MAX 24      /* "$18446744073709551615\r\n" and a NUL */

enum state { CONNECTING, GREETING, READY, CLOSED };

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
  size_t reply_bytes, reply_elements; /* of the reply that is being read, so far */
  struct tls_link *tls; /* NULL: plain TCP */
  struct buf out;       /* appended, not yet written */
  size_t start;         /* where in `out` the command begins that is being built */
  bool whole;           /* nothing of it is missing so far */
  struct buf sealed;    /* with TLS: what was encrypted, not yet written */
  struct buf writing;   /* lent to libuv while write_busy */
  bool write_busy;
  uint64_t appended, sent;
  struct buf pending;   /* struct pending, first in, first answered */
  size_t taken;         /* bytes at its start that are answered */
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
  buf_free(&c->pending);
  free(c);
}

/* From the oldest to the newest; NULL: there is none. */
static struct pending *oldest(const struct rconn *c) {
  return c->taken < c->pending.len ? (struct pending *)(void *)(c->pending.data + c->taken) : NULL;
}

static struct pending take_oldest(struct rconn *c) {
  struct pending p = *oldest(c);
  c->taken += sizeof p;
  if (p.blocks) c->blocking--;
  return p;
}

void rconn_close(struct rconn *c) {
  if (c->state == CLOSED) return;
  c->state = CLOSED;
  while (oldest(c) != NULL) {
    struct pending p = take_oldest(c);
    if (p.fn != NULL) p.fn(c->owner, &(struct rconn_answer){.arg = p.arg, .sent = p.end <= c->sent});
  }
  uv_close((uv_handle_t *)&c->tick, on_closed);
  uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* Always false. */
static bool fail(struct rconn *c, const char *why) {
  if (c->state == CLOSED) return false;
  char text[160];
  snprintf(text, sizeof text, "%s", why); /* `why` may lie in the reader or in a reply */
  rconn_close(c);
  c->events->lost(c->owner, c, text);
  return false;
}

bool rconn_connected(const struct rconn *c) { return c->state == GREETING || c->state == READY; }

size_t rconn_backlog(const struct rconn *c) { return c->out.len + c->sealed.len + c->writing.len; }

/* The room of what was answered is used again when it is half of all, so that moving the rest is cheap. */
static bool reserve_pending(struct rconn *c) {
  if (c->taken > 0 && c->taken >= c->pending.len - c->taken) {
    c->pending.len -= c->taken;
    memmove(c->pending.data, c->pending.data + c->taken, c->pending.len);
    c->taken = 0;
  }
  return buf_reserve(&c->pending, sizeof(struct pending));
}

void rconn_begin(struct rconn *c, const char *head, size_t len) {
  c->start = c->out.len;
  c->whole = reserve_pending(c) && buf_add(&c->out, head, len);
}

void rconn_arg2(struct rconn *c, const void *data, size_t len, const void *more, size_t more_len) {
  if (c->whole) c->whole = buf_reserve(&c->out, LENGTH_MAX + len + more_len + 2);
  if (!c->whole) return;
  char *at = c->out.data + c->out.len;
  *at++ = '$';
  at = stpcpy(buf_number(at, len + more_len), "\r\n");
  if (len > 0) memcpy(at, data, len);
  if (more_len > 0) memcpy(at + len, more, more_len);
  at = stpcpy(at + len + more_len, "\r\n");
  c->out.len = (size_t)(at - c->out.data);
}

void rconn_arg(struct rconn *c, const void *data, size_t len) { rconn_arg2(c, data, len, NULL, 0); }

bool rconn_end(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms) {
  if (!c->whole || (c->state != READY && fn != NULL)) {
    c->out.len = c->start;
    return false;
  }
  c->appended += c->out.len - c->start;
  if (blocks_ms > 0) c->blocking++;
  struct pending p = {.fn = fn, .arg = arg, .end = c->appended, .deadline = now(c) + c->opt.timeout_ms + blocks_ms, .blocks = blocks_ms > 0};
  return buf_add(&c->pending, &p, sizeof p); /* rconn_begin has made room */
}

bool rconn_ask(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms, ...) {
  va_list words, again;
  unsigned argc = 0;
  char head[LENGTH_MAX];
  va_start(words, blocks_ms);
  va_copy(again, words);
  while (va_arg(words, const char *) != NULL) argc++;
  rconn_begin(c, head, (size_t)snprintf(head, sizeof head, "*%u\r\n", argc));
  for (const char *word; (word = va_arg(again, const char *)) != NULL;) rconn_arg(c, word, strlen(word));
  va_end(again);
  va_end(words);
  return rconn_end(c, fn, arg, blocks_ms);
}

/* Empties a write buffer. */
static void clear(struct buf *b) {
  b->len = 0;
  if (b->cap > KEEP_BUFFER) buf_free(b);
}

static void on_written(uv_write_t *req, int status) {
  struct rconn *c = req->data;
  c->write_busy = false;
  clear(&c->writing);
  if (status < 0) fail(c, uv_strerror(status));
  rconn_flush(c);
}

bool rconn_flush(struct rconn *c) {
  if (c->state == CLOSED || c->write_busy) return c->state != CLOSED;
  const char *why = c->tls != NULL ? tls_write(c->tls, &c->out) : NULL;
  struct buf *from = c->tls != NULL ? &c->sealed : &c->out;
  if (from->len > 0) {
    int rc = buf_write((uv_stream_t *)&c->tcp, from, &c->write, &c->writing, on_written);
    c->write_busy = rc == 0;
    if (rc > 0) clear(from);
    if (rc < 0) why = uv_strerror(rc);
  }
  /* What the kernel did not take too: nobody can say how much was. Likewise what was encrypted before that failed. */
  if (c->out.len == 0 || (c->tls != NULL && why != NULL)) c->sent = c->appended;
  return why == NULL || fail(c, why);
}

/* In RESP3 the answer to SUBSCRIBE arrives as a push; it still belongs to the oldest pending command. */
static bool is_confirmation(const redisReply *r) {
  if (r->elements == 0 || r->element[0]->type != REDIS_REPLY_STRING) return false;
  return strcmp(r->element[0]->str, "subscribe") == 0 || strcmp(r->element[0]->str, "psubscribe") == 0;
}

/* Like the next ones: false when the connection has ended. */
static bool take_reply(struct rconn *c, const redisReply *r) {
  if (r->type == REDIS_REPLY_PUSH && !is_confirmation(r)) {
    if (c->events->push != NULL) c->events->push(c->owner, c, r);
    return c->state != CLOSED;
  }
  if (oldest(c) == NULL) return fail(c, "an answer that nobody asked for");
  struct pending p = take_oldest(c);
  if (p.fn != NULL) {
    p.fn(c->owner, &(struct rconn_answer){p.arg, r, true});
  } else if (c->state == GREETING) {
    if (r->type == REDIS_REPLY_ERROR) return fail(c, r->str);
    c->state = READY;
    c->events->ready(c->owner, c);
  }
  return c->state != CLOSED;
}

static void greet(struct rconn *c) {
  const struct rconn_options *o = &c->opt;
  const char *user = o->user[0] != '\0' ? o->user : "default";
  c->state = GREETING;
  bool ok = o->password[0] != '\0' ? rconn_ask(c, NULL, NULL, 0, "HELLO", "3", "AUTH", user, o->password, "SETNAME", "sessiond", NULL)
                                   : rconn_ask(c, NULL, NULL, 0, "HELLO", "3", "SETNAME", "sessiond", NULL);
  if (!ok) fail(c, "out of memory");
  rconn_flush(c);
}

static void *(*create_array)(const redisReadTask *task, size_t elements); /* hiredis' */

/* hiredis makes a list as long as it is announced, and nests them without end, which its recursive free does not survive. */
static void *count_array(const redisReadTask *task, size_t elements) {
  size_t *total = task->privdata;
  *total += elements;
  return *total <= RCONN_ELEMENTS_MAX ? create_array(task, elements) : NULL;
}

redisReader *rconn_reader(size_t *elements) {
  static redisReplyObjectFunctions functions;
  redisReader *reader = redisReaderCreate();
  if (reader == NULL) return NULL;
  functions = *reader->fn;
  create_array = functions.createArray;
  functions.createArray = count_array;
  reader->fn = &functions;
  reader->privdata = elements;
  reader->maxelements = RCONN_ELEMENTS_MAX; /* so that the sum does not overflow */
  return reader;
}

static bool take_bytes(struct rconn *c, const char *data, size_t len) {
  void *reply;
  bool open = true;
  redisReaderFeed(c->reader, data, len); /* an error stays in the reader, and is told here */
  c->reply_bytes += len;
  while (open) {
    bool good = redisReaderGetReply(c->reader, &reply) == REDIS_OK;
    if (!good) return fail(c, c->reply_elements > RCONN_ELEMENTS_MAX ? "a reply has too many elements" : c->reader->errstr);
    if (reply == NULL) return c->reply_bytes <= RCONN_REPLY_MAX || fail(c, "a reply is too long");
    c->reply_bytes = c->reply_elements = 0;
    open = take_reply(c, reply);
    freeReplyObject(reply);
  }
  return false;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
  static char plain[TLS_PLAIN_MAX]; /* take_bytes copies it */
  struct rconn *c = stream->data;
  if (n < 0) fail(c, n == UV_EOF ? "closed by the server" : uv_strerror((int)n));
  if (n <= 0) return;
  c->heard_at = now(c);
  c->pinged = false;
  const char *data = c->tls != NULL ? plain : b->base;
  size_t len = c->tls != NULL ? tls_read(c->tls, b->base, (size_t)n, plain) : (size_t)n;
  if (len > 0) {
    take_bytes(c, data, len);
  } else {
    rconn_flush(c); /* the handshake's next step, or why it failed */
  }
}

static void on_connected(uv_connect_t *req, int status) {
  struct rconn *c = req->data;
  if (c->state == CLOSED) return;
  if (status == 0) status = uv_tcp_nodelay(&c->tcp, 1);
  if (status == 0) status = uv_read_start((uv_stream_t *)&c->tcp, buf_area, on_read);
  if (status < 0) {
    fail(c, uv_strerror(status));
  } else {
    greet(c);
  }
}

/* The deadlines. A late tick means that this process slept (stopped, or starved): what the peer sent meanwhile is still
 * unread, so its silence is forgiven once. */
static void on_tick(uv_timer_t *timer) {
  struct rconn *c = timer->data;
  struct pending *first = oldest(c);
  uint64_t t = now(c);
  if (t - c->ticked_at > 2 * c->tick_ms + 50) {
    c->heard_at = t;
    c->opened_at = t;
    for (size_t i = 0; i < (c->pending.len - c->taken) / sizeof *first; i++) first[i].deadline += t - c->ticked_at;
  }
  c->ticked_at = t;
  uint64_t silent = t - c->heard_at;
  if (c->state != READY) {
    if (t - c->opened_at >= c->opt.dead_ms) fail(c, "no connection and greeting in time");
  } else if (first != NULL && t >= first->deadline) {
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
  c->opt = *options;
  c->events = events;
  c->owner = owner;
  c->tick.data = c->tcp.data = c->connect.data = c->write.data = c;
  c->opened_at = c->heard_at = c->ticked_at = uv_now(loop);
  c->tick_ms = c->opt.ping_ms / TICKS_PER_PING + 1;
  /* These three cannot fail: libuv only fills in the structs. */
  uv_tcp_init(loop, &c->tcp);
  uv_timer_init(loop, &c->tick);
  uv_timer_start(&c->tick, on_tick, c->tick_ms, c->tick_ms);
  c->handles = 2;
  c->reader = rconn_reader(&c->reply_elements);
  if (options->tls != NULL) c->tls = tls_open(options->tls, options->addr.ip, &c->sealed);
  if (c->reader != NULL && (options->tls == NULL || c->tls != NULL) && addr_sockaddr(options->addr.ip, options->addr.port, &to) &&
      uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&to, on_connected) == 0) return c;
  rconn_close(c);
  return NULL;
}
