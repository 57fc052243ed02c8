#define _GNU_SOURCE /* memmem */
/* Against a server in the same loop that answers what the test tells it to. */
#include "check.h"
#include "rconn.h"

#include <hiredis/alloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
  uv_loop_t loop;
  uv_tcp_t listener, peer;
  struct rconn *conn;
  bool mute;           /* the server answers nothing after the greeting */
  bool hang_up;        /* it closes when a command arrives */
  unsigned greeted, ready, lost, answered, unanswered, unsent, pings, requests;
  char why[128];
  char in[8192]; /* what the server got */
  size_t have;
} t;

/* What the server answers; NULL: OK. */
static struct {
  char *text;
  size_t len;
  unsigned times;
} answer;

static void on_written(uv_write_t *req, int status) {
  (void)status;
  free(req);
}

static void say(const char *text, size_t len) {
  uv_write_t *req = malloc(sizeof *req);
  uv_buf_t b = uv_buf_init((char *)text, (unsigned)len);
  assert_non_null(req);
  assert_int_equal(uv_write(req, (uv_stream_t *)&t.peer, &b, 1, on_written), 0);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b) {
  static char area[4096];
  (void)h;
  (void)n;
  *b = uv_buf_init(area, sizeof area);
}

static void peer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  (void)s;
  if (n <= 0) {
    if (n < 0 && !uv_is_closing((uv_handle_t *)&t.peer)) uv_close((uv_handle_t *)&t.peer, NULL);
    return;
  }
  assert_true(t.have + (size_t)n < sizeof t.in);
  memcpy(t.in + t.have, b->base, (size_t)n);
  t.have += (size_t)n;
  if (memmem(b->base, (size_t)n, "HELLO", 5) != NULL) {
    t.greeted++;
    say("%0\r\n", 4);
    return;
  }
  t.requests++;
  if (memmem(b->base, (size_t)n, "PING", 4) != NULL) t.pings++;
  if (t.hang_up) {
    uv_close((uv_handle_t *)&t.peer, NULL);
  } else if (!t.mute && answer.text == NULL) {
    say("+OK\r\n", 5);
  } else {
    for (unsigned i = 0; i < answer.times; i++) say(answer.text, answer.len);
  }
}

static void on_connection(uv_stream_t *s, int status) {
  assert_int_equal(status, 0);
  assert_int_equal(uv_tcp_init(&t.loop, &t.peer), 0);
  assert_int_equal(uv_accept(s, (uv_stream_t *)&t.peer), 0);
  assert_int_equal(uv_read_start((uv_stream_t *)&t.peer, on_alloc, peer_read), 0);
}

static void on_reply(void *owner, const struct rconn_answer *a) {
  (void)owner;
  if (answer.text != NULL) uv_stop(&t.loop);
  if (a->reply != NULL) {
    t.answered++;
  } else if (a->sent) {
    t.unanswered++;
  } else {
    t.unsent++;
  }
}

static void command(struct rconn *c, unsigned blocks_ms) { assert_true(rconn_ask(c, on_reply, NULL, blocks_ms, "GET", "x", NULL)); }

static void on_ready(void *owner, struct rconn *c) {
  void (**script)(struct rconn *) = owner;
  t.ready++;
  (*script)(c);
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  (void)owner;
  assert_ptr_equal(c, t.conn);
  t.lost++;
  t.conn = NULL;
  snprintf(t.why, sizeof t.why, "%s", why);
}

static void on_end(uv_timer_t *timer) { uv_stop(timer->loop); }

/* Connects, runs the script when the connection is ready, and the loop for `ms`. */
static void run(void (*script)(struct rconn *), bool mute, bool hang_up, unsigned ms) {
  static const struct rconn_events events = {.ready = on_ready, .lost = on_lost};
  struct sockaddr_in at;
  int len = sizeof at;
  uv_timer_t end;
  memset(&t, 0, sizeof t);
  t.mute = mute;
  t.hang_up = hang_up;
  assert_int_equal(uv_loop_init(&t.loop), 0);
  assert_int_equal(uv_tcp_init(&t.loop, &t.listener), 0);
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
  assert_int_equal(uv_tcp_bind(&t.listener, (struct sockaddr *)&at, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *)&t.listener, 4, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&t.listener, (struct sockaddr *)&at, &len), 0);
  struct rconn_options o = {.addr = {.ip = "127.0.0.1", .port = ntohs(at.sin_port)}, .user = "", .password = "",
                            .timeout_ms = 200, .ping_ms = 50, .dead_ms = 120};
  t.conn = rconn_open(&t.loop, &o, &events, &script);
  assert_non_null(t.conn);
  uv_timer_init(&t.loop, &end);
  uv_timer_start(&end, on_end, ms, 0);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  if (t.conn != NULL) rconn_close(t.conn);
  uv_close((uv_handle_t *)&end, NULL);
  uv_close((uv_handle_t *)&t.listener, NULL);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&t.loop), 0);
}

static void ask(struct rconn *c) {
  command(c, 0);
  rconn_flush(c);
}

static void ask_without_flush(struct rconn *c) {
  command(c, 0);
  rconn_close(c);
  t.conn = NULL;
}

static void ask_blocking(struct rconn *c) {
  command(c, 200);
  rconn_flush(c);
}

static void nothing(struct rconn *c) { (void)c; }

static void a_command_is_answered_once(void **state) {
  (void)state;
  run(ask, false, false, 500);
  assert_int_equal(t.ready, 1);
  assert_int_equal(t.answered, 1);
  assert_int_equal(t.unanswered + t.unsent + t.lost, 0);
}

static void an_idle_connection_is_pinged_and_stays(void **state) {
  (void)state;
  run(nothing, false, false, 400);
  assert_true(t.pings >= 3);
  assert_int_equal(t.lost, 0);
}

static void a_silent_server_is_given_up_though_tcp_is_up(void **state) {
  (void)state;
  run(ask, true, false, 400);
  assert_int_equal(t.lost, 1);
  assert_int_equal(t.unanswered, 1);
  assert_string_equal(t.why, "silent for too long");
}

static void a_blocking_command_may_be_silent_until_its_deadline(void **state) {
  (void)state;
  run(ask_blocking, true, false, 300);
  assert_int_equal(t.lost, 0);
  assert_int_equal(t.pings, 0);
  run(ask_blocking, true, false, 600);
  assert_int_equal(t.lost, 1);
  assert_string_equal(t.why, "a command was not answered in time");
}

static void a_lost_connection_says_what_was_sent(void **state) {
  (void)state;
  run(ask, false, true, 60);
  assert_int_equal(t.lost, 1);
  assert_int_equal(t.unanswered, 1);
  assert_int_equal(t.unsent, 0);
}

static void what_was_not_flushed_was_not_sent(void **state) {
  (void)state;
  run(ask_without_flush, false, false, 60);
  assert_int_equal(t.unsent, 1);
  assert_int_equal(t.unanswered + t.lost + t.requests, 0);
}

static void build(struct rconn *c) {
  rconn_begin(c, "*3\r\n$3\r\nSET\r\n", 13);
  rconn_arg2(c, "key:", 4, "na\0e", 4);
  rconn_arg(c, NULL, 0);
  assert_true(rconn_end(c, on_reply, NULL, 0));
  assert_int_equal(rconn_backlog(c), 33);
  rconn_flush(c);
  assert_int_equal(rconn_backlog(c), 0);
}

static void a_command_is_built_argument_by_argument(void **state) {
  static const char wire[] = "*3\r\n$3\r\nSET\r\n$8\r\nkey:na\0e\r\n$0\r\n\r\n";
  static const char greeting[] = "*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$8\r\nsessiond\r\n";
  size_t len = sizeof wire - 1, first = sizeof greeting - 1;
  (void)state;
  run(build, false, false, 30);
  assert_int_equal(t.answered, 1);
  assert_int_equal(t.have, first + len);
  assert_memory_equal(t.in, greeting, first);
  assert_memory_equal(t.in + first, wire, len);
}

static void on_unexpected(void *owner, const struct rconn_answer *a) {
  (void)owner, (void)a;
  fail_msg("a command that was refused has a callback");
}

static void nothing_is_appended_before_it_is_ready(void **state) {
  static const struct rconn_events events = {.ready = on_ready, .lost = on_lost};
  struct rconn_options o = {.addr = {.ip = "127.0.0.1", .port = 1}, .user = "", .password = "", .timeout_ms = 200, .ping_ms = 50, .dead_ms = 120};
  uv_loop_t loop;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  struct rconn *c = rconn_open(&loop, &o, &events, NULL);
  assert_non_null(c);
  rconn_begin(c, "*1\r\n", 4);
  rconn_arg(c, "PING", 4);
  assert_false(rconn_end(c, on_unexpected, NULL, 0));
  assert_false(rconn_ask(c, on_unexpected, NULL, 0, "PING", NULL));
  assert_int_equal(rconn_backlog(c), 0);
  rconn_close(c);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
}

/* What hiredis asks the system for. */
static size_t largest, asked;

static size_t seen(size_t size) {
  if (size > largest) largest = size;
  asked += size;
  return size;
}

static void *seen_malloc(size_t size) { return malloc(seen(size)); }
static void *seen_calloc(size_t n, size_t size) { return calloc(seen(n * size), 1); }
static void *seen_realloc(void *old, size_t size) { return realloc(old, seen(size)); }

static void ask_patiently(struct rconn *c) {
  command(c, 20000);
  rconn_flush(c);
}

/* The server answers with `text`, `times` times. */
static void hear(void (*script)(struct rconn *), char *text, size_t len, unsigned times) {
  hiredisAllocFuncs counted = {.mallocFn = seen_malloc, .callocFn = seen_calloc, .reallocFn = seen_realloc, .strdupFn = strdup, .freeFn = free};
  largest = asked = 0;
  answer.text = text;
  answer.len = len;
  answer.times = times;
  hiredisSetAllocators(&counted);
  run(script, false, false, 30000); /* on_reply ends it */
  hiredisResetAllocators();
  memset(&answer, 0, sizeof answer);
}

static void what_a_server_only_announces_is_not_allocated(void **state) {
  static char list[] = "*100000000\r\n", map[] = "%8000\r\n", nested[] = "*8000\r\n*8000\r\n", text[] = "$1000000000\r\n+";
  (void)state;
  hear(ask, list, strlen(list), 1);
  assert_string_equal(t.why, "Multi-bulk length out of range");
  assert_true(asked < 100000);
  hear(ask, map, strlen(map), 1);
  assert_string_equal(t.why, "a reply has too many elements");
  assert_true(asked < 100000);
  hear(ask, nested, strlen(nested), 1);
  assert_string_equal(t.why, "a reply has too many elements");
  assert_true(asked < 200000);
  hear(ask, text, strlen(text), 1);
  assert_string_equal(t.why, "a command was not answered in time");
  assert_true(asked < 100000);
}

static void lists_in_lists_end_before_the_stack_does(void **state) {
  static char level[] = "*1\r\n";
  (void)state;
  hear(ask_patiently, level, strlen(level), 300000);
  assert_int_equal(t.lost, 1);
  assert_string_equal(t.why, "a reply has too many elements");
}

static void a_reply_that_never_ends_is_cut(void **state) {
  static char piece[65536];
  (void)state;
  memset(piece, 'x', sizeof piece);
  memcpy(piece, "$1000000000\r\n", 13);
  hear(ask_patiently, piece, sizeof piece, 2 * RCONN_REPLY_MAX / sizeof piece);
  assert_string_equal(t.why, "a reply is too long");
  assert_true(largest < RCONN_REPLY_MAX + RCONN_REPLY_MAX / 8);
}

static void the_largest_session_is_taken(void **state) {
  size_t body = 16777216 + 16, len = body + 13;
  char *reply = malloc(len + 1);
  (void)state;
  assert_non_null(reply);
  memset(reply, 'x', len);
  memcpy(reply, "$16777232\r\n", 11);
  memcpy(reply + 11 + body, "\r\n", 2);
  hear(ask_patiently, reply, 11 + body + 2, 1);
  free(reply);
  assert_int_equal(t.answered, 1);
  assert_int_equal(t.lost, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_command_is_answered_once), cmocka_unit_test(an_idle_connection_is_pinged_and_stays),
      cmocka_unit_test(a_silent_server_is_given_up_though_tcp_is_up), cmocka_unit_test(a_blocking_command_may_be_silent_until_its_deadline),
      cmocka_unit_test(a_lost_connection_says_what_was_sent), cmocka_unit_test(what_was_not_flushed_was_not_sent),
      cmocka_unit_test(a_command_is_built_argument_by_argument), cmocka_unit_test(nothing_is_appended_before_it_is_ready),
      cmocka_unit_test(what_a_server_only_announces_is_not_allocated), cmocka_unit_test(lists_in_lists_end_before_the_stack_does),
      cmocka_unit_test(a_reply_that_never_ends_is_cut), cmocka_unit_test(the_largest_session_is_taken),
  };
  signal(SIGPIPE, SIG_IGN); /* as the service: a server here may be gone before the client has written */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
