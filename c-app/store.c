#include "store.h"
#include "log.h"
#include "metrics.h"
#include "rconn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 20
#define ROLE_MS 500         /* how often the primary is asked whether it still is one, and for its replicas */
#define ROLE_SHORT_MS 50    /* the same while it has too few replicas */
#define LEAVE_MS 100        /* a demoted primary's remaining answers are awaited this long */
#define NOREPLICAS_MS 50    /* pause after NOREPLICAS */
#define COMPLAIN_MS 1000    /* at most one line of log in this time */
#define BACKLOG_MAX 1048576 /* bytes under way to Redis, after which requests wait in the queue */
#define KEY_PREFIX "session:"
#define ID_MAX 128

struct store {
  uv_loop_t *loop;
  const struct config *cfg;
  struct sentinel *sentinel;
  uv_prepare_t prepare; /* before the loop sleeps: sends what timers submitted */
  uv_check_t check;     /* after the sockets were read: sends what clients submitted */
  uv_timer_t tick;
  struct addr primary;
  struct rconn *reads;
  struct rconn *writes; /* the same as reads when durability is async */
  unsigned greeted;
  bool up;      /* both greeted, and ROLE said that it is a primary */
  bool moving;  /* a failover was begun: the primary is read from, but not written to */
  bool leaving; /* the primary was demoted: only the answers under way are awaited */
  uint64_t leave_by;
  unsigned replicas;
  bool role_asked;
  uint64_t role_at, complained_at, writes_from; /* writes_from: no write before that time (NOREPLICAS) */
  bool batch;                    /* a WAIT is under way */
  struct hold held_reads, held_writes;
  struct hold applied; /* writes that the primary has, waiting for WAIT's answer */
  bool stopped;
  char ttl[16];
  char required[16], wait_ms[16];
};

static bool replicated(const struct store *s) { return s->cfg->durability == CONFIG_REPLICATED; }

static void finish(struct store_op *op, enum store_result result, const char *text) {
  op->state = STORE_IDLE;
  op->done(op, result, text, strlen(text));
}

static void acknowledge(struct store *s, struct store_op *op, bool absent) {
  if (replicated(s)) {
    metrics.acked_replicated++;
  } else {
    metrics.acked_async++;
  }
  finish(op, absent ? STORE_ABSENT : STORE_OK, "");
}

static void unknown(struct store_op *op, const char *why) {
  metrics.unknown++;
  finish(op, STORE_UNKNOWN, why);
}

static void hold_again(struct store *s, struct store_op *op) {
  if (s->stopped) {
    finish(op, STORE_UNAVAILABLE, "shutting down");
    return;
  }
  metrics.resent++;
  op->state = STORE_HELD;
  hold_return(op->kind == STORE_GET ? &s->held_reads : &s->held_writes, &op->item);
}

/* the connections to the primary */

/* Both pointers are cleared first: closing runs callbacks, which must find no connection to send on. */
static void drop(struct store *s) {
  struct rconn *reads = s->reads, *writes = s->writes;
  s->reads = s->writes = NULL;
  s->up = s->leaving = s->moving = s->role_asked = false;
  s->greeted = 0;
  s->replicas = 0;
  if (reads != NULL) rconn_close(reads);
  if (writes != NULL && writes != reads) rconn_close(writes);
}

/* The primary says that it is none, or not yet. Its other answers are on their way and each says whether its request
 * was refused too, which a closed connection would leave unknown. */
static void leave(struct store *s, const char *why) {
  if (s->reads == NULL || s->leaving) return;
  s->up = false;
  s->leaving = true;
  s->leave_by = uv_now(s->loop) + LEAVE_MS;
  sentinel_suspect(s->sentinel, why);
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  struct store *s = owner;
  if (c != s->reads && c != s->writes) return;
  metrics.connections_lost++;
  if (s->reads == c) s->reads = NULL;
  if (s->writes == c) s->writes = NULL;
  drop(s);
  sentinel_suspect(s->sentinel, why);
}

static void on_role(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct store *s = owner;
  unsigned replicas;
  (void)arg;
  (void)sent;
  if (reply == NULL) return;
  s->role_asked = false;
  if (!sentinel_parse_role(reply, &replicas)) {
    leave(s, reply->type == REDIS_REPLY_ERROR ? reply->str : "it is not a primary any more");
    return;
  }
  s->replicas = replicas;
  if (!s->leaving) s->up = true;
}

static void ask_role(struct store *s) {
  static const char *const argv[] = {"ROLE"};
  static const size_t lens[] = {4};
  if (s->role_asked) return;
  s->role_asked = rconn_command(s->reads, on_role, NULL, 0, 1, argv, lens);
  s->role_at = uv_now(s->loop);
}

static void on_ready(void *owner, struct rconn *c) {
  struct store *s = owner;
  if (c != s->reads && c != s->writes) return;
  s->greeted++;
  if (s->greeted == (s->reads == s->writes ? 1U : 2U)) ask_role(s);
}

static void on_primary(void *owner, const struct addr *addr) {
  static const struct rconn_events events = {.ready = on_ready, .lost = on_lost};
  struct store *s = owner;
  s->moving = false;
  if (s->reads != NULL && !s->leaving && addr_equal(addr, &s->primary)) return;
  drop(s);
  struct rconn_options o = {.addr = *addr, .user = s->cfg->redis_user, .password = s->cfg->redis_password,
                            .timeout_ms = s->cfg->redis_timeout_ms, .ping_ms = s->cfg->redis_ping_ms, .dead_ms = s->cfg->redis_dead_ms};
  s->primary = *addr;
  s->writes_from = 0;
  s->reads = rconn_open(s->loop, &o, &events, s);
  s->writes = replicated(s) && s->reads != NULL ? rconn_open(s->loop, &o, &events, s) : s->reads;
  if (s->reads == NULL || s->writes == NULL) {
    drop(s);
    sentinel_suspect(s->sentinel, "no memory or descriptor for a connection");
  }
}

static void on_moving(void *owner, bool moving) {
  struct store *s = owner;
  s->moving = moving && s->reads != NULL;
}

/* answers */

static bool starts(const redisReply *r, const char *word) { return strncmp(r->str, word, strlen(word)) == 0; }

/* An error answer means that the command was not applied. The request is held when another attempt can succeed. */
static void refused(struct store *s, struct store_op *op, const redisReply *r) {
  enum metrics_redis_error kind = starts(r, "READONLY")     ? REDIS_READONLY
                                  : starts(r, "LOADING")    ? REDIS_LOADING
                                  : starts(r, "MASTERDOWN") ? REDIS_MASTERDOWN
                                  : starts(r, "NOREPLICAS") ? REDIS_NOREPLICAS
                                  : starts(r, "MISCONF")    ? REDIS_MISCONF
                                  : starts(r, "OOM")        ? REDIS_OOM
                                                            : REDIS_OTHER;
  metrics.redis_errors[kind]++;
  switch (kind) {
    case REDIS_READONLY:
    case REDIS_LOADING:
    case REDIS_MASTERDOWN:
      leave(s, r->str);
      hold_again(s, op);
      return;
    case REDIS_NOREPLICAS:
      s->writes_from = uv_now(s->loop) + NOREPLICAS_MS;
      hold_again(s, op);
      return;
    case REDIS_MISCONF:
      finish(op, STORE_UNAVAILABLE, "Redis cannot write to its disk");
      return;
    case REDIS_OOM:
      finish(op, STORE_UNAVAILABLE, "Redis is out of memory");
      return;
    default:
      if (uv_now(s->loop) - s->complained_at >= COMPLAIN_MS) {
        s->complained_at = uv_now(s->loop);
        log_error("Redis refused a command: %s", r->str);
      }
      finish(op, STORE_UNAVAILABLE, "Redis refused the command");
  }
}

static void on_got(void *owner, void *arg, const redisReply *r, bool sent) {
  struct store_op *op = arg;
  (void)sent;
  if (r == NULL) {
    hold_again(owner, op);
  } else if (r->type == REDIS_REPLY_ERROR) {
    refused(owner, op, r);
  } else if (r->type == REDIS_REPLY_STRING) {
    op->state = STORE_IDLE;
    op->done(op, STORE_OK, r->str, r->len);
  } else if (r->type == REDIS_REPLY_NIL) {
    finish(op, STORE_ABSENT, "");
  } else {
    finish(op, STORE_UNAVAILABLE, "Redis gave an answer of another type");
  }
}

static void on_wrote(void *owner, void *arg, const redisReply *r, bool sent) {
  struct store *s = owner;
  struct store_op *op = arg;
  if (r == NULL) {
    if (sent) {
      unknown(op, "the primary was lost before it answered: the write may have been applied");
    } else {
      hold_again(s, op);
    }
    return;
  }
  if (r->type == REDIS_REPLY_ERROR) {
    refused(s, op, r);
    return;
  }
  bool absent = op->kind == STORE_DELETE && r->type == REDIS_REPLY_INTEGER && r->integer == 0;
  if (!replicated(s)) {
    acknowledge(s, op, absent);
    return;
  }
  op->state = absent ? STORE_APPLIED_ABSENT : STORE_APPLIED;
  hold_return(&s->applied, &op->item);
}

static void on_waited(void *owner, void *arg, const redisReply *r, bool sent) {
  struct store *s = owner;
  (void)arg;
  (void)sent;
  bool enough = r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer >= (long long)s->cfg->replicas_required;
  if (r != NULL && r->type == REDIS_REPLY_INTEGER && !enough) metrics.wait_short++;
  s->batch = false;
  struct hold_item *item;
  while ((item = hold_take(&s->applied)) != NULL) {
    struct store_op *op = (struct store_op *)item;
    if (enough) {
      acknowledge(s, op, op->state == STORE_APPLIED_ABSENT);
    } else {
      unknown(op, r == NULL ? "the primary was lost before the write was replicated" : "too few replicas confirmed the write");
    }
  }
}

/* sending */

static void send_op(struct store *s, struct store_op *op) {
  char key[sizeof KEY_PREFIX + ID_MAX];
  size_t prefix = sizeof KEY_PREFIX - 1;
  memcpy(key, KEY_PREFIX, prefix);
  memcpy(key + prefix, op->id, op->id_len);
  const char *argv[5] = {op->kind == STORE_GET ? "GET" : op->kind == STORE_SET ? "SET" : "DEL", key};
  size_t lens[5] = {3, prefix + op->id_len};
  int argc = 2;
  if (op->kind == STORE_SET) {
    argv[2] = op->value;
    lens[2] = op->value_len;
    argv[3] = "EX";
    lens[3] = 2;
    argv[4] = s->ttl;
    lens[4] = strlen(s->ttl);
    argc = 5;
  }
  op->state = STORE_SENT;
  bool read = op->kind == STORE_GET;
  if (!rconn_command(read ? s->reads : s->writes, read ? on_got : on_wrote, op, 0, argc, argv, lens)) {
    finish(op, STORE_UNAVAILABLE, "the command could not be sent");
  }
}

static bool may_write(const struct store *s) {
  if (s->batch || s->moving || uv_now(s->loop) < s->writes_from) return false;
  return !replicated(s) || s->replicas >= s->cfg->replicas_required;
}

static void send_writes(struct store *s) {
  size_t before = rconn_pending(s->writes);
  while (s->held_writes.count > 0 && rconn_backlog(s->writes) < BACKLOG_MAX) send_op(s, (struct store_op *)hold_take(&s->held_writes));
  if (!replicated(s) || rconn_pending(s->writes) == before) return;
  const char *argv[] = {"WAIT", s->required, s->wait_ms};
  const size_t lens[] = {4, strlen(s->required), strlen(s->wait_ms)};
  s->batch = rconn_command(s->writes, on_waited, NULL, s->cfg->wait_ms, 3, argv, lens);
  if (s->batch) return;
  /* Writes without their WAIT must never be acknowledged: give the connection up, unsent. */
  drop(s);
  sentinel_suspect(s->sentinel, "out of memory");
}

/* Once per loop turn, and after it the loop may sleep: whatever can be sent is sent. Any step may end the connections. */
static void pump(struct store *s) {
  if (s->leaving && (uv_now(s->loop) >= s->leave_by || (rconn_pending(s->reads) == 0 && rconn_pending(s->writes) == 0))) drop(s);
  if (s->up) {
    while (s->held_reads.count > 0 && rconn_backlog(s->reads) < BACKLOG_MAX) send_op(s, (struct store_op *)hold_take(&s->held_reads));
    if (s->held_writes.count > 0 && may_write(s)) send_writes(s);
  }
  if (s->reads != NULL) rconn_flush(s->reads);
  if (s->writes != NULL) rconn_flush(s->writes);
}

static void on_prepare(uv_prepare_t *h) { pump(h->data); }
static void on_check(uv_check_t *h) { pump(h->data); }

static void expire(struct store *s, struct hold *h, uint64_t now) {
  struct hold_item *item;
  while ((item = hold_take_expired(h, now)) != NULL) {
    metrics.held_expired++;
    finish((struct store_op *)item, STORE_UNAVAILABLE, s->up ? "too few replicas are linked to the primary" : "no primary was found in time");
  }
}

static void on_tick(uv_timer_t *timer) {
  struct store *s = timer->data;
  uint64_t now = uv_now(s->loop);
  expire(s, &s->held_reads, now);
  expire(s, &s->held_writes, now);
  bool few = replicated(s) && s->replicas < s->cfg->replicas_required;
  if (s->up && now - s->role_at >= (few ? ROLE_SHORT_MS : ROLE_MS)) ask_role(s);
}

void store_submit(struct store *s, struct store_op *op) {
  struct hold *h = op->kind == STORE_GET ? &s->held_reads : &s->held_writes;
  op->item.deadline = uv_now(s->loop) + s->cfg->hold_ms;
  if (!s->up) metrics.held++;
  if (h->count >= h->max) pump(s);
  if (s->stopped || !hold_push(h, &op->item)) {
    metrics.held_refused++;
    finish(op, STORE_UNAVAILABLE, "too many requests wait for a primary");
    return;
  }
  op->state = STORE_HELD;
}

bool store_withdraw(struct store *s, struct store_op *op) {
  if (op->state != STORE_HELD) return false;
  hold_remove(op->kind == STORE_GET ? &s->held_reads : &s->held_writes, &op->item);
  op->state = STORE_IDLE;
  return true;
}

bool store_ready(const struct store *s) {
  return s->up && !s->moving && uv_now(s->loop) >= s->writes_from && (!replicated(s) || s->replicas >= s->cfg->replicas_required);
}

bool store_has_primary(const struct store *s) { return s->up; }
size_t store_held(const struct store *s) { return s->held_reads.count + s->held_writes.count; }
unsigned store_replicas(const struct store *s) { return s->replicas; }
struct sentinel_stats store_sentinel_stats(const struct store *s) { return sentinel_stats(s->sentinel); }

/* life */

struct store *store_new(uv_loop_t *loop, const struct config *config) {
  static const struct sentinel_events events = {.primary = on_primary, .moving = on_moving};
  struct store *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->cfg = config;
  hold_init(&s->held_reads, config->hold_max);
  hold_init(&s->held_writes, config->hold_max);
  hold_init(&s->applied, 0);
  snprintf(s->ttl, sizeof s->ttl, "%u", config->session_ttl_s);
  snprintf(s->required, sizeof s->required, "%u", config->replicas_required);
  snprintf(s->wait_ms, sizeof s->wait_ms, "%u", config->wait_ms);
  struct sentinel_options o = {.addrs = config->sentinels, .count = config->sentinel_count, .master_name = config->master_name,
                               .sentinel_password = config->sentinel_password, .redis_user = config->redis_user,
                               .redis_password = config->redis_password, .timeout_ms = config->redis_timeout_ms,
                               .ping_ms = config->redis_ping_ms, .dead_ms = config->redis_dead_ms};
  s->sentinel = sentinel_new(loop, &o, &events, s);
  if (s->sentinel == NULL) {
    free(s);
    return NULL;
  }
  /* These three cannot fail: libuv only fills in the structs. */
  uv_prepare_init(loop, &s->prepare);
  uv_check_init(loop, &s->check);
  uv_timer_init(loop, &s->tick);
  s->prepare.data = s->check.data = s->tick.data = s;
  uv_prepare_start(&s->prepare, on_prepare);
  uv_check_start(&s->check, on_check);
  uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
  return s;
}

void store_stop(struct store *s) {
  if (s->stopped) return;
  s->stopped = true;
  drop(s);
  struct hold_item *item;
  while ((item = hold_take(&s->held_reads)) != NULL || (item = hold_take(&s->held_writes)) != NULL) {
    finish((struct store_op *)item, STORE_UNAVAILABLE, "shutting down");
  }
  sentinel_stop(s->sentinel);
  uv_close((uv_handle_t *)&s->prepare, NULL);
  uv_close((uv_handle_t *)&s->check, NULL);
  uv_close((uv_handle_t *)&s->tick, NULL);
}

void store_free(struct store *s) {
  if (s == NULL) return;
  sentinel_free(s->sentinel);
  free(s);
}
