#include "sentinel.h"
#include "log.h"
#include "rconn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 25
#define REOPEN_MS 200
#define ASK_MS 1000         /* Sentinels, and replicas */
#define ASK_PRIMARY_MS 500
#define ASK_CLOSELY_MS 100  /* Sentinels, while there is no primary or writes wait */
#define RETRY_PRIORITY_MS 1000

enum kind { SENTINEL, REDIS };

/* A connection that is kept up. `at` is the index in follow's answers or nodes. */
struct peer {
  struct sentinel *s;
  enum kind kind;
  size_t at;
  struct rconn *conn; /* NULL: closed, to be opened at reopen_at */
  bool ready, asked;
  uint64_t reopen_at, asked_at;
  uint64_t priority_at;        /* when its priority was last set */
  struct follow_answer heard;  /* the first third of a Sentinel's answer */
  char note[128];              /* the last thing logged about a failed step, so that it is said once */
};

struct sentinel {
  uv_loop_t *loop;
  struct sentinel_options opt;
  const struct sentinel_events *events;
  void *owner;
  uv_timer_t tick;
  struct follow follow;
  struct peer sentinels[FOLLOW_SENTINELS_MAX], redis[FOLLOW_NODES_MAX];
  struct sentinel_stats stats;
  bool pressed, closed;
};

static uint64_t now(const struct sentinel *s) { return uv_now(s->loop); }
static struct follow_node *node_of(struct peer *p) { return &p->s->follow.nodes[p->at]; }
static struct follow_answer *answer_of(struct peer *p) { return &p->s->follow.answers[p->at]; }
static const struct addr *addr_of(struct peer *p) { return p->kind == SENTINEL ? &p->s->opt.addrs[p->at] : &node_of(p)->addr; }

static void note(struct peer *p, const char *why) {
  char text[ADDR_TEXT_MAX];
  if (strncmp(p->note, why, sizeof p->note - 1) == 0) return;
  snprintf(p->note, sizeof p->note, "%s", why);
  log_info("%s: %s", addr_text(addr_of(p), text), p->note);
}

static bool awaiting(const struct sentinel *s) { return !s->follow.following || now(s) < s->follow.expected_until; }

/* The doubt came from here, so the user does not know it yet. */
static void tell_doubt(struct sentinel *s) {
  s->stats.discoveries++;
  s->events->primary(s->owner, NULL);
}

static void decide(struct sentinel *s) {
  char text[ADDR_TEXT_MAX];
  struct addr before = s->follow.primary;
  bool followed = s->follow.following;
  uint64_t since = s->follow.doubted_at;
  const struct addr *primary = follow_decide(&s->follow, now(s));
  if (followed && !s->follow.following) tell_doubt(s);
  if (primary == NULL) return;
  bool moved = before.port != 0 && !addr_equal(&before, primary);
  uint64_t lost_ms = followed ? 0 : now(s) - since;
  s->stats.failovers += moved;
  s->stats.lost_ms += lost_ms;
  for (size_t i = 0; i < FOLLOW_SENTINELS_MAX; i++) s->sentinels[i].note[0] = '\0';
  for (size_t i = 0; i < FOLLOW_NODES_MAX; i++) s->redis[i].note[0] = '\0';
  log_info("primary is %s%s, found in %llu ms", addr_text(primary, text), moved ? " (another one)" : "", (unsigned long long)lost_ms);
  s->events->primary(s->owner, primary);
}

/* asking */

static void on_master(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  (void)arg;
  (void)sent;
  p->heard.known = reply != NULL && follow_parse_master(reply, &p->heard);
}

static void on_master_addr(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  struct follow_answer *a = answer_of(p);
  (void)arg;
  (void)sent;
  if (reply == NULL) return;
  if (!p->heard.known || !follow_parse_addr(reply, &a->addr)) {
    note(p, reply->type == REDIS_REPLY_ERROR ? reply->str : "this Sentinel does not know the primary's name, or no address");
    return;
  }
  a->known = true;
  a->announced = false;
  a->epoch = p->heard.epoch;
  a->link_down_max_ms = p->heard.link_down_max_ms;
  follow_node(&p->s->follow, &a->addr);
}

static void on_replicas(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  struct addr seen[FOLLOW_NODES_MAX];
  size_t count = 0;
  (void)arg;
  (void)sent;
  p->asked = false;
  if (reply == NULL) return;
  if (!follow_parse_replicas(reply, answer_of(p), seen, &count) && reply->type != REDIS_REPLY_ERROR) {
    note(p, "its list of replicas can't be read (numeric addresses only)"); /* an error was told of the question before */
  }
  for (size_t i = 0; i < count; i++) follow_node(&p->s->follow, &seen[i]);
  decide(p->s);
}

static void on_info(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  (void)arg;
  (void)sent;
  if (reply != NULL && !follow_parse_info(reply, node_of(p))) note(p, reply->type == REDIS_REPLY_ERROR ? reply->str : "its INFO can't be read");
}

static void on_role(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  struct follow_role role;
  (void)arg;
  (void)sent;
  p->asked = false;
  if (reply == NULL) return;
  if (follow_parse_role(reply, &role)) {
    bool followed = p->s->follow.following;
    follow_heard(&p->s->follow, node_of(p), &role, p->asked_at, now(p->s));
    if (followed && !p->s->follow.following) tell_doubt(p->s);
    decide(p->s);
  } else {
    note(p, reply->type == REDIS_REPLY_ERROR ? reply->str : "its role can't be read");
  }
}

static void ask(struct peer *p) {
  const char *name = p->s->opt.master_name;
  bool ok;
  p->asked_at = now(p->s);
  if (p->kind == SENTINEL) {
    /* All in one write: the Sentinel answers them from one state. The epoch first, should a failover come between: an older
     * epoch with the newer address does no harm, the opposite would. */
    ok = rconn_ask(p->conn, on_master, NULL, 0, "SENTINEL", "MASTER", name, NULL) &&
         rconn_ask(p->conn, on_master_addr, NULL, 0, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, NULL) &&
         rconn_ask(p->conn, on_replicas, NULL, 0, "SENTINEL", "REPLICAS", name, NULL);
  } else {
    /* INFO first: a role is judged with the lineage of this connection's server, and not of the one that was there before. */
    ok = rconn_ask(p->conn, on_info, NULL, 0, "INFO", "replication", NULL) && rconn_ask(p->conn, on_role, NULL, 0, "ROLE", NULL);
  }
  p->asked = ok;
  rconn_flush(p->conn);
}

static void ask_sentinels(struct sentinel *s) {
  for (size_t i = 0; i < s->opt.count; i++) {
    if (s->sentinels[i].ready && !s->sentinels[i].asked) ask(&s->sentinels[i]);
  }
}

/* the connections */

static void on_subscribed(void *owner, void *arg, const redisReply *reply, bool sent) {
  (void)arg;
  (void)sent;
  if (reply != NULL && reply->type == REDIS_REPLY_ERROR) note(owner, reply->str);
}

static void on_ready(void *owner, struct rconn *c) {
  static const char *const channels[] = {"+switch-master", "+sdown", "-sdown", "+odown", "+failover-state-send-slaveof-noone"};
  struct peer *p = owner;
  p->ready = true;
  if (p->kind == SENTINEL) {
    p->s->stats.connected++;
    /* A command each, since each channel is confirmed by an answer of its own. */
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
      if (!rconn_ask(c, on_subscribed, NULL, 0, "SUBSCRIBE", channels[i], NULL)) log_error("out of memory: a Sentinel is not subscribed to");
    }
  }
  ask(p);
}

static void on_push(void *owner, struct rconn *c, const redisReply *message) {
  struct peer *p = owner;
  struct sentinel *s = p->s;
  struct addr to;
  (void)c;
  if (message->elements != 3 || message->element[1]->str == NULL || message->element[2]->str == NULL) return;
  const char *channel = message->element[1]->str, *text = message->element[2]->str;
  if (strcmp(channel, "+switch-master") == 0) {
    if (!follow_parse_switch(text, s->opt.master_name, &to)) return;
    follow_switched(&s->follow, answer_of(p), &to);
    follow_node(&s->follow, &to);
    decide(s);
  } else {
    if (!follow_parse_event(text, s->opt.master_name)) return;
    if (strcmp(channel, "+odown") == 0 || strncmp(channel, "+failover", 9) == 0) follow_expect(&s->follow, now(s));
  }
  ask_sentinels(s);
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  struct peer *p = owner;
  (void)c;
  if (p->ready) note(p, why);
  if (p->ready && p->kind == SENTINEL) p->s->stats.connected--;
  p->conn = NULL;
  p->ready = p->asked = false;
  if (p->kind == SENTINEL) {
    follow_lost(answer_of(p));
  } else {
    node_of(p)->known = false;
  }
}

static void open_peer(struct peer *p) {
  static const struct rconn_events events = {.ready = on_ready, .push = on_push, .lost = on_lost};
  const struct sentinel_options *opt = &p->s->opt;
  bool redis = p->kind == REDIS;
  struct rconn_options o = {.addr = *addr_of(p), .user = redis ? opt->redis_user : "", .tls = opt->tls,
                            .password = redis ? opt->redis_password : opt->sentinel_password,
                            .timeout_ms = opt->timeout_ms, .ping_ms = opt->ping_ms, .dead_ms = opt->dead_ms};
  p->conn = rconn_open(p->s->loop, &o, &events, p);
  /* Counted from here: one that lived longer, as of a server that cuts its clients since it is being promoted, is opened
   * again at once. */
  p->reopen_at = now(p->s) + REOPEN_MS;
}

static void on_priority(void *owner, void *arg, const redisReply *reply, bool sent) {
  (void)arg;
  (void)sent;
  if (reply != NULL && reply->type == REDIS_REPLY_ERROR) note(owner, reply->str);
}

static void set_priority(struct sentinel *s, struct follow_node *node, unsigned priority, const char *why) {
  struct peer *p = &s->redis[node - s->follow.nodes];
  char text[16], addr[ADDR_TEXT_MAX];
  if (!p->ready || (p->priority_at != 0 && now(s) - p->priority_at < RETRY_PRIORITY_MS)) return;
  p->priority_at = now(s);
  snprintf(text, sizeof text, "%u", priority);
  log_info("replica %s gets priority %u: %s", addr_text(&node->addr, addr), priority, why);
  if (rconn_ask(p->conn, on_priority, NULL, 0, "CONFIG", "SET", "replica-priority", text, NULL)) ask(p);
}

static void keep(struct peer *p, uint64_t every_ms) {
  uint64_t t = now(p->s);
  if (p->conn == NULL && t >= p->reopen_at) open_peer(p);
  if (p->ready && !p->asked && t - p->asked_at >= every_ms) ask(p);
}

static void on_tick(uv_timer_t *timer) {
  struct sentinel *s = timer->data;
  bool closely = awaiting(s);
  for (size_t i = 0; i < s->opt.count; i++) keep(&s->sentinels[i], closely || s->pressed ? ASK_CLOSELY_MS : ASK_MS);
  for (size_t i = 0; i < s->follow.node_count; i++) {
    bool primary = addr_equal(&s->follow.nodes[i].addr, &s->follow.primary);
    keep(&s->redis[i], closely || (primary && s->pressed) ? 0 : primary ? ASK_PRIMARY_MS : ASK_MS);
  }
  decide(s);
  struct follow_node *laggard = s->pressed ? follow_laggard(&s->follow, now(s), s->opt.exclude_after_ms, s->opt.least) : NULL;
  struct follow_node *recovered = follow_recovered(&s->follow, now(s));
  if (laggard != NULL) set_priority(s, laggard, 0, "it does not keep up, and must not be promoted");
  if (recovered != NULL) set_priority(s, recovered, s->opt.replica_priority, "it has caught up");
}

/* life */

struct sentinel *sentinel_new(uv_loop_t *loop, const struct sentinel_options *options, const struct sentinel_events *events,
                              void *owner) {
  struct sentinel *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->opt = *options;
  s->events = events;
  s->owner = owner;
  s->stats.discoveries = 1;
  follow_init(&s->follow, options->count, options->replica_priority != 0 && options->least != 0, uv_now(loop));
  for (size_t i = 0; i < FOLLOW_SENTINELS_MAX; i++) s->sentinels[i] = (struct peer){.s = s, .kind = SENTINEL, .at = i};
  for (size_t i = 0; i < FOLLOW_NODES_MAX; i++) s->redis[i] = (struct peer){.s = s, .kind = REDIS, .at = i};
  uv_timer_init(loop, &s->tick); /* cannot fail: it only fills in the struct */
  s->tick.data = s;
  uv_timer_start(&s->tick, on_tick, 0, TICK_MS);
  return s;
}

void sentinel_suspect(struct sentinel *s, const char *why) {
  if (!s->follow.following || s->closed) return;
  char text[ADDR_TEXT_MAX];
  log_info("primary %s is suspected: %s", addr_text(&s->follow.primary, text), why);
  follow_doubt(&s->follow, now(s));
  s->stats.discoveries++;
  ask_sentinels(s);
}

unsigned sentinel_required(const struct sentinel *s) {
  struct addr counted[FOLLOW_NODES_MAX];
  if (s->opt.least == 0) return 0;
  unsigned count = (unsigned)follow_counted(&s->follow, now(s), counted);
  return count > s->opt.least ? count : s->opt.least;
}

unsigned sentinel_linked(const struct sentinel *s) {
  for (size_t i = 0; i < s->follow.node_count; i++) {
    const struct follow_node *node = &s->follow.nodes[i];
    if (node->known && addr_equal(&node->addr, &s->follow.primary)) return (unsigned)node->role.linked;
  }
  return 0;
}

bool sentinel_covered(const struct sentinel *s, const struct follow_role *role, long long offset) {
  return follow_covered(&s->follow, now(s), role, offset, s->opt.least);
}

void sentinel_press(struct sentinel *s, bool waiting) { s->pressed = waiting; }

struct sentinel_stats sentinel_stats(const struct sentinel *s) {
  struct sentinel_stats stats = s->stats;
  stats.linked = sentinel_linked(s);
  stats.required = sentinel_required(s);
  for (size_t i = 0; i < s->follow.node_count; i++) stats.excluded += s->follow.nodes[i].known && s->follow.nodes[i].priority == 0;
  if (!s->follow.following) stats.lost_ms += now(s) - s->follow.doubted_at;
  return stats;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

void sentinel_close(struct sentinel *s) {
  s->closed = true;
  for (size_t i = 0; i < FOLLOW_SENTINELS_MAX + FOLLOW_NODES_MAX; i++) {
    struct peer *p = i < FOLLOW_SENTINELS_MAX ? &s->sentinels[i] : &s->redis[i - FOLLOW_SENTINELS_MAX];
    if (p->conn != NULL) rconn_close(p->conn);
    p->conn = NULL;
  }
  uv_close((uv_handle_t *)&s->tick, on_closed);
}
