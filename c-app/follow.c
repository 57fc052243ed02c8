#include "follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAJORITY_PATIENCE_MS 1000
#define FLOOR_MS 15000
#define DEPOSED_MS 10000
#define EXPECTED_MS 10000
#define COUNTS_MS 1000
#define RECOVERED_MS 2000 /* more than COUNTS_MS and two polls, so that every instance counts a replica before one lets it in */
#define AGAIN_MS 200
#define AWAY_MS 1000 /* two polls: by then no instance has seen it keep up */
#define HEARD_MS 12000 /* a Sentinel asks a replica every 10 s, and we ask a Sentinel every second */
#define SILENT_MS 50    /* by so much longer than the primary */
#define FRESH_MS 300    /* the age to which a Sentinel's word of a silence is believed; the question's answer is awaited in it */
#define CHOICE_MS 100   /* a Sentinel takes two ticks of 52 ms or more from +sdown of a primary to the choice of a replica */
#define AWAY_MAX_MS 60000 /* a silent one that is away for longer comes back by a restart, which has its own way in */
#define LINK_DOWN_FACTOR 10
#define LINK_SLACK_MS 10000 /* Sentinel compares two clocks that it reads a second or more apart */
#define NO_REPLID "0000000000000000000000000000000000000000"

void follow_init(struct follow *f, size_t sentinels, bool manage, uint64_t now) {
  *f = (struct follow){.sentinels = sentinels, .manage = manage, .doubted_at = now};
}

static struct follow_node *find(const struct follow *f, const struct addr *addr) {
  for (size_t i = 0; i < f->node_count; i++) {
    if (addr_equal(&f->nodes[i].addr, addr)) return (struct follow_node *)&f->nodes[i];
  }
  return NULL;
}

struct follow_node *follow_node(struct follow *f, const struct addr *addr) {
  struct follow_node *node = find(f, addr);
  if (node != NULL || f->node_count == FOLLOW_NODES_MAX) return node;
  node = &f->nodes[f->node_count++];
  *node = (struct follow_node){.addr = *addr, .priority = 1};
  return node;
}

const char *follow_lineage(const struct follow *f) {
  const struct follow_node *primary = find(f, &f->primary);
  return f->lineage[0] != '\0' && primary != NULL && !primary->no_backlog ? f->lineage : NULL;
}

size_t follow_linked(const struct follow *f) {
  const struct follow_node *primary = find(f, &f->primary);
  return primary != NULL && primary->known ? primary->role.linked : 0;
}

void follow_doubt(struct follow *f, uint64_t now) {
  if (!f->following) return;
  f->following = false;
  f->doubted_at = now;
}

void follow_expect(struct follow *f, uint64_t now) { f->expected_until = now + EXPECTED_MS; }

void follow_switched(struct follow *f, struct follow_answer *by, const struct addr *to) {
  by->known = by->announced = true;
  by->epoch = f->floor;
  by->addr = *to;
}

void follow_lost(struct follow_answer *a) { a->known = a->announced = a->viewed = false; }

/* Where it is in a list, or -1. */
static int index_of(const struct addr *addr, const struct addr *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (addr_equal(&list[i], addr)) return (int)i;
  }
  return -1;
}

/* Keeping up is to have what the primary had at the poll before. */
static void see_lag(struct follow *f, const struct follow_role *role, long long before, uint64_t now) {
  for (size_t i = 0; i < f->node_count; i++) {
    struct follow_node *node = &f->nodes[i];
    int at = index_of(&node->addr, role->addr, role->linked);
    bool keeps_up = at >= 0 && role->acked[at] >= before;
    if (node->judged_at != 0 && node->keeps_up == keeps_up) continue;
    node->keeps_up = keeps_up;
    node->judged_at = now;
    if (!keeps_up) node->lagged_at = now;
  }
}

static bool has_kept_up(const struct follow_node *node, uint64_t now, uint64_t ms) {
  return node->judged_at != 0 && node->keeps_up && now - node->judged_at >= ms;
}

void follow_heard(struct follow *f, struct follow_node *node, const struct follow_role *role, uint64_t asked_at, uint64_t now) {
  bool primary = f->following && addr_equal(&node->addr, &f->primary);
  if (primary && role->primary) see_lag(f, role, node->known && node->role.primary ? node->role.offset : 0, now);
  if (primary && !role->primary) {
    f->deposed_until = 0; /* if it was promoted before the Sentinels said so, that was called off */
    follow_doubt(f, now);
  }
  node->known = true;
  node->back = node->silent && !role->primary;
  node->role = *role;
  node->said_at = asked_at;
  if (node->priority != 0) node->barred_since = 0;
  else if (node->barred_since == 0) node->barred_since = now;
}

/* The floor falls only when a majority has said less than it for FLOOR_MS. */
static void settle_floor(struct follow *f, uint64_t now) {
  size_t known = 0;
  uint64_t highest = 0;
  for (size_t i = 0; i < f->sentinels; i++) {
    if (!f->answers[i].known) continue;
    known++;
    if (f->answers[i].epoch > highest) highest = f->answers[i].epoch;
  }
  bool below = highest < f->floor && known * 2 > f->sentinels;
  if (below && f->below_since == 0) f->below_since = now;
  if (below && now - f->below_since < FLOOR_MS) return;
  if (below || highest > f->floor) f->floor = highest;
  f->below_since = 0;
}

static bool credible(const struct follow *f, const struct follow_answer *a, uint64_t now) {
  if (!a->known || a->epoch < f->floor) return false;
  return now >= f->deposed_until || a->epoch > f->deposed_epoch || !addr_equal(&a->addr, &f->deposed);
}

static size_t votes_for(const struct follow *f, const struct follow_answer *a) {
  size_t votes = 0;
  for (size_t i = 0; i < f->sentinels; i++) {
    const struct follow_answer *b = &f->answers[i];
    if (b->known && b->epoch == a->epoch && addr_equal(&b->addr, &a->addr)) votes++;
  }
  return votes;
}

const struct addr *follow_named(const struct follow *f, uint64_t now) {
  const struct follow_answer *best = NULL;
  size_t known = 0;
  for (size_t i = 0; i < f->sentinels; i++) {
    const struct follow_answer *a = &f->answers[i];
    if (a->known) known++;
    if (!credible(f, a, now)) continue;
    if (best == NULL || a->epoch > best->epoch) {
      best = a;
    } else if (a->epoch == best->epoch) {
      if (a->announced != best->announced ? a->announced : votes_for(f, a) > votes_for(f, best)) best = a;
    }
  }
  if (best == NULL || (known * 2 <= f->sentinels && now - f->doubted_at < MAJORITY_PATIENCE_MS)) return NULL;
  return &best->addr;
}

/* One that proves that it was promoted from a replica of the primary we followed. */
static struct follow_node *promoted(struct follow *f) {
  for (size_t i = 0; i < f->node_count; i++) {
    struct follow_node *node = &f->nodes[i];
    if (!node->known || !node->role.primary || addr_equal(&node->addr, &f->primary)) continue;
    if (f->lineage[0] != '\0' && strcmp(node->replid2, f->lineage) == 0) return node;
  }
  return NULL;
}

/* Whether this Sentinel, which has heard of priority 0 `age_ms` before it was asked, may hear otherwise before it promotes. */
static bool may_hear_otherwise(const struct follow *f, const struct follow_node *node, const struct follow_answer *a, uint64_t age_ms, uint64_t now) {
  bool word = node->known && node->said_at >= (node->lagged_at != 0 ? node->lagged_at : node->judged_at);
  bool away = f->manage && node->lagged_at != 0 && !has_kept_up(node, now, COUNTS_MS);
  if (word && node->priority != 0) return true;
  if (away && a->viewed_at >= node->lagged_at + AWAY_MS + age_ms) return false;
  if (!word) return node->judged_at == 0 || now - node->judged_at < HEARD_MS;
  return node->barred_since == 0 || a->viewed_at < node->barred_since;
}

/* Whether this Sentinel would take a replica for down before it takes the primary for down, if nothing changes. The replica's age was
 * read after the primary's, by as much as the whole answer took at most. */
static bool silent(const struct follow_answer *a, long long lead_ms, uint64_t now) {
  return a->viewed && now - a->viewed_at <= FRESH_MS && lead_ms >= SILENT_MS + (long long)a->took_ms;
}

static size_t viewed(const struct follow *f) {
  size_t count = 0;
  for (size_t i = 0; i < f->sentinels; i++) count += f->answers[i].viewed;
  return count;
}

static bool counts(const struct follow *f, const struct follow_node *node, uint64_t now) {
  if (addr_equal(&node->addr, &f->primary)) return false;
  if (f->manage && !node->leaving && has_kept_up(node, now, COUNTS_MS)) return true;
  bool majority = viewed(f) * 2 > f->sentinels;
  for (size_t i = 0; i < f->sentinels; i++) {
    const struct follow_answer *a = &f->answers[i];
    if (!a->viewed && majority) continue;
    int at = index_of(&node->addr, a->eligible, a->eligible_count);
    if (at >= 0 && !silent(a, a->eligible_lead_ms[at], now)) return true;
    at = index_of(&node->addr, a->barred, a->barred_count);
    if (at >= 0 && !silent(a, a->barred_lead_ms[at], now) && may_hear_otherwise(f, node, a, a->barred_age_ms[at], now)) return true;
  }
  return false;
}

/* Whom the Sentinels take for silent or down: when it is back it is taken out at once, unless it keeps up. */
static void see_silence(struct follow *f, uint64_t now) {
  bool majority = viewed(f) * 2 > f->sentinels;
  for (size_t i = 0; i < f->node_count; i++) {
    struct follow_node *node = &f->nodes[i];
    bool lags = node->judged_at != 0 && !node->keeps_up && !addr_equal(&node->addr, &f->primary);
    if (!lags) node->silent = node->back = false;
    else if (majority && !counts(f, node, now)) node->silent = true;
  }
}

const struct addr *follow_decide(struct follow *f, uint64_t now) {
  settle_floor(f, now);
  see_silence(f, now);
  struct follow_node *next = find(f, &f->primary);
  if (f->following && next != NULL && next->known && next->role.primary) memcpy(f->lineage, next->replid, sizeof f->lineage);
  next = !f->following || now < f->expected_until ? promoted(f) : NULL;
  if (next != NULL) {
    f->deposed = f->primary;
    f->deposed_epoch = f->floor;
    f->deposed_until = now + DEPOSED_MS;
  } else {
    const struct addr *named = follow_named(f, now);
    if (named == NULL || (f->following && addr_equal(named, &f->primary))) return NULL;
    follow_doubt(f, now);
    next = find(f, named);
    if (next == NULL || !next->known || !next->role.primary || next->said_at < f->doubted_at) return NULL;
    if (addr_equal(&next->addr, &f->primary) && now - f->announced_at < AGAIN_MS) return NULL;
  }
  f->following = true;
  f->primary = next->addr;
  f->announced_at = now;
  f->expected_until = 0;
  memcpy(f->lineage, next->replid, sizeof f->lineage);
  for (size_t i = 0; i < f->node_count; i++) f->nodes[i].judged_at = f->nodes[i].lagged_at = 0;
  return &f->primary;
}

size_t follow_counted(const struct follow *f, uint64_t now, struct addr out[static FOLLOW_NODES_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < f->node_count; i++) {
    if (counts(f, &f->nodes[i], now)) out[count++] = f->nodes[i].addr;
  }
  return count;
}

bool follow_covered(const struct follow *f, uint64_t now, const struct follow_role *role, long long offset, unsigned least) {
  struct addr counted[FOLLOW_NODES_MAX];
  size_t count = follow_counted(f, now, counted), have = 0;
  for (size_t i = 0; i < count; i++) {
    int at = index_of(&counted[i], role->addr, role->linked);
    if (at < 0 || role->acked[at] < offset) return false;
  }
  for (size_t i = 0; i < role->linked; i++) have += role->acked[i] >= offset;
  return f->following && role->primary && have >= least;
}

struct follow_node *follow_laggard(struct follow *f, uint64_t now, unsigned after_ms, unsigned least) {
  struct follow_node *laggard = NULL;
  size_t others = 0;
  for (size_t i = 0; f->manage && i < f->node_count; i++) {
    struct follow_node *node = &f->nodes[i];
    if (!node->back && !counts(f, node, now)) continue;
    if (node->priority == 0) continue; /* it is out, and no promise for the others, even when it has caught up */
    if (node->judged_at == 0 || node->keeps_up) {
      others++;
    } else if (node->known && (node->back || now - node->judged_at >= after_ms)) {
      laggard = node;
    }
  }
  return others >= 1 && others >= least ? laggard : NULL;
}

bool follow_held(const struct follow *f, uint64_t now) {
  for (size_t i = 0; i < f->node_count; i++) {
    const struct follow_node *node = &f->nodes[i];
    if (node->judged_at != 0 && !node->keeps_up && counts(f, node, now)) return true;
  }
  return false;
}

bool follow_trusts_silence(const struct follow *f) {
  for (size_t i = 0; i < f->sentinels; i++) {
    const struct follow_answer *a = &f->answers[i];
    for (size_t j = 0; a->viewed && j < a->eligible_count; j++) {
      const struct follow_node *node = find(f, &a->eligible[j]);
      if (a->eligible_lead_ms[j] >= SILENT_MS && node != NULL && node->judged_at != 0 && !node->keeps_up) return true;
    }
  }
  return false;
}

bool follow_gone(const struct follow *f, const struct follow_node *node, uint64_t now) { return node->silent && !counts(f, node, now); }

bool follow_away(const struct follow *f, uint64_t now) {
  for (size_t i = 0; f->manage && f->following && i < f->node_count; i++) {
    const struct follow_node *node = &f->nodes[i];
    if (node->silent && node->priority != 0 && now - node->judged_at < AWAY_MAX_MS) return true;
  }
  return false;
}

bool follow_unheard(const struct follow *f, uint64_t now) {
  for (size_t i = 0; f->manage && f->following && i < f->node_count; i++) {
    const struct follow_node *node = &f->nodes[i];
    if (node->known && node->priority == 0 && node->judged_at != 0 && !node->keeps_up && counts(f, node, now)) return true;
  }
  return false;
}

struct follow_node *follow_recovered(struct follow *f, uint64_t now) {
  for (size_t i = 0; f->manage && f->following && i < f->node_count; i++) {
    struct follow_node *node = &f->nodes[i];
    if (!node->known || node->role.primary || node->priority != 0 || node->leaving) continue;
    if (has_kept_up(node, now, RECOVERED_MS)) return node;
  }
  return NULL;
}

/* replies */

/* "" for what is no text. */
static const char *text(const redisReply *r) {
  return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_VERB ? r->str : "";
}

bool follow_parse_addr(const redisReply *reply, struct addr *out) {
  return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && addr_set(out, text(reply->element[0]), text(reply->element[1]));
}

/* A value of Sentinel's "key value key value ..."; "" when it isn't there. */
static const char *field(const redisReply *map, const char *name) {
  bool list = map->type == REDIS_REPLY_ARRAY || map->type == REDIS_REPLY_MAP;
  for (size_t i = 0; list && i + 1 < map->elements; i += 2) {
    if (strcmp(text(map->element[i]), name) == 0) return text(map->element[i + 1]);
  }
  return "";
}

/* The time in ms of a field. Below 0: it is not there, or the Sentinel's clock was set back. */
static long long ms_of(const redisReply *map, const char *name) {
  const char *ms = field(map, name);
  return ms[0] != '\0' ? strtoll(ms, NULL, 10) : -1;
}

/* A Sentinel takes the primary for down when its oldest unanswered ping is older than down-after. When all are answered: the next
 * ping, or if the link closes and can't even be tried again, the last pong, and then the choice of a replica takes CHOICE_MS more. */
static long long primary_age_ms(const redisReply *primary) {
  long long ping = ms_of(primary, "last-ping-sent"), pong = ms_of(primary, "last-ok-ping-reply");
  const char *role = field(primary, "role-reported"); /* of a primary that says it is none, any time may be too long */
  if (ping < 0 || pong < 0 || (role[0] != '\0' && strcmp(role, "master") != 0)) return -1;
  return ping > 0 ? ping : pong > CHOICE_MS ? pong - CHOICE_MS : 0;
}

/* By how much longer than the primary a replica is silent; 0: not longer, or that is not known. */
static long long lead_ms(const redisReply *replica, long long primary_age_ms) {
  long long ping = ms_of(replica, "last-ping-sent");
  return primary_age_ms >= 0 && ping > primary_age_ms ? ping - primary_age_ms : 0;
}

bool follow_parse_master(const redisReply *reply, struct follow_answer *out) {
  const char *epoch = field(reply, "config-epoch");
  if (epoch[0] == '\0') return false;
  const char *flags = field(reply, "flags");
  bool down = strstr(flags, "s_down") != NULL;
  long long down_after_ms = strtoll(field(reply, "down-after-milliseconds"), NULL, 10);
  out->epoch = strtoull(epoch, NULL, 10);
  out->primary_age_ms = down || strstr(flags, "failover_in_progress") != NULL ? -1 : primary_age_ms(reply);
  out->link_down_max_ms = down || down_after_ms <= 0 || down_after_ms > UINT32_MAX ? 0 : down_after_ms * LINK_DOWN_FACTOR + LINK_SLACK_MS;
  return true;
}

/* But for its priority. */
static bool eligible(const redisReply *replica, long long link_down_max_ms) {
  const char *flags = field(replica, "flags"), *primary = field(replica, "master-host");
  if (strstr(flags, "s_down") != NULL) return false;
  if (strcmp(primary, "?") == 0) return false;
  /* Signed: it is -1000 of one that was started and has had no link yet. */
  return link_down_max_ms == 0 || strtoll(field(replica, "master-link-down-time"), NULL, 10) <= link_down_max_ms;
}

/* How long ago it answered INFO. */
static uint64_t info_age_ms(const redisReply *replica) {
  const char *age = field(replica, "info-refresh");
  uint64_t ms = age[0] != '\0' ? strtoull(age, NULL, 10) : UINT32_MAX;
  return ms < UINT32_MAX ? ms : UINT32_MAX;
}

bool follow_parse_replicas(const redisReply *reply, struct follow_answer *out, struct addr seen[static FOLLOW_NODES_MAX], size_t *count) {
  struct addr may[FOLLOW_NODES_MAX], barred[FOLLOW_NODES_MAX];
  uint64_t age_ms[FOLLOW_NODES_MAX];
  long long may_lead_ms[FOLLOW_NODES_MAX], barred_lead_ms[FOLLOW_NODES_MAX];
  size_t n = 0, m = 0;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements > FOLLOW_NODES_MAX) return false;
  for (size_t i = 0; i < reply->elements; i++) {
    const redisReply *replica = reply->element[i];
    if (!addr_set(&seen[i], field(replica, "ip"), field(replica, "port"))) return false;
    if (!eligible(replica, out->link_down_max_ms)) continue;
    if (strcmp(field(replica, "slave-priority"), "0") != 0) {
      may_lead_ms[n] = lead_ms(replica, out->primary_age_ms);
      may[n++] = seen[i];
    } else {
      barred_lead_ms[m] = lead_ms(replica, out->primary_age_ms);
      age_ms[m] = info_age_ms(replica);
      barred[m++] = seen[i];
    }
  }
  memcpy(out->eligible, may, n * sizeof may[0]);
  memcpy(out->eligible_lead_ms, may_lead_ms, n * sizeof may_lead_ms[0]);
  out->eligible_count = n;
  memcpy(out->barred, barred, m * sizeof barred[0]);
  memcpy(out->barred_age_ms, age_ms, m * sizeof age_ms[0]);
  memcpy(out->barred_lead_ms, barred_lead_ms, m * sizeof barred_lead_ms[0]);
  out->barred_count = m;
  out->viewed = true;
  *count = reply->elements;
  return true;
}

bool follow_parse_role(const redisReply *reply, struct follow_role *out) {
  struct follow_role role = {0};
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 || text(reply->element[0])[0] == '\0') return false;
  role.primary = strcmp(text(reply->element[0]), "master") == 0;
  const redisReply *offset = reply->element[1], *replicas = reply->element[2];
  if (role.primary) {
    if (offset->type != REDIS_REPLY_INTEGER || replicas->type != REDIS_REPLY_ARRAY) return false;
    role.offset = offset->integer;
    for (size_t i = 0; i < replicas->elements && role.linked < FOLLOW_NODES_MAX; i++) {
      const redisReply *r = replicas->element[i];
      if (r->type != REDIS_REPLY_ARRAY || r->elements < 3 || text(r->element[2])[0] == '\0') return false;
      if (!addr_set(&role.addr[role.linked], text(r->element[0]), text(r->element[1]))) return false;
      role.acked[role.linked++] = strtoll(text(r->element[2]), NULL, 10);
    }
  }
  *out = role;
  return true;
}

/* The value after `name` in INFO, to the line's end, into `out`. */
static bool info_value(const char *text, const char *name, char *out, size_t size) {
  const char *value = strstr(text, name);
  size_t len = value != NULL ? strcspn(value += strlen(name), "\r\n") : size;
  if (len >= size) return false;
  memcpy(out, value, len);
  out[len] = '\0';
  return true;
}

bool follow_parse_info(const redisReply *reply, struct follow_node *out) {
  char replid[FOLLOW_REPLID_MAX], replid2[FOLLOW_REPLID_MAX], priority[16] = "1"; /* a primary has none */
  if (!info_value(text(reply), "master_replid:", replid, sizeof replid)) return false;
  if (!info_value(text(reply), "master_replid2:", replid2, sizeof replid2)) return false;
  info_value(text(reply), "slave_priority:", priority, sizeof priority);
  memcpy(out->replid, replid, sizeof replid);
  memcpy(out->replid2, strcmp(replid2, NO_REPLID) == 0 ? "" : replid2, strcmp(replid2, NO_REPLID) == 0 ? 1 : sizeof replid2);
  out->priority = (unsigned)strtoul(priority, NULL, 10);
  out->no_backlog = strstr(text(reply), "repl_backlog_active:0") != NULL;
  out->leaving = out->priority == 0 && strstr(text(reply), "replica_announced:0") != NULL;
  return true;
}

bool follow_parse_switch(const char *text, const char *master_name, struct addr *to) {
  char name[256], ip[64], port[8], more[2];
  int words = sscanf(text, "%255s %*s %*s %63s %7s %1s", name, ip, port, more);
  return words == 3 && strcmp(name, master_name) == 0 && addr_set(to, ip, port);
}

bool follow_parse_event(const char *text, const char *master_name) {
  char kind[8], name[256], port[8], primary[256];
  int words = sscanf(text, "%7s %255s %*s %7s @ %255s", kind, name, port, primary);
  if (words >= 3 && strcmp(kind, "master") == 0) return strcmp(name, master_name) == 0;
  return words == 4 && strcmp(kind, "slave") == 0 && strcmp(primary, master_name) == 0;
}
