/* Whom the service tells to follow a promoted primary: against one Sentinel and three Redis in the same loop, at 127.0.0.1 to 3, that
 * say what the test tells them to. */
#include "check.h"
#include "sentinel.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 3

struct peer {
  uv_tcp_t tcp;
  redisReader *reader;
  unsigned at; /* which of the three it is connected to */
  struct peer *next;
};

static struct {
  uv_loop_t loop;
  uv_tcp_t listener;
  unsigned port;
  struct peer *subscriber, *peers; /* `peers` is the first of all */
  struct node {
    bool gone, mute, primary, cut_off;
    bool frozen; /* what it is asked it answers later */
    const char *replid, *replid2;
    bool lags;         /* it confirms nothing more */
    unsigned priority; /* as it was told last */
    unsigned asked;  /* times that it was asked for its role */
    unsigned led;    /* times that it was told whom to follow */
    char leader[64]; /* by the last of them */
  } nodes[NODES];
  unsigned silent_ms;      /* the third, to the Sentinel */
  unsigned sentinel_asked; /* times that it was asked for the replicas */
  unsigned info_ms;        /* how often it asks for INFO, as it was told */
  long long offset;
  bool writes, nameless; /* nameless: the Sentinel does not describe the primary, and lists its replicas */
  struct addr sentinel_addr, primary; /* the one announced last */
} r;

static struct sentinel *sentinel;

/* the servers */

static void on_gone(uv_handle_t *h) {
  struct peer *p = h->data, **at = &r.peers;
  if (r.subscriber == p) r.subscriber = NULL;
  while (*at != p) at = &(*at)->next;
  *at = p->next;
  redisReaderFree(p->reader);
  free(p);
}

static void hang_up(struct peer *p) {
  if (!uv_is_closing((uv_handle_t *)&p->tcp)) uv_close((uv_handle_t *)&p->tcp, on_gone);
}

static void say(struct peer *p, const char *text) {
  uv_buf_t b = uv_buf_init((char *)text, (unsigned)strlen(text));
  if (!uv_is_closing((uv_handle_t *)&p->tcp) && uv_try_write((uv_stream_t *)&p->tcp, &b, 1) < 0) hang_up(p);
}

static void say_sentinel(struct peer *p, const redisReply *c) {
  char text[512];
  const char *what = c->element[1]->str;
  if (strcmp(what, "MASTER") == 0) {
    say(p, r.nameless ? "-ERR No such master with that name\r\n" : "%3\r\n+config-epoch\r\n+1\r\n+last-ping-sent\r\n+0\r\n+last-ok-ping-reply\r\n+5\r\n");
  } else if (strcmp(what, "REPLICAS") == 0) {
    r.sentinel_asked++;
    snprintf(text, sizeof text,
             "*2\r\n%%2\r\n+ip\r\n+127.0.0.2\r\n+port\r\n+%u\r\n%%4\r\n+ip\r\n+127.0.0.3\r\n+port\r\n+%u\r\n+last-ping-sent\r\n+%u\r\n+flags\r\n+slave%s\r\n",
             r.port, r.port, r.silent_ms, r.silent_ms > 1000 ? ",s_down" : "");
    say(p, text);
  } else if (strcmp(what, "DEBUG") == 0) {
    assert_string_equal(c->element[2]->str, "info-period");
    r.info_ms = (unsigned)strtoul(c->element[3]->str, NULL, 10);
    say(p, "+OK\r\n");
  } else {
    snprintf(text, sizeof text, "*2\r\n+127.0.0.1\r\n+%u\r\n", r.port);
    say(p, text);
  }
}

/* The role of a primary, whom all follow that say that they are replicas. */
static void say_primary(struct peer *p) {
  char text[256], port[8];
  size_t linked = 0, at;
  for (size_t i = 0; i < NODES; i++) linked += !r.nodes[i].primary && !r.nodes[i].cut_off;
  snprintf(port, sizeof port, "%u", r.port);
  r.offset += r.writes;
  at = (size_t)snprintf(text, sizeof text, "*3\r\n+master\r\n:%lld\r\n*%zu\r\n", r.offset, linked);
  for (size_t i = 0; i < NODES; i++) {
    if (r.nodes[i].primary || r.nodes[i].cut_off) continue;
    at += (size_t)snprintf(text + at, sizeof text - at, "*3\r\n+127.0.0.%zu\r\n+%s\r\n+%lld\r\n", i + 1, port, r.nodes[i].lags ? 0 : r.offset);
  }
  say(p, text);
}

static void say_node(struct peer *p, const redisReply *c) {
  struct node *n = &r.nodes[p->at];
  const char *name = c->element[0]->str;
  char info[128], text[256];
  if (n->gone) {
    hang_up(p);
  } else if (strcmp(name, "REPLICAOF") == 0) {
    assert_int_equal(c->elements, 3);
    n->led++;
    snprintf(n->leader, sizeof n->leader, "%s:%s", c->element[1]->str, c->element[2]->str);
    say(p, "+OK\r\n");
  } else if (n->mute) {
    return;
  } else if (strcmp(name, "INFO") == 0) {
    snprintf(info, sizeof info, "slave_priority:%u\r\nmaster_replid:%s\r\nmaster_replid2:%s\r\n", n->priority, n->replid, n->replid2);
    snprintf(text, sizeof text, "$%zu\r\n%s\r\n", strlen(info), info);
    say(p, text);
  } else if (strcmp(name, "CONFIG") == 0) {
    assert_string_equal(c->element[2]->str, "replica-priority");
    n->priority = (unsigned)strtoul(c->element[3]->str, NULL, 10);
    say(p, "+OK\r\n");
  } else if (strcmp(name, "ROLE") == 0) {
    n->asked++;
    if (n->primary) say_primary(p);
    else say(p, "*5\r\n+slave\r\n+127.0.0.1\r\n:1\r\n+connected\r\n:1\r\n");
  } else {
    fail_msg("nobody expects %s", name);
  }
}

static void serve(struct peer *p, const redisReply *c) {
  const char *name = c->element[0]->str;
  if (strcmp(name, "HELLO") == 0) {
    say(p, "%0\r\n");
  } else if (strcmp(name, "SUBSCRIBE") == 0) {
    r.subscriber = p;
    say(p, ">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
  } else if (strcmp(name, "SENTINEL") == 0) {
    say_sentinel(p, c);
  } else {
    say_node(p, c);
  }
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b) {
  static char area[65536];
  (void)h;
  (void)n;
  *b = uv_buf_init(area, sizeof area);
}

static void serve_all(struct peer *p) {
  while (!r.nodes[p->at].frozen && !uv_is_closing((uv_handle_t *)&p->tcp)) {
    void *c = NULL;
    assert_int_equal(redisReaderGetReply(p->reader, &c), REDIS_OK);
    if (c == NULL) return;
    serve(p, c);
    freeReplyObject(c);
  }
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  struct peer *p = s->data;
  if (n < 0) {
    hang_up(p);
    return;
  }
  assert_int_equal(redisReaderFeed(p->reader, b->base, (size_t)n), REDIS_OK);
  serve_all(p);
}

static void on_connection(uv_stream_t *s, int status) {
  struct peer *p = calloc(1, sizeof *p);
  struct sockaddr_in at;
  int len = sizeof at;
  assert_int_equal(status, 0);
  assert_non_null(p);
  p->reader = redisReaderCreate();
  p->tcp.data = p;
  p->next = r.peers;
  r.peers = p;
  assert_int_equal(uv_tcp_init(&r.loop, &p->tcp), 0);
  assert_int_equal(uv_accept(s, (uv_stream_t *)&p->tcp), 0);
  assert_int_equal(uv_tcp_nodelay(&p->tcp, 1), 0);
  assert_int_equal(uv_tcp_getsockname(&p->tcp, (struct sockaddr *)&at, &len), 0);
  p->at = (ntohl(at.sin_addr.s_addr) & 0xff) - 1;
  assert_true(p->at < NODES);
  assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read), 0);
}

/* the tests' steps */

static void on_primary(void *owner, const struct addr *addr) {
  (void)owner;
  r.primary = addr != NULL ? *addr : (struct addr){0};
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

/* Until it is announced, 3 s at most; and a little longer, for what follows from it. */
static void run_to_primary(const char *ip) {
  for (int i = 0; i < 60 && strcmp(r.primary.ip, ip) != 0; i++) run(50);
  assert_string_equal(r.primary.ip, ip);
  run(100);
}

static void announce(const char *channel) {
  char text[256], message[64];
  assert_non_null(r.subscriber);
  snprintf(message, sizeof message, "master m 127.0.0.1 %u", r.port);
  snprintf(text, sizeof text, ">3\r\n+message\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel), channel, strlen(message), message);
  say(r.subscriber, text);
  run(50);
}

static void promote_the_second(void) {
  r.nodes[1].primary = true;
  r.nodes[1].replid = "b";
  r.nodes[1].replid2 = "a";
}

/* The first is gone, its user says so, and the second is promoted in its place. */
static void fail_over(void) {
  r.nodes[0].gone = true;
  run(10); /* what it has answered arrives before the doubt */
  sentinel_suspect(sentinel, "it is gone");
  run(100);
  assert_string_equal(r.primary.ip, "127.0.0.1"); /* nobody else before the promotion */
  promote_the_second();
  run_to_primary("127.0.0.2");
  assert_int_equal(r.nodes[0].led + r.nodes[1].led, 0);
}

static void start(unsigned replica_priority) {
  struct sockaddr_in at;
  int len = sizeof at;
  memset(&r, 0, sizeof r);
  for (size_t i = 0; i < NODES; i++) r.nodes[i] = (struct node){.primary = i == 0, .replid = "a", .replid2 = "", .priority = 100};
  r.offset = 1;
  assert_int_equal(uv_loop_init(&r.loop), 0);
  assert_int_equal(uv_tcp_init(&r.loop, &r.listener), 0);
  assert_int_equal(uv_ip4_addr("0.0.0.0", 0, &at), 0);
  assert_int_equal(uv_tcp_bind(&r.listener, (struct sockaddr *)&at, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *)&r.listener, 16, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&r.listener, (struct sockaddr *)&at, &len), 0);
  r.port = ntohs(at.sin_port);
  r.sentinel_addr = (struct addr){"127.0.0.1", (uint16_t)r.port};
  struct sentinel_options o = {.addrs = &r.sentinel_addr, .count = 1, .master_name = "m", .sentinel_password = "", .least = 1,
                               .redis = {.user = "", .password = "", .timeout_ms = 5000, .ping_ms = 5000, .dead_ms = 5000},
                               .replica_priority = replica_priority, .exclude_after_ms = 300};
  sentinel = sentinel_new(&r.loop, &o, on_primary, NULL);
  assert_non_null(sentinel);
}

static int started(void **state) {
  (void)state;
  start(100);
  return 0;
}

static int started_without_priorities(void **state) {
  (void)state;
  start(0);
  return 0;
}

static int stop(void **state) {
  (void)state;
  sentinel_close(sentinel);
  uv_close((uv_handle_t *)&r.listener, NULL);
  uv_run(&r.loop, UV_RUN_DEFAULT); /* the servers' connections end when the sentinel's do */
  return uv_loop_close(&r.loop);
}

static void of_a_loss_that_a_sentinel_announced_the_other_replica_is_led_once(void **state) {
  char leader[64];
  (void)state;
  run_to_primary("127.0.0.1");
  announce("+odown");
  fail_over();
  snprintf(leader, sizeof leader, "127.0.0.2:%u", r.port);
  assert_string_equal(r.nodes[2].leader, leader);
  run(200);
  assert_int_equal(r.nodes[2].led, 1);
}

/* The replicas are not asked all the time before it; and the promoted one answers first. */
static void of_a_planned_promotion_the_other_replica_is_led_too(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  run(700);
  promote_the_second();
  announce("+failover-state-send-slaveof-noone");
  run_to_primary("127.0.0.2");
  assert_int_equal(r.nodes[0].led + r.nodes[1].led, 0);
  assert_int_equal(r.nodes[2].led, 1);
}

static void what_no_sentinel_announced_is_followed_and_nobody_led(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  announce("+sdown"); /* one Sentinel's view only */
  fail_over();
  assert_int_equal(r.nodes[2].led, 0);
}

static void a_replica_of_another_lineage_is_not_led(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  r.nodes[2].replid = "x";
  announce("+odown");
  fail_over();
  assert_int_equal(r.nodes[2].led, 0);
}

static void one_that_was_not_heard_of_lately_is_not_led(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  r.nodes[2].mute = true;
  run(1600);
  announce("+odown");
  fail_over();
  assert_int_equal(r.nodes[2].led, 0);
}

static void without_priorities_of_ours_nobody_is_led(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  announce("+odown");
  fail_over();
  assert_int_equal(r.nodes[2].led, 0);
}

/* The one that was replaced says late that it is about to stop, and is not to be waited for then. */
static void replicas_are_asked_closely_for_a_while_after_an_announcement_and_then_once_a_second(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  r.nodes[2].asked = 0;
  run(1000);
  assert_in_range(r.nodes[2].asked, 5, 12);
  run(2500);
  r.nodes[2].asked = 0;
  run(2000);
  assert_in_range(r.nodes[2].asked, 1, 3);
}

/* What it said before it fell away is worth nothing, so writes would wait for it until it is asked again. */
static void one_that_fell_away_is_asked_closely(void **state) {
  (void)state;
  run_to_primary("127.0.0.1");
  run(3500);
  r.nodes[2].cut_off = true;
  run(700); /* until the primary was asked */
  r.nodes[2].asked = 0;
  run(1000);
  assert_in_range(r.nodes[2].asked, 5, 12);
  assert_int_equal(r.nodes[2].led, 0);
}

/* The third falls silent while writes wait for it. */
static void fall_silent(void) {
  run_to_primary("127.0.0.1");
  r.writes = true;
  run(600);
  sentinel_press(sentinel, true);
  r.nodes[2].frozen = r.nodes[2].lags = true;
  run(150);
  assert_int_equal(sentinel_required(sentinel), 2);
}

/* It answers everything at once, and is far behind. */
static void come_back(void) {
  r.nodes[2].frozen = false;
  for (struct peer *p = r.peers; p != NULL; p = p->next) serve_all(p);
}

static void one_that_is_silent_to_the_sentinel_does_not_count_and_the_sentinel_is_asked_closely_meanwhile(void **state) {
  (void)state;
  fall_silent();
  r.sentinel_asked = 0;
  run(500); /* it holds writes up */
  assert_in_range(r.sentinel_asked, 11, 21); /* a tick is 25 ms */
  assert_int_equal(sentinel_required(sentinel), 2);
  r.silent_ms = 150;
  run(50);
  assert_int_equal(sentinel_required(sentinel), 1);
  sentinel_press(sentinel, false);
  r.sentinel_asked = 0;
  run(500); /* the view has to be fresh */
  assert_in_range(r.sentinel_asked, 5, 11);
  assert_int_equal(sentinel_required(sentinel), 1);
  r.silent_ms = 1001; /* it is down */
  run(100);
  r.sentinel_asked = 0;
  run(1000);
  assert_in_range(r.sentinel_asked, 1, 2);
  assert_int_equal(sentinel_required(sentinel), 1);
}

static void a_silence_is_compared_with_what_was_said_of_the_primary_in_the_same_answer(void **state) {
  (void)state;
  fall_silent();
  r.nameless = true;
  run(100);
  r.silent_ms = 150;
  run(100);
  assert_int_equal(sentinel_required(sentinel), 2);
  r.nameless = false;
  run(100);
  assert_int_equal(sentinel_required(sentinel), 1);
}

static void the_sentinel_asks_for_its_priority_often_while_it_is_away_and_at_once_when_it_is_back(void **state) {
  (void)state;
  fall_silent();
  assert_int_equal(r.info_ms, 10000);
  r.silent_ms = 150;
  run(100);
  assert_int_equal(r.info_ms, 1000);
  r.silent_ms = 0;
  come_back();
  run(100);
  assert_int_equal(r.info_ms, 100);
  r.nodes[2].lags = false;
  run(100);
  assert_int_equal(r.info_ms, 10000);
}

static void one_that_is_back_and_far_behind_is_taken_out_at_once_and_let_in_when_it_keeps_up(void **state) {
  (void)state;
  fall_silent();
  r.silent_ms = 150;
  run(100);
  sentinel_press(sentinel, false); /* nothing waits for it */
  r.silent_ms = 1001;
  run(1000);
  assert_int_equal(r.nodes[2].priority, 100);
  come_back();
  run(50);
  assert_int_equal(r.nodes[2].priority, 0);
  assert_int_equal(r.nodes[1].priority, 100);
  r.nodes[2].lags = false;
  r.silent_ms = 0;
  run(3300);
  assert_int_equal(r.nodes[2].priority, 100);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON(started, of_a_loss_that_a_sentinel_announced_the_other_replica_is_led_once),
      ON(started, of_a_planned_promotion_the_other_replica_is_led_too),
      ON(started, what_no_sentinel_announced_is_followed_and_nobody_led),
      ON(started, a_replica_of_another_lineage_is_not_led),
      ON(started, one_that_was_not_heard_of_lately_is_not_led),
      ON(started, replicas_are_asked_closely_for_a_while_after_an_announcement_and_then_once_a_second),
      ON(started, one_that_fell_away_is_asked_closely),
      ON(started, one_that_is_silent_to_the_sentinel_does_not_count_and_the_sentinel_is_asked_closely_meanwhile),
      ON(started, a_silence_is_compared_with_what_was_said_of_the_primary_in_the_same_answer),
      ON(started, the_sentinel_asks_for_its_priority_often_while_it_is_away_and_at_once_when_it_is_back),
      ON(started, one_that_is_back_and_far_behind_is_taken_out_at_once_and_let_in_when_it_keeps_up),
      ON(started_without_priorities, without_priorities_of_ours_nobody_is_led),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
