/* Requests against a server in the same loop that plays one Sentinel and the primary, and answers as the test tells it to. The
 * script of guard.h runs in a real redis-server, when there is one. */
#include "check.h"
#include "guard.h"
#include "log.h"
#include "metrics.h"
#include "store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEERS_MAX 64
#define REPLICAS 2
#define SEEN_MAX 8

struct peer {
  uv_tcp_t tcp;
  redisReader *reader;
};

static struct {
  uv_loop_t loop;
  uv_tcp_t listener;
  unsigned port, peers, connections;
  bool sentinel_mute;         /* names no primary */
  bool another;               /* its replication ID is not what it was */
  bool no_backlog;            /* and will be another one */
  bool hang_up;               /* once: applies a write and closes before it answers */
  const char *refuses;        /* the answer to a batch of reads or writes, `times` times */
  unsigned times;
  bool fsynced;               /* what WAITAOF says */
  long long offset, acked[REPLICAS];
  unsigned linked;
  unsigned applied, loaded, waits, scripts, reads;
  int wait_ms; /* that of the first WAIT since it was 0 */
  struct {
    char request[256], result[64];
  } writes[SEEN_MAX]; /* those that were applied */
  char value[256]; /* of the last one */
  size_t value_len;
} r;

static struct config config;
static struct store *store;

/* the server */

static void on_gone(uv_handle_t *h) {
  struct peer *p = h->data;
  redisReaderFree(p->reader);
  free(p);
}

static void hang_up(struct peer *p) {
  if (!uv_is_closing((uv_handle_t *)&p->tcp)) uv_close((uv_handle_t *)&p->tcp, on_gone);
}

static void say(struct peer *p, const char *data, size_t len) {
  uv_buf_t b = uv_buf_init((char *)data, (unsigned)len);
  if (uv_is_closing((uv_handle_t *)&p->tcp)) return;
  if (uv_try_write((uv_stream_t *)&p->tcp, &b, 1) < 0) hang_up(p); /* the store has gone */
}

static void say_text(struct peer *p, const char *text) { say(p, text, strlen(text)); }

static void say_bulk(struct peer *p, const char *data, size_t len) {
  char head[32];
  snprintf(head, sizeof head, "$%zu\r\n", len);
  say_text(p, head);
  say(p, data, len);
  say_text(p, "\r\n");
}

static void say_role(struct peer *p) {
  char text[512];
  size_t n = (size_t)snprintf(text, sizeof text, "*3\r\n$6\r\nmaster\r\n:%lld\r\n*%u\r\n", r.offset, r.linked);
  for (unsigned i = 0; i < r.linked; i++) {
    n += (size_t)snprintf(text + n, sizeof text - n, "*3\r\n+127.0.0.%u\r\n+%u\r\n+%lld\r\n", i + 2, r.port, r.acked[i]);
  }
  say(p, text, n);
}

static void say_sentinel(struct peer *p, const char *what) {
  char text[512];
  if (r.sentinel_mute) {
    say_text(p, "-ERR No such master with that name\r\n");
  } else if (strcmp(what, "MASTER") == 0) {
    say_text(p, "%2\r\n+config-epoch\r\n+1\r\n+down-after-milliseconds\r\n+1000\r\n");
  } else if (strcmp(what, "REPLICAS") == 0) {
    say_text(p, "*2\r\n");
    for (unsigned i = 0; i < REPLICAS; i++) {
      snprintf(text, sizeof text, "%%4\r\n+ip\r\n+127.0.0.%u\r\n+port\r\n+%u\r\n+flags\r\n+slave\r\n+slave-priority\r\n+100\r\n", i + 2, r.port);
      say_text(p, text);
    }
  } else {
    snprintf(text, sizeof text, "*2\r\n+127.0.0.1\r\n+%u\r\n", r.port);
    say_text(p, text);
  }
}

/* Whether it was seen, and what it came to. */
static bool write_session(const redisReply *request, const redisReply *tag, const redisReply *value, char result[80]) {
  unsigned i = 0;
  while (i < r.applied && strcmp(r.writes[i].request, request->str) != 0) i++;
  bool seen = i < r.applied;
  if (!seen) {
    assert_true(i < SEEN_MAX);
    r.applied++;
    r.offset += 100;
    snprintf(r.writes[i].request, sizeof r.writes[i].request, "%s", request->str);
    snprintf(r.writes[i].result, sizeof r.writes[i].result, "%c%.*s", tag->len > STORE_TAG_LEN ? '!' : value->len == 0 ? '0' : '+',
             STORE_TAG_LEN - 1, tag->str + 1);
    memcpy(r.value, value->str, value->len);
    r.value_len = value->len;
  }
  snprintf(result, 80, "%s%s", seen ? "=" : "", r.writes[i].result);
  return seen;
}

static void write_sessions(struct peer *p, const redisReply *c) {
  size_t writes = (size_t)atoi(c->element[2]->str) - GUARD_KEYS, len = 0;
  struct redisReply **requests = c->element + 5 + GUARD_KEYS + writes;
  char text[1024] = "", head[32], result[80];
  bool all = true;
  assert_int_equal(c->elements, 5 + GUARD_KEYS + 4 * writes);
  r.scripts++;
  for (size_t i = 0; i < writes; i++) {
    bool seen = write_session(requests[i], requests[i + writes], requests[i + 2 * writes], result);
    bool applied = !seen && result[0] == '+';
    all = all && applied;
    len += (size_t)(applied ? snprintf(text + len, sizeof text - len, "_\r\n")
                            : snprintf(text + len, sizeof text - len, "$%zu\r\n%s\r\n", strlen(result), result));
  }
  if (r.hang_up) {
    r.hang_up = false;
    hang_up(p);
    return;
  }
  snprintf(head, sizeof head, "*%zu\r\n", writes);
  say_text(p, all ? "_\r\n" : head);
  if (!all) say_text(p, text);
}

static void read_sessions(struct peer *p, const redisReply *c) {
  char head[32];
  r.reads++;
  snprintf(head, sizeof head, "*%zu\r\n", c->elements - 1);
  say_text(p, head);
  for (size_t i = 1; i < c->elements; i++) {
    if (r.value_len == 0 || strcmp(c->element[i]->str, "session:s") != 0) say_text(p, "_\r\n");
    else say_bulk(p, r.value, r.value_len);
  }
}

static void serve(struct peer *p, const redisReply *c) {
  const char *name = c->element[0]->str;
  bool data = strcmp(name, "MGET") == 0 || strcmp(name, "EVALSHA") == 0;
  if (data && r.times > 0) {
    r.times--;
    say_text(p, r.refuses);
  } else if (strcmp(name, "HELLO") == 0) {
    say_text(p, "%0\r\n");
  } else if (strcmp(name, "SUBSCRIBE") == 0) {
    say_text(p, ">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
  } else if (strcmp(name, "SENTINEL") == 0) {
    say_sentinel(p, c->element[1]->str);
  } else if (strcmp(name, "INFO") == 0) {
    char info[128];
    int len = snprintf(info, sizeof info, "master_replid:%s\r\nmaster_replid2:b\r\nrepl_backlog_active:%d\r\n", r.another ? "c" : "a", !r.no_backlog);
    say_bulk(p, info, (size_t)len);
  } else if (strcmp(name, "ROLE") == 0) {
    say_role(p);
  } else if (strcmp(name, "SCRIPT") == 0) {
    r.loaded++;
    say_bulk(p, "0123456789012345678901234567890123456789", 40);
  } else if (strcmp(name, "EVALSHA") == 0) {
    write_sessions(p, c);
  } else if (strcmp(name, "MGET") == 0) {
    read_sessions(p, c);
  } else if (strcmp(name, "WAITAOF") == 0) {
    r.waits++;
    say_text(p, r.fsynced ? "*2\r\n:1\r\n:2\r\n" : "*2\r\n:1\r\n:1\r\n");
  } else if (strcmp(name, "WAIT") == 0) {
    r.waits++;
    if (r.wait_ms == 0) r.wait_ms = atoi(c->element[2]->str);
    say_text(p, ":0\r\n");
  } else {
    say_text(p, "+OK\r\n");
  }
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b) {
  static char area[65536];
  (void)h;
  (void)n;
  *b = uv_buf_init(area, sizeof area);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  struct peer *p = s->data;
  if (n < 0) {
    hang_up(p);
    return;
  }
  assert_int_equal(redisReaderFeed(p->reader, b->base, (size_t)n), REDIS_OK);
  while (!uv_is_closing((uv_handle_t *)s)) {
    void *c = NULL;
    assert_int_equal(redisReaderGetReply(p->reader, &c), REDIS_OK);
    if (c == NULL) return;
    serve(p, c);
    freeReplyObject(c);
  }
}

static void on_connection(uv_stream_t *s, int status) {
  struct peer *p = calloc(1, sizeof *p);
  assert_int_equal(status, 0);
  assert_non_null(p);
  r.connections++;
  p->reader = redisReaderCreate();
  p->tcp.data = p;
  assert_int_equal(uv_tcp_init(&r.loop, &p->tcp), 0);
  assert_int_equal(uv_accept(s, (uv_stream_t *)&p->tcp), 0);
  assert_int_equal(uv_tcp_nodelay(&p->tcp, 1), 0); /* answers leave in pieces */
  assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read), 0);
}

/* the clients */

struct client {
  struct store_op op;
  unsigned done;
  enum store_result result;
  char text[256], etag[STORE_ETAG_LEN + 1], primary[8];
};

static void on_done(struct store_op *op, enum store_result result, const char *value, size_t len, const char *etag) {
  struct client *c = (struct client *)op;
  c->done++;
  c->result = result;
  snprintf(c->text, sizeof c->text, "%.*s", (int)len, value);
  if (etag != NULL) memcpy(c->etag, etag, STORE_ETAG_LEN);
  snprintf(c->primary, sizeof c->primary, "%s", op->primary != NULL ? op->primary : "none");
}

/* Kept until the store has ended, also when an assertion ends the test before. */
static struct client clients[8];
static size_t client_count;

static struct client *client(enum store_kind kind, const char *request_id, const char *value) {
  assert_true(client_count < COUNT(clients));
  struct client *c = &clients[client_count++];
  *c = (struct client){.op = {.kind = kind, .id = "s", .id_len = 1, .request_id = request_id, .request_id_len = strlen(request_id),
                                .condition = "", .value = value, .value_len = strlen(value), .done = on_done}};
  return c;
}

static void on_end(uv_timer_t *timer) { uv_stop(timer->loop); }

static void run(unsigned ms) {
  static uv_timer_t end;
  uv_timer_init(&r.loop, &end);
  uv_timer_start(&end, on_end, ms, 0);
  uv_run(&r.loop, UV_RUN_DEFAULT);
  uv_close((uv_handle_t *)&end, NULL);
  uv_run(&r.loop, UV_RUN_NOWAIT);
}

static void submit(struct client *c) { store_submit(store, &c->op); }

static void assert_result(const struct client *c, enum store_result result) {
  assert_int_equal(c->done, 1);
  assert_int_equal(c->result, result);
}

static void start(enum config_durability durability) {
  struct sockaddr_in at;
  int len = sizeof at;
  memset(&r, 0, sizeof r);
  memset(&metrics, 0, sizeof metrics);
  client_count = 0;
  assert_int_equal(uv_loop_init(&r.loop), 0);
  assert_int_equal(uv_tcp_init(&r.loop, &r.listener), 0);
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
  assert_int_equal(uv_tcp_bind(&r.listener, (struct sockaddr *)&at, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *)&r.listener, PEERS_MAX, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&r.listener, (struct sockaddr *)&at, &len), 0);
  r.port = ntohs(at.sin_port);
  r.linked = REPLICAS;
  r.offset = 1000;
  r.acked[0] = r.acked[1] = 1000000;
  r.fsynced = true;
  config = (struct config){.sentinels = {{"127.0.0.1", (uint16_t)r.port}}, .sentinel_count = 1, .master_name = "m", .session_ttl_s = 60,
                           .durability = durability, .replicas_required = 1, .exclude_after_ms = 300, .wait_ms = 20, .request_id_ttl_s = 60,
                           .write_connections = 2, .hold_ms = 300, .hold_max = 2, .redis_timeout_ms = 500, .redis_ping_ms = 200, .redis_dead_ms = 400};
  store = store_new(&r.loop, &config, NULL);
  assert_non_null(store);
}

static int started_async(void **state) {
  (void)state;
  start(CONFIG_ASYNC);
  run(150);
  return 0;
}

static int started_replicated(void **state) {
  (void)state;
  start(CONFIG_REPLICATED);
  run(150);
  return 0;
}

static int started_fsynced(void **state) {
  (void)state;
  start(CONFIG_FSYNCED);
  run(150);
  return 0;
}

static int nobody_named(void **state) {
  (void)state;
  start(CONFIG_ASYNC);
  r.sentinel_mute = true;
  run(50);
  return 0;
}

static int stop(void **state) {
  (void)state;
  store_stop(store);
  uv_close((uv_handle_t *)&r.listener, NULL);
  uv_run(&r.loop, UV_RUN_DEFAULT); /* the server's connections end when the store's do */
  store_free(store);
  return uv_loop_close(&r.loop);
}

/* holding */

static void a_request_is_held_until_there_is_a_primary(void **state) {
  struct client *get = client(STORE_GET, "", ""), *set = client(STORE_SET, "1", "v");
  (void)state;
  submit(get);
  submit(set);
  run(100);
  assert_int_equal(get->done + set->done, 0);
  store_measure(store);
  assert_int_equal(metrics.queued, 2);
  r.sentinel_mute = false;
  run(190);
  assert_result(set, STORE_OK);
  assert_int_equal(get->done, 1);
  assert_true(store_unready(store) == NULL);
}

static void at_its_deadline_it_is_given_up_as_not_applied(void **state) {
  struct client *get = client(STORE_GET, "", ""), *set = client(STORE_SET, "1", "v");
  (void)state;
  submit(get);
  submit(set);
  run(400);
  assert_result(get, STORE_UNAVAILABLE);
  assert_result(set, STORE_UNAVAILABLE);
  assert_string_equal(set->primary, "none");
  assert_int_equal(metrics.held_expired, 2);
}

static void a_request_that_is_named_makes_the_same_version_wherever_it_is_sent(void **state) {
  struct client *c[] = {client(STORE_SET, "1", "v"), client(STORE_SET, "1", "v"), client(STORE_SET, "2", "v"), client(STORE_SET, "1", "w"), client(STORE_SET, "", "v"),
                        client(STORE_SET, "", "v")};
  (void)state;
  config.hold_max = 16;
  store_reload(store, NULL);
  for (size_t i = 0; i < COUNT(c); i++) submit(c[i]);
  assert_memory_equal(c[0]->op.tag, c[1]->op.tag, STORE_TAG_LEN);
  assert_memory_not_equal(c[0]->op.tag, c[2]->op.tag, 1 + STORE_ETAG_LEN);
  assert_memory_not_equal(c[0]->op.tag, c[3]->op.tag, 1 + STORE_ETAG_LEN);
  assert_memory_not_equal(c[4]->op.tag, c[5]->op.tag, 1 + STORE_ETAG_LEN);
  run(400);
}

static void what_it_has_waited_elsewhere_is_taken_off_the_time_for_which_it_is_held(void **state) {
  struct client *get = client(STORE_GET, "", ""), *set = client(STORE_SET, "1", "v");
  (void)state;
  get->op.waited_ms = 200;
  set->op.waited_ms = 5000;
  submit(get);
  submit(set);
  run(50);
  assert_result(set, STORE_UNAVAILABLE);
  assert_int_equal(get->done, 0);
  run(100);
  assert_result(get, STORE_UNAVAILABLE);
}

static void a_full_queue_refuses_at_once(void **state) {
  struct client *c[3] = {client(STORE_SET, "1", "v"), client(STORE_SET, "2", "v"), client(STORE_SET, "3", "v")};
  (void)state;
  for (size_t i = 0; i < 3; i++) submit(c[i]);
  assert_result(c[2], STORE_UNAVAILABLE);
  assert_int_equal(c[0]->done + c[1]->done, 0);
  assert_true(store_withdraw(store, &c[0]->op));
  assert_true(store_withdraw(store, &c[1]->op));
}

static void what_is_withdrawn_is_never_called_back(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  submit(set);
  assert_true(store_withdraw(store, &set->op));
  r.sentinel_mute = false;
  run(300);
  assert_int_equal(set->done + r.applied, 0);
}

static void at_the_end_every_request_is_answered(void **state) {
  struct client *held = client(STORE_SET, "1", "v"), *late = client(STORE_GET, "", "");
  (void)state;
  submit(held);
  store_stop(store);
  assert_result(held, STORE_UNAVAILABLE);
  submit(late);
  assert_result(late, STORE_UNAVAILABLE);
}

static void requests_survive_a_reload(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  submit(set);
  assert_true(store_reload(store, NULL));
  r.sentinel_mute = false;
  run(250);
  assert_result(set, STORE_OK);
}

/* once */

static void a_write_whose_answer_was_lost_is_sent_again_and_applied_once(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.hang_up = r.another = true;
  submit(set);
  run(290);
  assert_result(set, STORE_OK);
  assert_string_equal(set->primary, "c");
  assert_int_equal(r.applied, 1);
  assert_int_equal(metrics.guarded, 1);
  assert_int_equal(metrics.acked[CONFIG_ASYNC], 1);
}

static void without_a_primary_to_ask_again_its_outcome_is_unknown(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.hang_up = r.sentinel_mute = true;
  submit(set);
  run(10);
  r.linked = 0;
  uv_close((uv_handle_t *)&r.listener, NULL);
  store_reload(store, NULL);
  run(400);
  assert_result(set, STORE_UNKNOWN);
  assert_int_equal(uv_tcp_init(&r.loop, &r.listener), 0); /* for stop() to close */
}

static void outcomes_are_those_of_the_script(void **state) {
  struct client *set = client(STORE_SET, "1", "v"), *again = client(STORE_SET, "1", "v"), *other = client(STORE_SET, "1", "w");
  struct client *cond = client(STORE_SET, "2", "x"), *del = client(STORE_DELETE, "3", ""), *get = client(STORE_GET, "", "");
  (void)state;
  cond->op.condition = "*";
  submit(set);
  run(20);
  submit(get);
  submit(again);
  run(20);
  submit(other);
  run(20);
  submit(cond);
  run(20);
  submit(del);
  run(20);
  assert_result(set, STORE_OK);
  assert_result(get, STORE_OK);
  assert_string_equal(get->text, "v");
  assert_string_equal(get->etag, set->etag);
  assert_result(again, STORE_OK);
  assert_string_equal(again->etag, set->etag);
  assert_result(other, STORE_REUSED);
  assert_result(cond, STORE_MISMATCH);
  assert_result(del, STORE_ABSENT);
}

static void who_acknowledged_is_not_told_while_its_replication_id_will_change(void **state) {
  struct client *before = client(STORE_SET, "1", "v"), *set = client(STORE_SET, "2", "v"), *after = client(STORE_SET, "3", "v");
  (void)state;
  submit(before);
  run(20);
  r.no_backlog = true;
  run(600); /* the primary is asked every 500 ms */
  submit(set);
  run(20);
  r.no_backlog = false;
  r.another = true;
  run(600);
  submit(after);
  run(20);
  assert_string_equal(before->primary, "a");
  assert_string_equal(set->primary, "none");
  assert_string_equal(after->primary, "c");
}

static void what_is_submitted_in_one_turn_leaves_in_one_command(void **state) {
  struct client *set = client(STORE_SET, "1", "v"), *cond = client(STORE_SET, "2", "w"), *again = client(STORE_SET, "1", "v");
  struct client *del = client(STORE_DELETE, "3", ""), *get = client(STORE_GET, "", ""), *absent = client(STORE_GET, "", "");
  (void)state;
  cond->op.condition = "*";
  absent->op.id = "t";
  submit(cond);
  submit(set);
  run(20);
  assert_int_equal(r.scripts, 1);
  assert_result(cond, STORE_MISMATCH);
  assert_result(set, STORE_OK);
  submit(absent);
  submit(get);
  run(20);
  assert_int_equal(r.reads, 1);
  assert_result(absent, STORE_ABSENT);
  assert_result(get, STORE_OK);
  assert_string_equal(get->etag, set->etag);
  submit(again);
  submit(del);
  run(20);
  assert_int_equal(r.scripts, 2);
  assert_result(again, STORE_OK);
  assert_string_equal(again->etag, set->etag);
  assert_result(del, STORE_ABSENT);
}

static void reads_that_may_find_more_than_a_reply_holds_leave_in_several_commands(void **state) {
  struct client *get[2] = {client(STORE_GET, "", ""), client(STORE_GET, "", "")};
  (void)state;
  config.body_max = RCONN_REPLY_MAX / 2;
  submit(get[0]);
  submit(get[1]);
  run(20);
  assert_result(get[0], STORE_ABSENT);
  assert_result(get[1], STORE_ABSENT);
  assert_int_equal(r.reads, 2);
}

static void a_batch_whose_answer_was_lost_is_sent_again_and_each_write_applied_once(void **state) {
  struct client *set = client(STORE_SET, "1", "v"), *cond = client(STORE_SET, "2", "w");
  (void)state;
  cond->op.condition = "*";
  r.hang_up = true;
  submit(set);
  submit(cond);
  run(290);
  assert_result(set, STORE_OK);
  assert_result(cond, STORE_MISMATCH);
  assert_int_equal(r.applied, 2);
  assert_int_equal(metrics.guarded, 2);
}

static void a_delete_deletes_also_with_a_value(void **state) {
  struct client *set = client(STORE_SET, "1", "v"), *del = client(STORE_DELETE, "2", "w"), *get = client(STORE_GET, "", "w");
  (void)state;
  submit(set);
  run(20);
  assert_result(set, STORE_OK);
  assert_true(r.value_len > 0);
  submit(del);
  run(20);
  assert_int_equal(del->done, 1);
  submit(get);
  run(20);
  assert_result(get, STORE_ABSENT);
}

/* refusals */

static void refused(const char *answer, unsigned times, enum store_result result, enum metrics_redis_error kind) {
  struct client *set = client(STORE_SET, "1", "v");
  r.refuses = answer;
  r.times = times;
  submit(set);
  run(290);
  assert_result(set, result);
  assert_int_equal(metrics.redis_errors[kind], times);
}

static void loading_is_waited_out(void **state) {
  (void)state;
  refused("-LOADING Redis is loading\r\n", 2, STORE_OK, REDIS_LOADING);
}

static void noreplicas_is_waited_out(void **state) {
  (void)state;
  refused("-NOREPLICAS Not enough good replicas to write.\r\n", 2, STORE_OK, REDIS_NOREPLICAS);
}

static void readonly_makes_it_look_for_the_primary(void **state) {
  uint64_t before = metrics.discoveries;
  (void)state;
  refused("-READONLY You can't write against a read only replica.\r\n", 1, STORE_OK, REDIS_READONLY);
  assert_int_equal(metrics.discoveries, before + 1);
}

static void noscript_loads_the_script_again(void **state) {
  (void)state;
  refused("-NOSCRIPT No matching script.\r\n", 1, STORE_OK, REDIS_NOSCRIPT);
  assert_int_equal(r.loaded, 2);
}

static void misconf_is_waited_out(void **state) {
  (void)state;
  refused("-MISCONF Errors writing to the AOF file: No space left on device\r\n", 2, STORE_OK, REDIS_MISCONF);
}

static void who_asks_hears_that_the_disk_is_the_reason(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.refuses = "-MISCONF Errors writing to the AOF file: No space left on device\r\n";
  r.times = 1;
  submit(set);
  run(10);
  assert_int_equal(set->done, 0);
  assert_string_equal(store_unready(store), "Redis cannot write to its disk");
  run(60);
  assert_result(set, STORE_OK);
  assert_null(store_unready(store));
}

static void oom_is_told_at_once(void **state) {
  (void)state;
  refused("-OOM command not allowed\r\n", 1, STORE_UNAVAILABLE, REDIS_OOM);
}

/* The script may have ended in the middle. */
static void after_any_other_error_the_outcome_is_unknown(void **state) {
  (void)state;
  refused("-ERR the script failed\r\n", 1, STORE_UNKNOWN, REDIS_OTHER);
}

static void every_request_of_a_batch_that_is_refused_is_answered(void **state) {
  struct client *c[4] = {client(STORE_SET, "1", "v"), client(STORE_SET, "2", "v"), client(STORE_GET, "", ""), client(STORE_GET, "", "")};
  (void)state;
  r.refuses = "-READONLY You can't write against a read only replica.\r\n";
  r.times = 1;
  submit(c[0]);
  submit(c[1]);
  run(290);
  assert_result(c[0], STORE_OK);
  assert_result(c[1], STORE_OK);
  assert_int_equal(metrics.resent, 2);
  r.refuses = "-ERR no\r\n";
  r.times = 1;
  submit(c[2]);
  submit(c[3]);
  run(20);
  assert_result(c[2], STORE_UNAVAILABLE);
  assert_result(c[3], STORE_UNAVAILABLE);
}

static void a_primary_that_refuses_for_ever_is_not_stormed(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.refuses = "-READONLY You can't write against a read only replica.\r\n";
  r.times = 1000;
  r.connections = 0;
  submit(set);
  run(1000);
  assert_result(set, STORE_UNAVAILABLE);
  assert_true(r.connections <= 10);
}

/* durability */

static void a_write_is_acknowledged_when_all_that_count_have_it(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.acked[1] = 1000;
  submit(set);
  run(100);
  assert_int_equal(r.applied, 1);
  assert_int_equal(set->done, 0);
  r.acked[1] = 1100;
  run(50);
  assert_result(set, STORE_OK);
  assert_string_equal(set->primary, "a");
  assert_true(metrics.wait_short > 0);
  assert_int_equal(metrics.acked[CONFIG_REPLICATED], 1);
}

static void one_that_counts_is_not_replaced_by_another(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.acked[0] = 1000;
  submit(set);
  run(450);
  assert_result(set, STORE_UNKNOWN);
}

static void without_replicas_writes_are_held_and_not_sent(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.linked = 0;
  run(700);
  assert_false(store_unready(store) == NULL);
  submit(set);
  run(400);
  assert_result(set, STORE_UNAVAILABLE);
  assert_int_equal(r.applied, 0);
}

/* Who counts may change meanwhile, and a long WAIT would not hear of it. */
static void with_fewer_replicas_linked_than_count_it_asks_again_soon(void **state) {
  struct client *set = client(STORE_SET, "1", "v"), *again = client(STORE_SET, "2", "v");
  (void)state;
  submit(set);
  run(50);
  assert_result(set, STORE_OK);
  assert_int_equal(r.wait_ms, config.wait_ms);
  r.linked = 1;
  run(700);
  r.wait_ms = 0;
  submit(again);
  run(50);
  assert_int_equal(again->done, 0);
  assert_in_range(r.wait_ms, 1, config.wait_ms - 1);
}

static void fsynced_waits_for_the_disks(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.fsynced = false;
  submit(set);
  run(100);
  assert_int_equal(set->done, 0);
  r.fsynced = true;
  run(50);
  assert_result(set, STORE_OK);
  assert_int_equal(metrics.acked[CONFIG_FSYNCED], 1);
}

static void at_the_end_a_write_without_its_replicas_is_unknown(void **state) {
  struct client *set = client(STORE_SET, "1", "v");
  (void)state;
  r.acked[1] = 1000;
  submit(set);
  run(50);
  store_stop(store);
  assert_result(set, STORE_UNKNOWN);
}

/* the script */

static redisContext *redis;
static pid_t server;

static int start_redis(void **state) {
  (void)state;
  server = fork();
  if (server == 0) {
    freopen("/dev/null", "w", stdout);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", "/tmp/test-store.sock", "--save", "", "--dir", "/tmp", (char *)NULL);
    _exit(127);
  }
  for (int i = 0; i < 100 && (redis == NULL || redis->err != 0); i++) {
    if (redis != NULL) redisFree(redis);
    usleep(20000);
    redis = redisConnectUnix("/tmp/test-store.sock");
  }
  if (redis != NULL && redis->err != 0) {
    redisFree(redis);
    redis = NULL;
  }
  return 0;
}

static int stop_redis(void **state) {
  (void)state;
  if (redis != NULL) redisFree(redis);
  redis = NULL;
  kill(server, SIGTERM);
  return waitpid(server, NULL, 0) == server ? 0 : -1;
}

#define TAG(n) "etag00000000000" n "fingerprint"

/* One write to session:s. `want` is NULL when it is to be applied. */
static void script(const char *request, const char *tag, const char *condition, const char *stored, const char *want) {
  redisReply *reply = redisCommand(redis, "EVAL %s 4 this last turn session:s 60 600 s:%s +%s%s %s", guard_script, request, tag, condition, stored);
  assert_non_null(reply);
  assert_int_equal(reply->type, want == NULL ? REDIS_REPLY_NIL : REDIS_REPLY_ARRAY);
  if (want != NULL) {
    assert_int_equal(reply->elements, 1);
    assert_string_equal(reply->element[0]->str, want);
  }
  freeReplyObject(reply);
}

static void assert_string(const char *command, const char *want) {
  redisReply *value = redisCommand(redis, command);
  assert_non_null(value);
  assert_string_equal(value->str, want);
  freeReplyObject(value);
}

static void assert_number(const char *command, long long least, long long most) {
  redisReply *value = redisCommand(redis, command);
  assert_non_null(value);
  assert_in_range(value->integer, least, most);
  freeReplyObject(value);
}

static void the_script_applies_a_write_once_and_keeps_its_condition(void **state) {
  (void)state;
  if (redis == NULL) {
    print_message("no redis-server\n");
    skip();
  }
  script("1", TAG("1"), "*", "etag000000000001v", "!" TAG("1"));
  script("2", TAG("2"), "-", "etag000000000002v", NULL);
  script("2", TAG("3"), "-", "etag000000000003w", "=+" TAG("2"));
  script("1", TAG("1"), "*", "etag000000000001v", "=!" TAG("1"));
  script("4", TAG("4"), "-", "etag000000000004v", "!" TAG("4"));
  script("5", TAG("5"), "etag000000000004", "etag000000000005v", "!" TAG("5"));
  script("6", TAG("6"), "etag000000000002", "etag000000000006v", NULL);
  script("2", TAG("2"), "", "etag000000000002v", "=+" TAG("2")); /* late, and does not overwrite */
  assert_string("GET session:s", "etag000000000006v");
  assert_number("TTL session:s", 590, 600);
  script("7", TAG("7"), "*", "", NULL);
  script("8", TAG("8"), "", "", "0" TAG("8"));
  script("7", TAG("7"), "*", "", "=+" TAG("7"));
  script("8", TAG("8"), "", "", "=0" TAG("8"));
}

static void a_request_is_remembered_for_a_turn_at_least_and_two_at_most(void **state) {
  (void)state;
  if (redis == NULL) skip();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  script("10", TAG("a"), "", "etag00000000000av", NULL);
  assert_number("TTL turn", 50, 60);
  assert_number("TTL this", 110, 120);
  freeReplyObject(redisCommand(redis, "DEL turn"));
  script("11", TAG("b"), "", "etag00000000000bv", NULL);
  assert_number("TTL last", 50, 60);
  assert_number("TTL this", 110, 120);
  script("10", TAG("a"), "", "etag00000000000av", "=+" TAG("a")); /* and is a record of this turn now */
  assert_number("HLEN this", 2, 2);
  freeReplyObject(redisCommand(redis, "DEL turn"));
  script("10", TAG("a"), "", "etag00000000000av", "=+" TAG("a"));
  freeReplyObject(redisCommand(redis, "DEL turn"));
  script("11", TAG("b"), "", "etag00000000000bv", NULL);
  assert_number("HLEN this", 1, 1);
  assert_number("HLEN last", 1, 1);
}

/* A WAIT waits for the connection's last write. */
static void a_request_that_was_seen_is_written_again(void **state) {
  redisReply *before, *after;
  (void)state;
  if (redis == NULL) skip();
  script("12", TAG("c"), "", "etag00000000000cv", NULL);
  before = redisCommand(redis, "INFO persistence");
  script("12", TAG("c"), "", "etag00000000000cv", "=+" TAG("c"));
  after = redisCommand(redis, "INFO persistence");
  assert_non_null(before);
  assert_non_null(after);
  assert_int_equal(atoi(strstr(after->str, "rdb_changes_since_last_save:") + 28), atoi(strstr(before->str, "rdb_changes_since_last_save:") + 28) + 1);
  freeReplyObject(before);
  freeReplyObject(after);
}

/* What holds no session has no version, and does not end the batch. */
static void the_writes_of_a_batch_do_not_meet(void **state) {
  (void)state;
  if (redis == NULL) skip();
  freeReplyObject(redisCommand(redis, "RPUSH session:list x"));
  redisReply *reply = redisCommand(redis, "EVAL %s 7 this last turn session:a session:list session:a session:b 60 600 a:1 list:1 a:1 b:1 "
                                          "+%s +%s%s +%s +%s- va vl va vb", guard_script, TAG("1"), TAG("2"), "etag000000000000", TAG("3"), TAG("4"));
  assert_non_null(reply);
  assert_int_equal(reply->elements, 4);
  assert_int_equal(reply->element[0]->type, REDIS_REPLY_NIL);
  assert_string_equal(reply->element[1]->str, "!" TAG("2"));
  assert_string_equal(reply->element[2]->str, "=+" TAG("1"));
  assert_int_equal(reply->element[3]->type, REDIS_REPLY_NIL);
  freeReplyObject(reply);
  assert_string("GET session:a", "va");
  assert_string("GET session:b", "vb");
}

/* More than a call's arguments that Redis keeps, and every record is there. */
static void a_large_batch_is_recorded_whole(void **state) {
  enum { WRITES = 100 };
  const char *argv[3 + 3 + WRITES + 2 + 3 * WRITES] = {"EVAL", guard_script, "103", "this", "last", "turn"}, **end = argv + 6;
  char session[WRITES][24], request[WRITES][16];
  (void)state;
  if (redis == NULL) skip();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  for (int i = 0; i < WRITES; i++) {
    snprintf(session[i], sizeof session[i], "session:%d", i);
    snprintf(request[i], sizeof request[i], "%d:1", i);
    *end++ = session[i];
  }
  *end++ = "60";
  *end++ = "600";
  for (int i = 0; i < WRITES; i++) *end++ = request[i];
  for (int i = 0; i < WRITES; i++) *end++ = "+" TAG("1");
  for (int i = 0; i < WRITES; i++) *end++ = "v";
  redisReply *reply = redisCommandArgv(redis, (int)(end - argv), argv, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_NIL);
  freeReplyObject(reply);
  assert_number("HLEN this", WRITES, WRITES);
  assert_string("HGET this 99:1", "+" TAG("1"));
  assert_string("GET session:99", "v");
}

static void records_that_are_no_hash_end_the_batch_before_its_first_write(void **state) {
  (void)state;
  if (redis == NULL) skip();
  freeReplyObject(redisCommand(redis, "DEL this"));
  freeReplyObject(redisCommand(redis, "RPUSH this x"));
  redisReply *reply = redisCommand(redis, "EVAL %s 4 this last turn session:c 60 600 c:1 +%s vc", guard_script, TAG("1"));
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_ERROR);
  freeReplyObject(reply);
  assert_number("EXISTS session:c", 0, 0);
  freeReplyObject(redisCommand(redis, "DEL this"));
}

static void a_script_that_redis_refuses_has_written_nothing(void **state) {
  redisReply *reply;
  (void)state;
  if (redis == NULL) skip();
  freeReplyObject(redisCommand(redis, "FLUSHALL"));
  freeReplyObject(redisCommand(redis, "CONFIG SET min-replicas-to-write 1"));
  reply = redisCommand(redis, "EVAL %s 4 this last turn session:n 60 600 n:1 +%s v", guard_script, TAG("1"));
  assert_non_null(reply);
  assert_int_equal(strncmp(reply->str, "NOREPLICAS", 10), 0);
  freeReplyObject(reply);
  freeReplyObject(redisCommand(redis, "CONFIG SET min-replicas-to-write 0"));
  reply = redisCommand(redis, "EXISTS session:n this");
  assert_non_null(reply);
  assert_int_equal(reply->integer, 0);
  freeReplyObject(reply);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON(nobody_named, a_request_is_held_until_there_is_a_primary),
      ON(nobody_named, at_its_deadline_it_is_given_up_as_not_applied),
      ON(nobody_named, what_it_has_waited_elsewhere_is_taken_off_the_time_for_which_it_is_held),
      ON(nobody_named, a_request_that_is_named_makes_the_same_version_wherever_it_is_sent),
      ON(nobody_named, a_full_queue_refuses_at_once),
      ON(nobody_named, what_is_withdrawn_is_never_called_back),
      ON(nobody_named, at_the_end_every_request_is_answered),
      ON(nobody_named, requests_survive_a_reload),
      ON(started_async, a_write_whose_answer_was_lost_is_sent_again_and_applied_once),
      ON(started_async, without_a_primary_to_ask_again_its_outcome_is_unknown),
      ON(started_async, outcomes_are_those_of_the_script),
      ON(started_async, who_acknowledged_is_not_told_while_its_replication_id_will_change),
      ON(started_async, what_is_submitted_in_one_turn_leaves_in_one_command),
      ON(started_async, reads_that_may_find_more_than_a_reply_holds_leave_in_several_commands),
      ON(started_async, a_batch_whose_answer_was_lost_is_sent_again_and_each_write_applied_once),
      ON(started_async, a_delete_deletes_also_with_a_value),
      ON(started_async, loading_is_waited_out),
      ON(started_async, noreplicas_is_waited_out),
      ON(started_async, readonly_makes_it_look_for_the_primary),
      ON(started_async, noscript_loads_the_script_again),
      ON(started_async, misconf_is_waited_out),
      ON(started_async, who_asks_hears_that_the_disk_is_the_reason),
      ON(started_async, oom_is_told_at_once),
      ON(started_async, after_any_other_error_the_outcome_is_unknown),
      ON(started_async, every_request_of_a_batch_that_is_refused_is_answered),
      ON(started_async, a_primary_that_refuses_for_ever_is_not_stormed),
      ON(started_replicated, a_write_is_acknowledged_when_all_that_count_have_it),
      ON(started_replicated, one_that_counts_is_not_replaced_by_another),
      ON(started_replicated, without_replicas_writes_are_held_and_not_sent),
      ON(started_replicated, with_fewer_replicas_linked_than_count_it_asks_again_soon),
      ON(started_fsynced, fsynced_waits_for_the_disks),
      ON(started_replicated, at_the_end_a_write_without_its_replicas_is_unknown),
  };
  const struct CMUnitTest scripts[] = {
      cmocka_unit_test(the_script_applies_a_write_once_and_keeps_its_condition),
      cmocka_unit_test(a_request_is_remembered_for_a_turn_at_least_and_two_at_most),
      cmocka_unit_test(a_request_that_was_seen_is_written_again),
      cmocka_unit_test(the_writes_of_a_batch_do_not_meet),
      cmocka_unit_test(a_large_batch_is_recorded_whole),
      cmocka_unit_test(records_that_are_no_hash_end_the_batch_before_its_first_write),
      cmocka_unit_test(a_script_that_redis_refuses_has_written_nothing),
  };
  signal(SIGPIPE, SIG_IGN);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed + cmocka_run_group_tests(scripts, start_redis, stop_redis);
}
