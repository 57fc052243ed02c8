/* What Sentinels and Redis say, and what is made of it. The first byte says how many bytes of control follow; the rest is the
 * network. Each reply is given to every parser, and then to the state machine as the control says: whose it is, and when.
 * Malformed replies leave what they should have filled in; nobody is announced who did not say that he is primary; and the
 * verdict is the same when the bytes come one piece or another. */
#include "follow.h"
#include "rconn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SENTINELS 3
#define NAME "m"
#define HASH_START UINT64_C(14695981039346656037)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
  struct follow f;
  uint64_t now, verdict;
  struct addr primaries[64]; /* who has said `master` */
  size_t primary_count;
  const uint8_t *control;
  size_t left;
};

static void must(bool holds) {
  if (!holds) abort();
}

static uint8_t control(struct run *r) {
  if (r->left == 0) return 0;
  r->left--;
  return *r->control++;
}

static void add(struct run *r, const void *data, size_t len) {
  const unsigned char *p = data;
  for (size_t i = 0; i < len; i++) r->verdict = (r->verdict ^ p[i]) * UINT64_C(1099511628211);
}

static void add_addr(struct run *r, const struct addr *a) {
  if (a == NULL) return;
  add(r, a->ip, strlen(a->ip));
  add(r, &a->port, sizeof a->port);
}

static bool said(const struct run *r, const struct addr *a) {
  for (size_t i = 0; i < r->primary_count; i++) {
    if (addr_equal(&r->primaries[i], a)) return true;
  }
  return false;
}

static void judge(struct run *r) {
  struct addr counted[FOLLOW_NODES_MAX];
  struct follow_role none = {.primary = true};
  const struct addr *primary = follow_decide(&r->f, r->now);
  if (primary != NULL) must(said(r, primary) && r->f.following);
  add_addr(r, primary);
  add_addr(r, follow_named(&r->f, r->now));
  size_t n = follow_counted(&r->f, r->now, counted);
  must(n <= r->f.node_count && r->f.node_count <= FOLLOW_NODES_MAX);
  for (size_t i = 0; i < n; i++) {
    must(!addr_equal(&counted[i], &r->f.primary));
    add_addr(r, &counted[i]);
  }
  must(!follow_covered(&r->f, r->now, &none, 1, 1));
  if (n > 0) must(!follow_covered(&r->f, r->now, &none, 0, 0));
  for (size_t i = 0; i < r->f.node_count; i++) {
    struct follow_role role = {.primary = true, .linked = 1, .addr = {r->f.nodes[i].addr}, .acked = {5}};
    bool covered = follow_covered(&r->f, r->now, &role, 5, 1);
    if (covered) must(n == 0 || (n == 1 && addr_equal(&counted[0], &role.addr[0])));
  }
  struct follow_node *out = follow_laggard(&r->f, r->now, 300, 1), *in = follow_recovered(&r->f, r->now);
  if (out != NULL) must(n >= (out->back ? 1 : 2) && out->priority != 0 && !addr_equal(&out->addr, &r->f.primary));
  if (in != NULL) must(in->priority == 0 && in != out);
  add_addr(r, out != NULL ? &out->addr : NULL);
  add_addr(r, in != NULL ? &in->addr : NULL);
}

static void take_sentinel(struct run *r, const redisReply *reply, struct follow_answer *a) {
  struct follow_answer before = *a;
  struct addr addr, seen[FOLLOW_NODES_MAX];
  size_t count = 99;
  if (!follow_parse_master(reply, a)) must(memcmp(a, &before, sizeof before) == 0);
  before = *a;
  if (follow_parse_replicas(reply, a, seen, &count)) {
    must(count <= FOLLOW_NODES_MAX && a->eligible_count + a->barred_count <= count && a->viewed);
    for (size_t i = 0; i < count; i++) follow_node(&r->f, &seen[i]);
    a->viewed_at = r->now;
    a->took_ms = count; /* anything small */
  } else {
    must(memcmp(a, &before, sizeof before) == 0 && count == 99);
  }
  addr = a->addr;
  if (follow_parse_addr(reply, &addr)) {
    a->known = true;
    a->announced = false;
    a->addr = addr;
    follow_node(&r->f, &addr);
  } else {
    must(memcmp(&addr, &a->addr, sizeof addr) == 0);
  }
}

static void take_redis(struct run *r, const redisReply *reply, struct follow_node *node) {
  struct follow_node before = *node;
  struct follow_role role = {.offset = 77}, untouched = role;
  if (!follow_parse_info(reply, node)) must(memcmp(node, &before, sizeof before) == 0);
  must(memchr(node->replid, 0, FOLLOW_REPLID_MAX) != NULL && memchr(node->replid2, 0, FOLLOW_REPLID_MAX) != NULL);
  if (!follow_parse_role(reply, &role)) {
    must(memcmp(&role, &untouched, sizeof role) == 0);
    return;
  }
  must(role.linked <= FOLLOW_NODES_MAX);
  if (role.primary && !said(r, &node->addr) && r->primary_count < 64) r->primaries[r->primary_count++] = node->addr;
  follow_heard(&r->f, node, &role, r->now - control(r), r->now);
}

static void take_event(struct run *r, const redisReply *reply, struct follow_answer *a) {
  struct addr to = a->addr, before = to;
  if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) return;
  if (follow_parse_event(reply->str, NAME)) follow_expect(&r->f, r->now);
  if (follow_parse_switch(reply->str, NAME, &to)) {
    follow_switched(&r->f, a, &to);
    follow_node(&r->f, &to);
  } else {
    must(memcmp(&to, &before, sizeof to) == 0);
  }
}

static void take(struct run *r, const redisReply *reply) {
  uint8_t what = control(r), who = control(r);
  struct follow_answer *a = &r->f.answers[who % SENTINELS];
  r->now += (uint64_t)(what & 63) * (what & 63) * 10; /* up to 40 s */
  if (what & 64) follow_doubt(&r->f, r->now);
  if (what & 128) follow_lost(a);
  if (who & 128 || r->f.node_count == 0) {
    take_sentinel(r, reply, a);
  } else {
    take_redis(r, reply, &r->f.nodes[who % r->f.node_count]);
  }
  take_event(r, reply, a);
  judge(r);
}

static uint64_t run(const uint8_t *control_bytes, size_t control_len, const uint8_t *wire, size_t len, size_t piece) {
  static struct run r;
  size_t elements = 0;
  redisReader *reader = rconn_reader(&elements);
  if (reader == NULL) return 0;
  memset(&r, 0, sizeof r);
  r = (struct run){.now = 100000, .verdict = HASH_START, .control = control_bytes, .left = control_len};
  follow_init(&r.f, SENTINELS, control(&r) & 1, r.now);
  for (bool ok = true; ok && len > 0;) {
    size_t n = piece < len ? piece : len;
    char *exact = malloc(n); /* so that the sanitizer sees a read past the end */
    if (exact == NULL) break;
    memcpy(exact, wire, n);
    ok = redisReaderFeed(reader, exact, n) == REDIS_OK;
    free(exact);
    wire += n;
    len -= n;
    for (void *reply = NULL; ok; reply = NULL) {
      ok = redisReaderGetReply(reader, &reply) == REDIS_OK;
      if (!ok || reply == NULL) break;
      elements = 0;
      take(&r, reply);
      freeReplyObject(reply);
    }
  }
  redisReaderFree(reader);
  return r.verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  size_t len = data[0] < size ? data[0] : size - 1;
  const uint8_t *wire = data + 1 + len;
  size_t wire_len = size - 1 - len;
  uint64_t whole = run(data + 1, len, wire, wire_len, SIZE_MAX);
  must(whole == run(data + 1, len, wire, wire_len, 1 + data[0] % 13));
  return 0;
}
