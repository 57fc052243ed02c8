#include "sentinel.h"
#include "log.h"
#include "metrics.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 25
#define REOPEN_MS 200       /* the connection to a Sentinel */
#define REOPEN_REDIS_MS 50  /* and to a Redis: when it is back, its own word decides whether writes wait for it */
#define ASK_MS 1000         /* Sentinels, and replicas */
#define ASK_PRIMARY_MS 500
#define ASK_SILENT_MS 50    /* Sentinels, while their word of a silence is relied on; at each tick while writes wait for a replica */
#define RECONNECT_MS 100    /* to a silent Redis, where the kernel would try again after a second */
#define ASK_CLOSELY_MS 100  /* Sentinels, while there is no primary or writes wait; replicas, while what they say may change */
#define SETTLE_MS 3000      /* from the announcement of a primary: one that it replaced says late that it is about to stop */
#define PAUSE_MS 1000       /* writes that have not waited for so long are new to waiting */
#define RETRY_PRIORITY_MS 1000
#define INFO_MS 10000       /* how often a Sentinel asks a replica for its INFO */
#define AWAY_INFO_MS 1000   /* and while one is silent, so that it is asked at once when it is back */
#define UNHEARD_INFO_MS 100 /* and while writes wait for the Sentinels to hear of one that was taken out */
#define LEAD_MS 500         /* who said longer ago that it is the primary gets no replicas from us */

#define PEERS (FOLLOW_SENTINELS_MAX + FOLLOW_NODES_MAX)

/* A connection that is kept up: to a Sentinel, which has an answer, or to a Redis, which is a node. */
struct peer {
  struct sentinel *s;
  const struct addr *addr;
  struct follow_answer *answer;
  struct follow_node *node;
  struct rconn *conn; /* NULL: closed, to be opened at reopen_at */
  bool ready, asked;
  unsigned info_ms; /* a Sentinel: how often it asks for INFO, as we told it; 0: another instance may have told it anything */
  uint64_t reopen_at, asked_at;
  uint64_t priority_at;        /* when its priority was last set */
  struct follow_answer heard;  /* the first third of a Sentinel's answer */
  char note[128];              /* the last thing logged about a failed step, so that it is said once */
};

struct sentinel {
  uv_loop_t *loop;
  struct sentinel_options opt;
  sentinel_primary_fn *primary;
  void *owner;
  uv_timer_t tick;
  struct follow follow;
  struct peer peers[PEERS]; /* the Sentinels, and from FOLLOW_SENTINELS_MAX on the Redis */
  bool told;                /* the user believes in follow.primary */
  bool pressed, closed;
  uint64_t pressed_since, pressed_last; /* without a pause of PAUSE_MS */
};

static uint64_t now(const struct sentinel *s) { return uv_now(s->loop); }

static void note(struct peer *p, const char *why) {
  char text[ADDR_TEXT_MAX];
  if (strncmp(p->note, why, sizeof p->note - 1) == 0) return;
  snprintf(p->note, sizeof p->note, "%s", why);
  log_line(LOG_INFO, "%s: %s", addr_text(p->addr, text), p->note);
}

/* An answer of no use: an error, or what it is called here. */
static void note_reply(struct peer *p, const redisReply *reply, const char *what) {
  note(p, reply->type == REDIS_REPLY_ERROR ? reply->str : what);
}

static void doubt(struct sentinel *s) {
  s->told = false;
  metrics.discoveries++;
}

/* Of what only fails or does not. */
static void on_done(void *owner, const struct rconn_answer *a) {
  if (a->reply != NULL && a->reply->type == REDIS_REPLY_ERROR) note(owner, a->reply->str);
}

/* The replicas of the lost primary follow the one that was just promoted: a Sentinel tells them up to a second later, and a write
 * needs them. Theirs is the lineage that the promoted one has left; others are not ours to lead. ASK_MS: a planned promotion may be
 * seen before the replicas have answered the first question after its announcement. */
static void lead(struct sentinel *s, const struct addr *primary) {
  char port[8];
  const struct follow_node *next = follow_node(&s->follow, primary);
  snprintf(port, sizeof port, "%u", primary->port);
  if (!s->follow.manage || now(s) - next->said_at > LEAD_MS) return;
  for (size_t i = 0; i < s->follow.node_count; i++) {
    struct peer *p = &s->peers[FOLLOW_SENTINELS_MAX + i];
    if (!p->ready || !p->node->known || p->node->role.primary) continue;
    if (now(s) - p->node->said_at > ASK_MS + LEAD_MS || strcmp(p->node->replid, next->replid2) != 0) continue;
    if (rconn_ask(p->conn, on_done, NULL, 0, "REPLICAOF", primary->ip, port, NULL)) rconn_flush(p->conn);
  }
}

static void decide(struct sentinel *s) {
  char text[ADDR_TEXT_MAX];
  struct addr before = s->follow.primary;
  uint64_t since = s->follow.following ? now(s) : s->follow.doubted_at;
  bool expected = now(s) < s->follow.expected_until; /* a Sentinel has said that it is lost, or is being replaced */
  const struct addr *primary = follow_decide(&s->follow, now(s));
  if (primary == NULL && s->told && !s->follow.following) {
    doubt(s);
    s->primary(s->owner, NULL);
  }
  if (primary == NULL) return;
  bool moved = before.port != 0 && !addr_equal(&before, primary);
  s->told = true;
  metrics.failovers += moved;
  metrics.lost_ms += now(s) - since;
  for (size_t i = 0; i < PEERS; i++) s->peers[i].note[0] = '\0';
  log_line(LOG_INFO, "primary is %s%s, found in %u ms", addr_text(primary, text), moved ? " (another one)" : "", (unsigned)(now(s) - since));
  s->primary(s->owner, primary);
  if (moved && expected && now(s) < s->follow.deposed_until && addr_equal(&before, &s->follow.deposed)) lead(s, primary);
}

/* asking */

static void ask_sentinels(struct sentinel *s);

static void on_master(void *owner, const struct rconn_answer *a) {
  struct peer *p = owner;
  p->heard.primary_age_ms = -1;
  p->heard.known = a->reply != NULL && follow_parse_master(a->reply, &p->heard);
}

static void on_master_addr(void *owner, const struct rconn_answer *a) {
  struct peer *p = owner;
  if (a->reply == NULL) return;
  if (!p->heard.known || !follow_parse_addr(a->reply, &p->answer->addr)) {
    note_reply(p, a->reply, "this Sentinel does not know the primary's name, or no address");
    return;
  }
  p->answer->known = true;
  p->answer->announced = false;
  p->answer->epoch = p->heard.epoch;
  p->answer->link_down_max_ms = p->heard.link_down_max_ms;
  follow_node(&p->s->follow, &p->answer->addr);
}

static void on_replicas(void *owner, const struct rconn_answer *a) {
  struct peer *p = owner;
  struct addr seen[FOLLOW_NODES_MAX];
  size_t count = 0;
  p->asked = false;
  if (a->reply == NULL) return;
  p->answer->primary_age_ms = p->heard.primary_age_ms;
  if (!follow_parse_replicas(a->reply, p->answer, seen, &count)) {
    note_reply(p, a->reply, "its list of replicas can't be read (numeric addresses only)");
  } else {
    p->answer->viewed_at = p->asked_at;
    p->answer->took_ms = now(p->s) - p->asked_at;
  }
  for (size_t i = 0; i < count; i++) follow_node(&p->s->follow, &seen[i]);
  decide(p->s);
}

static void on_info(void *owner, const struct rconn_answer *a) {
  struct peer *p = owner;
  if (a->reply != NULL && !follow_parse_info(a->reply, p->node)) note_reply(p, a->reply, "its INFO can't be read");
}

static void on_role(void *owner, const struct rconn_answer *a) {
  struct peer *p = owner;
  struct follow_role role;
  p->asked = false;
  if (a->reply == NULL) return;
  if (follow_parse_role(a->reply, &role)) {
    bool barred = p->node->barred_since != 0;
    follow_heard(&p->s->follow, p->node, &role, p->asked_at, now(p->s));
    if (!barred && p->node->barred_since != 0) ask_sentinels(p->s); /* it counts until all of them were asked since */
    decide(p->s);
  } else {
    note_reply(p, a->reply, "its role can't be read");
  }
}

static void ask(struct peer *p) {
  const char *name = p->s->opt.master_name;
  bool ok;
  p->asked_at = now(p->s);
  if (p->answer != NULL) {
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
    if (s->peers[i].ready && !s->peers[i].asked) ask(&s->peers[i]);
  }
}

/* the connections */

static void on_ready(void *owner, struct rconn *c) {
  static const char *const channels[] = {"+switch-master", "+sdown", "-sdown", "+odown", "+failover-state-send-slaveof-noone"};
  struct peer *p = owner;
  p->ready = true;
  if (p->answer != NULL) {
    metrics.sentinels++;
    p->info_ms = 0; /* we may have ended in the middle of it: the next tick makes it as it was */
    /* A command each, since each channel is confirmed by an answer of its own. */
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
      if (!rconn_ask(c, on_done, NULL, 0, "SUBSCRIBE", channels[i], NULL)) log_line(LOG_ERROR, "out of memory: a Sentinel is not subscribed to");
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
    follow_switched(&s->follow, p->answer, &to);
    follow_node(&s->follow, &to);
    decide(s);
  } else {
    if (!follow_parse_event(text, s->opt.master_name)) return;
    if (strcmp(channel, "+odown") == 0 || strncmp(channel, "+failover", 9) == 0) follow_expect(&s->follow, now(s));
  }
  ask_sentinels(s);
}

/* The connection has gone, from either side. */
static void forget(struct peer *p) {
  if (p->ready && p->answer != NULL) metrics.sentinels--;
  p->conn = NULL;
  p->ready = p->asked = false;
  if (p->answer != NULL) follow_lost(p->answer);
  if (p->node == NULL) return;
  p->node->known = false;
  p->node->replid[0] = p->node->replid2[0] = '\0'; /* the next connection's server may be another one, and its INFO fail */
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  struct peer *p = owner;
  (void)c;
  if (p->ready) note(p, why);
  forget(p);
}

static void open_peer(struct peer *p) {
  static const struct rconn_events events = {.ready = on_ready, .push = on_push, .lost = on_lost};
  struct rconn_options o = p->s->opt.redis;
  o.addr = *p->addr;
  if (p->answer != NULL) {
    o.user = "";
    o.password = p->s->opt.sentinel_password;
  }
  p->conn = rconn_open(p->s->loop, &o, &events, p);
  /* Counted from here: one that lived longer, as of a server that cuts its clients since it is being promoted, is opened
   * again at once. */
  p->reopen_at = now(p->s) + (p->node != NULL ? REOPEN_REDIS_MS : REOPEN_MS);
}

static void set_priority(struct sentinel *s, struct follow_node *node, unsigned priority, const char *why) {
  struct peer *p = &s->peers[FOLLOW_SENTINELS_MAX + (node - s->follow.nodes)];
  char text[16], addr[ADDR_TEXT_MAX];
  if (!p->ready || (p->priority_at != 0 && now(s) - p->priority_at < RETRY_PRIORITY_MS)) return;
  p->priority_at = now(s);
  snprintf(text, sizeof text, "%u", priority);
  log_line(LOG_INFO, "replica %s gets priority %u: %s", addr_text(&node->addr, addr), priority, why);
  if (rconn_ask(p->conn, on_done, NULL, 0, "CONFIG", "SET", "replica-priority", text, NULL)) ask(p);
}

/* A Sentinel learns a replica's priority from its INFO, for which it asks every 10 s, and writes wait until all know. So it asks
 * more often while that matters, as it does by itself when it knows that a replica is without its primary. A replica that was silent
 * has an old INFO then, so it is asked as soon as it is back. */
static void set_info_period(struct sentinel *s, unsigned ms) {
  char text[16];
  snprintf(text, sizeof text, "%u", ms);
  for (size_t i = 0; i < s->opt.count; i++) {
    struct peer *p = &s->peers[i];
    if (!p->ready || p->info_ms == ms) continue;
    p->info_ms = ms;
    if (rconn_ask(p->conn, on_done, NULL, 0, "SENTINEL", "DEBUG", "info-period", text, NULL)) rconn_flush(p->conn);
  }
}

static void keep(struct peer *p, uint64_t every_ms) {
  uint64_t t = now(p->s);
  if (p->conn == NULL && t >= p->reopen_at) open_peer(p);
  if (p->ready && !p->asked && t - p->asked_at >= every_ms) ask(p);
}

/* A replica's own word decides whether writes wait for it, so one that comes back, or is about to go, is asked before they do. */
static uint64_t replica_every_ms(const struct sentinel *s, const struct follow_node *node) {
  bool settled = node->keeps_up && now(s) - s->follow.announced_at >= SETTLE_MS;
  return s->pressed || !settled ? ASK_CLOSELY_MS : ASK_MS;
}

static unsigned info_ms(const struct sentinel *s) {
  bool away = follow_away(&s->follow, now(s));
  if ((s->pressed || away) && follow_unheard(&s->follow, now(s))) return UNHEARD_INFO_MS;
  return away ? AWAY_INFO_MS : INFO_MS;
}

static uint64_t sentinels_every_ms(const struct sentinel *s, bool closely) {
  if (s->pressed && follow_held(&s->follow, now(s))) return 0;
  if (follow_trusts_silence(&s->follow)) return ASK_SILENT_MS;
  return closely || s->pressed ? ASK_CLOSELY_MS : ASK_MS;
}

/* What is sent to a silent machine is lost, and the kernel takes a second to ask it again: so it is asked anew. */
static void keep_knocking(struct peer *p) {
  uint64_t opened_at = p->reopen_at - REOPEN_REDIS_MS;
  if (p->conn == NULL || rconn_connected(p->conn) || now(p->s) - opened_at < RECONNECT_MS) return;
  rconn_close(p->conn);
  forget(p);
}

static void on_tick(uv_timer_t *timer) {
  struct sentinel *s = timer->data;
  bool closely = !s->follow.following || now(s) < s->follow.expected_until; /* a new primary is awaited */
  uint64_t sentinels_ms = sentinels_every_ms(s, closely);
  for (size_t i = 0; i < s->opt.count; i++) keep(&s->peers[i], sentinels_ms);
  for (size_t i = 0; i < s->follow.node_count; i++) {
    const struct follow_node *node = &s->follow.nodes[i];
    bool primary = addr_equal(&node->addr, &s->follow.primary);
    uint64_t every_ms = primary ? s->pressed ? 0 : ASK_PRIMARY_MS : replica_every_ms(s, node);
    if (follow_gone(&s->follow, node, now(s))) keep_knocking(&s->peers[FOLLOW_SENTINELS_MAX + i]);
    keep(&s->peers[FOLLOW_SENTINELS_MAX + i], closely ? 0 : every_ms);
  }
  decide(s);
  bool long_enough = s->pressed && now(s) - s->pressed_since >= s->opt.exclude_after_ms;
  struct follow_node *laggard = follow_laggard(&s->follow, now(s), long_enough ? s->opt.exclude_after_ms : UINT_MAX, s->opt.least);
  struct follow_node *recovered = follow_recovered(&s->follow, now(s));
  set_info_period(s, info_ms(s));
  if (laggard != NULL) set_priority(s, laggard, 0, "it does not keep up, and must not be promoted");
  if (recovered != NULL) set_priority(s, recovered, s->opt.replica_priority, "it has caught up");
}

/* life */

struct sentinel *sentinel_new(uv_loop_t *loop, const struct sentinel_options *options, sentinel_primary_fn *primary, void *owner) {
  struct sentinel *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->opt = *options;
  s->primary = primary;
  s->owner = owner;
  doubt(s);
  follow_init(&s->follow, options->count, options->replica_priority != 0 && options->least != 0, uv_now(loop));
  for (size_t i = 0; i < PEERS; i++) {
    struct peer *p = &s->peers[i];
    bool redis = i >= FOLLOW_SENTINELS_MAX;
    p->s = s;
    p->answer = redis ? NULL : &s->follow.answers[i];
    p->node = redis ? &s->follow.nodes[i - FOLLOW_SENTINELS_MAX] : NULL;
    p->addr = redis ? &p->node->addr : &options->addrs[i];
  }
  uv_timer_init(loop, &s->tick); /* cannot fail: it only fills in the struct */
  s->tick.data = s;
  uv_timer_start(&s->tick, on_tick, 0, TICK_MS);
  return s;
}

void sentinel_suspect(struct sentinel *s, const char *why) {
  if (!s->follow.following || s->closed) return;
  char text[ADDR_TEXT_MAX];
  log_line(LOG_INFO, "primary %s is suspected: %s", addr_text(&s->follow.primary, text), why);
  follow_doubt(&s->follow, now(s));
  doubt(s);
  ask_sentinels(s);
}

const char *sentinel_lineage(const struct sentinel *s) { return follow_lineage(&s->follow); }

unsigned sentinel_required(const struct sentinel *s) {
  struct addr counted[FOLLOW_NODES_MAX];
  if (s->opt.least == 0) return 0;
  unsigned count = (unsigned)follow_counted(&s->follow, now(s), counted);
  return count > s->opt.least ? count : s->opt.least;
}

unsigned sentinel_linked(const struct sentinel *s) { return (unsigned)follow_linked(&s->follow); }

bool sentinel_covered(const struct sentinel *s, const struct follow_role *role, long long offset) {
  return follow_covered(&s->follow, now(s), role, offset, s->opt.least);
}

/* An idle replica acknowledges once a second only, so what was known before the writes waited does not count against it. */
void sentinel_press(struct sentinel *s, bool waiting) {
  s->pressed = waiting;
  if (!waiting) return;
  if (now(s) - s->pressed_last > PAUSE_MS) s->pressed_since = now(s);
  s->pressed_last = now(s);
}

void sentinel_measure(const struct sentinel *s) {
  metrics.replicas_linked = sentinel_linked(s);
  metrics.replicas_required = sentinel_required(s);
  metrics.replicas_excluded = 0;
  for (size_t i = 0; i < s->follow.node_count; i++) metrics.replicas_excluded += s->follow.nodes[i].known && s->follow.nodes[i].priority == 0;
  metrics.searching_ms = s->follow.following ? 0 : now(s) - s->follow.doubted_at;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

void sentinel_close(struct sentinel *s) {
  s->closed = true;
  for (size_t i = 0; i < PEERS; i++) {
    if (s->peers[i].conn != NULL) rconn_close(s->peers[i].conn);
    forget(&s->peers[i]);
  }
  uv_close((uv_handle_t *)&s->tick, on_closed);
}
