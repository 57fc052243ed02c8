#include "sentinel.h"
#include "log.h"
#include "rconn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 25
#define ASK_SEARCHING_MS 100
#define ASK_FOLLOWING_MS 1000
#define REOPEN_MS 200
#define MAJORITY_PATIENCE_MS 1000 /* a search waits this long for a majority, then takes what there is */
#define FLOOR_MS 15000
#define PROMISE_MS 10000 /* a failover that was begun is waited for this long */
#define EVENT_MAX 512
#define SWITCH "+switch-master"
#define PROMOTION "+failover-state-send-slaveof-noone"
#define ABORT "-failover-abort-slave-timeout"

struct peer {
  struct sentinel *s;
  struct rconn *conn; /* NULL: closed, to be opened at reopen_at */
  bool ready;
  bool asked;
  uint64_t reopen_at;
  struct addr heard;  /* of the first half of a question */
  bool heard_addr;
};

struct sentinel {
  uv_loop_t *loop;
  struct sentinel_options opt;
  const struct sentinel_events *events;
  void *owner;
  uv_timer_t tick;
  struct peer peers[SENTINEL_MAX];
  struct sentinel_answer answers[SENTINEL_MAX];
  struct rconn *probe; /* asks ROLE of probed; NULL: none */
  struct addr probed;
  bool probe_forced; /* by +switch-master: older answers do not turn it away */
  bool following;    /* `primary` is announced and nobody suspects it */
  struct addr primary;
  struct addr promised;    /* the replica that a failover under way promotes */
  uint64_t promised_until; /* 0: none under way */
  uint64_t floor, below_since; /* below_since: 0, or when a majority began to say less than the floor */
  uint64_t searching_since, announced_at, asked_at;
  struct sentinel_stats stats;
  bool stopped;
  char note[200]; /* the last thing logged about a failed step, so that it is said once */
};

/* pure */

int sentinel_choose(const struct sentinel_answer *answers, size_t count, uint64_t floor) {
  int best = -1;
  size_t best_votes = 0;
  for (size_t i = 0; i < count; i++) {
    const struct sentinel_answer *a = &answers[i];
    if (!a->known || a->epoch < floor) continue;
    size_t votes = 0;
    for (size_t j = 0; j < count; j++) {
      if (answers[j].known && answers[j].epoch == a->epoch && addr_equal(&answers[j].addr, &a->addr)) votes++;
    }
    if (best >= 0) {
      const struct sentinel_answer *b = &answers[best];
      if (a->epoch != b->epoch) {
        if (a->epoch < b->epoch) continue;
      } else if (a->announced != b->announced) {
        if (b->announced) continue;
      } else if (votes <= best_votes) {
        continue;
      }
    }
    best = (int)i;
    best_votes = votes;
  }
  return best;
}

static bool is_text(const redisReply *r) { return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS; }

bool sentinel_parse_addr(const redisReply *reply, struct addr *out) {
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) return false;
  if (!is_text(reply->element[0]) || !is_text(reply->element[1])) return false;
  return addr_set(out, reply->element[0]->str, reply->element[1]->str);
}

uint64_t sentinel_parse_epoch(const redisReply *reply) {
  if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_MAP) return 0;
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *key = reply->element[i], *value = reply->element[i + 1];
    if (is_text(key) && is_text(value) && strcmp(key->str, "config-epoch") == 0) return strtoull(value->str, NULL, 10);
  }
  return 0;
}

/* Cuts `text` at its blanks, into `copy`. Returns the number of words; 0 when there are more than `max`. */
static size_t split(const char *text, char *copy, size_t size, const char **word, size_t max) {
  char *save = NULL;
  size_t words = 0;
  if (strlen(text) >= size) return 0;
  strcpy(copy, text);
  for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
    if (words == max) return 0;
    word[words++] = w;
  }
  return words;
}

bool sentinel_parse_switch(const char *text, const char *master_name, struct addr *out) {
  char copy[EVENT_MAX];
  const char *word[5];
  return split(text, copy, sizeof copy, word, 5) == 5 && strcmp(word[0], master_name) == 0 && addr_set(out, word[3], word[4]);
}

bool sentinel_parse_promotion(const char *text, const char *master_name, struct addr *out) {
  char copy[EVENT_MAX];
  const char *word[8];
  if (split(text, copy, sizeof copy, word, 8) != 8 || strcmp(word[0], "slave") != 0 || strcmp(word[4], "@") != 0) return false;
  return strcmp(word[5], master_name) == 0 && addr_set(out, word[2], word[3]);
}

/* "master name ip port" */
static bool names_master(const char *text, const char *master_name) {
  char copy[EVENT_MAX];
  const char *word[4];
  return split(text, copy, sizeof copy, word, 4) == 4 && strcmp(word[1], master_name) == 0;
}

bool sentinel_parse_role(const redisReply *reply, unsigned *replicas) {
  *replicas = 0;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 || !is_text(reply->element[0])) return false;
  if (strcmp(reply->element[0]->str, "master") != 0) return false;
  if (reply->element[2]->type == REDIS_REPLY_ARRAY) *replicas = (unsigned)reply->element[2]->elements;
  return true;
}

/* the probe */

static void note(struct sentinel *s, const struct addr *addr, const char *why) {
  char text[ADDR_TEXT_MAX], line[sizeof s->note];
  snprintf(line, sizeof line, "%s: %s", addr_text(addr, text), why);
  if (strcmp(line, s->note) == 0) return;
  strcpy(s->note, line);
  log_info("%s", line);
}

static void probe_end(struct sentinel *s) {
  if (s->probe == NULL) return;
  struct rconn *probe = s->probe;
  s->probe = NULL;
  s->probe_forced = false;
  rconn_close(probe);
}

static void on_role(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct sentinel *s = owner;
  unsigned replicas;
  char text[ADDR_TEXT_MAX];
  (void)arg;
  (void)sent;
  if (reply == NULL) return; /* on_probe_lost follows, or the probe was ended on purpose */
  bool primary = sentinel_parse_role(reply, &replicas);
  probe_end(s);
  if (!primary) {
    note(s, &s->probed, reply->type == REDIS_REPLY_ERROR ? reply->str : "named as primary, but does not say so itself");
    return;
  }
  uint64_t t = uv_now(s->loop);
  bool moved = s->primary.port != 0 && !addr_equal(&s->primary, &s->probed);
  if (moved) s->stats.failovers++;
  log_info("primary is %s%s, found in %llu ms", addr_text(&s->probed, text), moved ? " (another one)" : "",
           (unsigned long long)(s->following ? 0 : t - s->searching_since));
  s->primary = s->probed;
  s->following = true;
  s->announced_at = t;
  s->note[0] = '\0';
  s->events->primary(s->owner, &s->primary);
}

static void on_probe_ready(void *owner, struct rconn *c) {
  static const char *const argv[] = {"ROLE"};
  static const size_t lens[] = {4};
  (void)owner;
  /* Without memory the probe stays silent and its deadline ends it. */
  if (rconn_command(c, on_role, NULL, 0, 1, argv, lens)) rconn_flush(c);
}

static void on_probe_lost(void *owner, struct rconn *c, const char *why) {
  struct sentinel *s = owner;
  if (s->probe != c) return;
  s->probe = NULL;
  s->probe_forced = false;
  note(s, &s->probed, why);
}

static void probe_start(struct sentinel *s, const struct addr *addr, bool forced) {
  static const struct rconn_events events = {.ready = on_probe_ready, .lost = on_probe_lost};
  if (s->probe != NULL && addr_equal(&s->probed, addr)) {
    s->probe_forced = s->probe_forced || forced;
    return;
  }
  probe_end(s);
  struct rconn_options o = {.addr = *addr, .user = s->opt.redis_user, .password = s->opt.redis_password,
                            .timeout_ms = s->opt.dead_ms, .ping_ms = s->opt.ping_ms, .dead_ms = s->opt.dead_ms};
  s->probed = *addr;
  s->probe_forced = forced;
  s->probe = rconn_open(s->loop, &o, &events, s);
}

/* the decision */

static void search(struct sentinel *s) {
  if (!s->following) return;
  s->following = false;
  s->stats.discoveries++;
  s->searching_since = uv_now(s->loop);
}

/* The floor falls only when a majority has said less than it for FLOOR_MS. */
static void settle_floor(struct sentinel *s, size_t known, uint64_t highest) {
  uint64_t t = uv_now(s->loop);
  if (highest >= s->floor || known * 2 <= s->opt.count) {
    if (highest > s->floor) s->floor = highest;
    s->below_since = 0;
  } else if (s->below_since == 0) {
    s->below_since = t;
  } else if (t - s->below_since >= FLOOR_MS) {
    log_info("the Sentinels were set up anew: their epoch fell from %llu to %llu", (unsigned long long)s->floor,
             (unsigned long long)highest);
    s->floor = highest;
    s->below_since = 0;
  }
}

static void call_off(struct sentinel *s) {
  if (s->promised_until == 0) return;
  s->promised_until = 0;
  s->events->moving(s->owner, false);
}

static void decide(struct sentinel *s) {
  size_t known = 0;
  uint64_t highest = 0;
  for (size_t i = 0; i < s->opt.count; i++) {
    if (!s->answers[i].known) continue;
    known++;
    if (s->answers[i].epoch > highest) highest = s->answers[i].epoch;
  }
  settle_floor(s, known, highest);
  if (known * 2 <= s->opt.count && uv_now(s->loop) - s->searching_since < MAJORITY_PATIENCE_MS) return;
  int best = sentinel_choose(s->answers, s->opt.count, s->floor);
  if (best < 0) return;
  const struct addr *addr = &s->answers[best].addr;
  if (s->promised_until != 0) {
    if (addr_equal(addr, &s->promised)) {
      s->promised_until = 0; /* the Sentinels say it too: the failover is done */
    } else if (uv_now(s->loop) >= s->promised_until) {
      call_off(s);
    } else if (s->following && addr_equal(&s->primary, &s->promised)) {
      return;
    } else {
      addr = &s->promised;
    }
  }
  if (s->probe_forced && !addr_equal(addr, &s->probed)) return;
  if (s->following && addr_equal(addr, &s->primary)) {
    probe_end(s);
    return;
  }
  search(s);
  probe_start(s, addr, false);
}

/* the Sentinels */

/* The Sentinels' connections are owned by their struct peer. */

static const struct addr *addr_of(const struct peer *p) { return &p->s->opt.addrs[p - p->s->peers]; }
static struct sentinel_answer *answer_of(struct peer *p) { return &p->s->answers[p - p->s->peers]; }

static void on_addr(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  (void)arg;
  (void)sent;
  p->heard_addr = reply != NULL && sentinel_parse_addr(reply, &p->heard);
  if (reply != NULL && !p->heard_addr) {
    note(p->s, addr_of(p),
         reply->type == REDIS_REPLY_ERROR ? reply->str : "this Sentinel does not know the primary's name, or no address");
  }
}

static void on_master(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  (void)arg;
  (void)sent;
  p->asked = false;
  if (reply == NULL) return;
  *answer_of(p) = (struct sentinel_answer){.known = p->heard_addr, .epoch = sentinel_parse_epoch(reply), .addr = p->heard};
  if (p->heard_addr) decide(p->s);
}

static void ask(struct peer *p) {
  struct sentinel *s = p->s;
  if (p->conn == NULL || !p->ready || p->asked) return;
  const char *who[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", s->opt.master_name};
  const char *state[] = {"SENTINEL", "MASTER", s->opt.master_name};
  size_t name_len = strlen(s->opt.master_name);
  /* Both in one write: the Sentinel answers them from one state. */
  if (!rconn_command(p->conn, on_addr, NULL, 0, 3, who, (size_t[]){8, 23, name_len})) return;
  if (!rconn_command(p->conn, on_master, NULL, 0, 3, state, (size_t[]){8, 6, name_len})) return;
  p->asked = true;
  rconn_flush(p->conn);
}

static void ask_all(struct sentinel *s) {
  s->asked_at = uv_now(s->loop);
  for (size_t i = 0; i < s->opt.count; i++) ask(&s->peers[i]);
}

static void on_subscribed(void *owner, void *arg, const redisReply *reply, bool sent) {
  struct peer *p = owner;
  (void)arg;
  (void)sent;
  if (reply != NULL && reply->type == REDIS_REPLY_ERROR) note(p->s, addr_of(p), reply->str);
}

static void on_peer_ready(void *owner, struct rconn *c) {
  static const char *const channels[] = {SWITCH, PROMOTION, ABORT};
  struct peer *p = owner;
  p->ready = true;
  p->s->stats.connected++;
  /* A command each, since each channel is confirmed by an answer of its own. */
  for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
    const char *argv[] = {"SUBSCRIBE", channels[i]};
    const size_t lens[] = {9, strlen(channels[i])};
    if (!rconn_command(c, on_subscribed, NULL, 0, 2, argv, lens)) log_error("out of memory: a Sentinel is not subscribed to");
  }
  ask(p);
}

static void on_switch(struct peer *p, const struct addr *to) {
  struct sentinel *s = p->s;
  *answer_of(p) = (struct sentinel_answer){.known = true, .announced = true, .epoch = s->floor, .addr = *to};
  s->promised_until = 0;
  if (!s->following || !addr_equal(to, &s->primary)) {
    search(s);
    probe_start(s, to, true);
  }
  ask_all(s);
}

static void on_promotion(struct sentinel *s, const struct addr *to) {
  char text[ADDR_TEXT_MAX];
  log_info("a failover promotes %s", addr_text(to, text));
  s->promised = *to;
  s->promised_until = uv_now(s->loop) + PROMISE_MS;
  if (s->following && addr_equal(to, &s->primary)) return;
  s->events->moving(s->owner, true);
  search(s);
  probe_start(s, to, true);
}

static void on_peer_push(void *owner, struct rconn *c, const redisReply *message) {
  struct peer *p = owner;
  struct sentinel *s = p->s;
  struct addr to;
  (void)c;
  if (message->elements != 3 || !is_text(message->element[1]) || !is_text(message->element[2])) return;
  const char *channel = message->element[1]->str, *text = message->element[2]->str;
  if (strcmp(channel, SWITCH) == 0 && sentinel_parse_switch(text, s->opt.master_name, &to)) on_switch(p, &to);
  if (strcmp(channel, PROMOTION) == 0 && sentinel_parse_promotion(text, s->opt.master_name, &to)) on_promotion(s, &to);
  if (strcmp(channel, ABORT) == 0 && names_master(text, s->opt.master_name)) call_off(s);
}

static void on_peer_lost(void *owner, struct rconn *c, const char *why) {
  struct peer *p = owner;
  (void)c;
  if (p->ready) {
    p->s->stats.connected--;
    note(p->s, addr_of(p), why);
  }
  p->conn = NULL;
  p->ready = p->asked = false;
  p->reopen_at = uv_now(p->s->loop) + REOPEN_MS;
  *answer_of(p) = (struct sentinel_answer){0};
}

static void open_peer(struct peer *p) {
  static const struct rconn_events events = {.ready = on_peer_ready, .push = on_peer_push, .lost = on_peer_lost};
  struct sentinel *s = p->s;
  struct rconn_options o = {.addr = *addr_of(p), .user = "", .password = s->opt.sentinel_password,
                            .timeout_ms = s->opt.timeout_ms, .ping_ms = s->opt.ping_ms, .dead_ms = s->opt.dead_ms};
  p->conn = rconn_open(s->loop, &o, &events, p);
  if (p->conn == NULL) p->reopen_at = uv_now(s->loop) + REOPEN_MS;
}

static void on_tick(uv_timer_t *timer) {
  struct sentinel *s = timer->data;
  uint64_t t = uv_now(s->loop);
  for (size_t i = 0; i < s->opt.count; i++) {
    if (s->peers[i].conn == NULL && t >= s->peers[i].reopen_at) open_peer(&s->peers[i]);
  }
  if (s->promised_until != 0 && !s->following && s->probe == NULL) decide(s);
  if (t - s->asked_at >= (s->following ? ASK_FOLLOWING_MS : ASK_SEARCHING_MS)) ask_all(s);
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
  s->searching_since = s->asked_at = uv_now(loop);
  s->stats.discoveries = 1;
  for (size_t i = 0; i < SENTINEL_MAX; i++) s->peers[i].s = s;
  if (uv_timer_init(loop, &s->tick) < 0) {
    free(s);
    return NULL;
  }
  s->tick.data = s;
  uv_timer_start(&s->tick, on_tick, 0, TICK_MS);
  return s;
}

void sentinel_suspect(struct sentinel *s, const char *why) {
  if (!s->following || s->stopped) return;
  char text[ADDR_TEXT_MAX];
  log_info("primary %s is suspected: %s", addr_text(&s->primary, text), why);
  search(s);
  /* Ask at once, but not when the same primary failed right after it was found (it loads its data, say). */
  if (s->searching_since - s->announced_at >= ASK_SEARCHING_MS) ask_all(s);
}

struct sentinel_stats sentinel_stats(const struct sentinel *s) { return s->stats; }

void sentinel_stop(struct sentinel *s) {
  if (s->stopped) return;
  s->stopped = true;
  probe_end(s);
  for (size_t i = 0; i < s->opt.count; i++) {
    struct rconn *c = s->peers[i].conn;
    s->peers[i].conn = NULL;
    if (c != NULL) rconn_close(c);
  }
  uv_close((uv_handle_t *)&s->tick, NULL);
}

void sentinel_free(struct sentinel *s) { free(s); }
