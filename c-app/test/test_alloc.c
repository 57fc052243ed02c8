/* Memory runs out, at every place where it can: nothing crashes, leaks, is called twice, or answers what is not true. */
#include "alloc.h"
#include "check.h"
#include "config.h"
#include "http.h"
#include "rconn.h"
#include "store.h"
#include "tls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One loop for all runs. libuv ends the process when it can't enlarge its table of descriptors: that is done beforehand. */
static uv_loop_t loop;

static int open_loop(void **state) {
  uv_poll_t wide;
  int ends[2];
  (void)state;
  alloc_init();
  if (uv_loop_init(&loop) < 0 || pipe(ends) < 0) return -1;
  int high = fcntl(ends[0], F_DUPFD_CLOEXEC, 200);
  if (uv_poll_init(&loop, &wide, high) < 0 || uv_poll_start(&wide, UV_READABLE, NULL) < 0) return -1;
  uv_run(&loop, UV_RUN_NOWAIT);
  uv_close((uv_handle_t *)&wide, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  close(high);
  close(ends[0]);
  return close(ends[1]);
}

static int close_loop(void **state) {
  (void)state;
  return uv_loop_close(&loop);
}

/* The other side of a connection, in the same loop, which never needs memory: one client, or one accepted by a listener. */
static struct {
  uv_tcp_t listener, tcp;
  uv_connect_t connect;
  bool listening, open;
  unsigned port;
  char in[32768];
  size_t have;
  void (*heard)(void); /* `in` has grown, or the peer has gone */
} far;

static void far_alloc(uv_handle_t *h, size_t n, uv_buf_t *b) {
  (void)h, (void)n;
  *b = uv_buf_init(far.in + far.have, (unsigned)(sizeof far.in - 1 - far.have));
}

static void far_hang_up(void) {
  if (far.open) uv_close((uv_handle_t *)&far.tcp, NULL);
  far.open = false;
}

static void far_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  (void)s, (void)b;
  if (n > 0) far.have += (size_t)n;
  far.in[far.have] = '\0';
  if (n < 0) far_hang_up();
  far.heard();
}

static void far_say(const char *text) {
  uv_buf_t b = uv_buf_init((char *)text, (unsigned)strlen(text));
  if (far.open) uv_try_write((uv_stream_t *)&far.tcp, &b, 1);
}

static void far_accept(uv_stream_t *s, int status) {
  assert_int_equal(status, 0);
  assert_int_equal(uv_tcp_init(&loop, &far.tcp), 0);
  assert_int_equal(uv_accept(s, (uv_stream_t *)&far.tcp), 0);
  far.open = true;
  assert_int_equal(uv_read_start((uv_stream_t *)&far.tcp, far_alloc, far_read), 0);
}

static void far_listen(void (*heard)(void)) {
  struct sockaddr_in at;
  int len = sizeof at;
  memset(&far, 0, sizeof far);
  far.heard = heard;
  far.listening = true;
  assert_int_equal(uv_tcp_init(&loop, &far.listener), 0);
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
  assert_int_equal(uv_tcp_bind(&far.listener, (struct sockaddr *)&at, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *)&far.listener, 4, far_accept), 0);
  assert_int_equal(uv_tcp_getsockname(&far.listener, (struct sockaddr *)&at, &len), 0);
  far.port = ntohs(at.sin_port);
}

static void far_connected(uv_connect_t *req, int status) {
  (void)req;
  if (status == 0) uv_read_start((uv_stream_t *)&far.tcp, far_alloc, far_read);
  far.have = 0;
  far.heard();
}

static void far_connect(unsigned port, void (*heard)(void)) {
  struct sockaddr_in at;
  memset(&far, 0, sizeof far);
  far.heard = heard;
  far.open = true;
  assert_int_equal(uv_ip4_addr("127.0.0.1", (int)port, &at), 0);
  assert_int_equal(uv_tcp_init(&loop, &far.tcp), 0);
  assert_int_equal(uv_tcp_connect(&far.connect, &far.tcp, (struct sockaddr *)&at, far_connected), 0);
}

static void far_end(void) {
  far_hang_up();
  if (far.listening) uv_close((uv_handle_t *)&far.listener, NULL);
  far.listening = false;
}

/* the config */

static void load_config(void) {
  struct config c;
  char error[CONFIG_ERROR_MAX] = "";
  bool ok = config_load(&c, "sessiond.conf.example", error);
  if (!ok && !alloc_denied()) fail_msg("%s", error);
  assert_true(ok || error[0] != '\0');
}

static void the_config_is_loaded_or_refused(void **state) {
  (void)state;
  assert_in_range(alloc_fail_each(load_config), 1, 10);
}

/* rconn */

#define COMMANDS 40 /* more than the ring has at first */

static struct {
  struct rconn *conn;
  unsigned ready, appended, answered, unanswered, pushed, lost;
} r;

/* Greets; answers the commands when all have come, with a push before; hangs up. */
static void redis_heard(void) {
  static const char end[] = "\r\nLAST\r\n";
  if (strstr(far.in, "sessiond\r\n") != NULL) {
    far.have = 0;
    far_say("%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n");
  }
  if (far.have == 0 || strstr(far.in, end) == NULL) return;
  far_say(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntext\r\n");
  for (unsigned i = 0; i < r.appended; i++) far_say("*2\r\n$5\r\nvalue\r\n:1234\r\n");
  far_hang_up();
}

static void on_reply(void *owner, const struct rconn_answer *a) {
  const redisReply *reply = a->reply;
  (void)owner;
  if (reply == NULL) {
    r.unanswered++;
    return;
  }
  r.answered++;
  assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
  assert_int_equal(reply->elements, 2);
  assert_string_equal(reply->element[0]->str, "value");
  assert_int_equal(reply->element[1]->integer, 1234);
}

static void on_ready(void *owner, struct rconn *c) {
  char value[700];
  (void)owner;
  memset(value, 'v', sizeof value);
  r.ready++;
  for (unsigned i = 1; i < COMMANDS; i++) {
    rconn_begin(c, "*3\r\n$3\r\nSET\r\n", 13);
    rconn_arg2(c, "key:", 4, "name", 4);
    rconn_arg(c, value, i * 17);
    if (rconn_end(c, on_reply, NULL, 0)) r.appended++;
  }
  if (rconn_ask(c, on_reply, NULL, 0, "GET", "LAST", NULL)) {
    r.appended++;
    rconn_flush(c);
  } else {
    rconn_close(c);
    r.conn = NULL;
    far_end();
  }
}

static void on_push(void *owner, struct rconn *c, const redisReply *message) {
  (void)owner, (void)c;
  r.pushed++;
  assert_string_equal(message->element[2]->str, "text");
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  (void)owner;
  assert_ptr_equal(c, r.conn);
  assert_true(why[0] != '\0');
  r.conn = NULL;
  r.lost++;
  far_end();
}

static void talk_to_redis(void) {
  static const struct rconn_events events = {.ready = on_ready, .push = on_push, .lost = on_lost};
  memset(&r, 0, sizeof r);
  far_listen(redis_heard);
  struct rconn_options o = {.addr = {.ip = "127.0.0.1", .port = (uint16_t)far.port}, .user = "u", .password = "p",
                            .timeout_ms = 1000, .ping_ms = 400, .dead_ms = 800};
  r.conn = rconn_open(&loop, &o, &events, NULL);
  if (r.conn == NULL) far_end();
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_null(r.conn);
  assert_int_equal(r.answered + r.unanswered, r.appended);
  if (alloc_denied()) return;
  assert_int_equal(r.lost, 1);
  assert_int_equal(r.pushed, 1);
  assert_int_equal(r.answered, COMMANDS);
}

static void a_connection_to_redis_answers_truly_or_ends(void **state) {
  (void)state;
  assert_in_range(alloc_fail_each(talk_to_redis), 20, 1000);
}

/* http */

#define BODY "0123456789abcdef0123456789ABCDEF"

static struct {
  struct http_server *server;
  uv_timer_t patience; /* while there is no memory for a connection, the server lets it wait */
  bool ended;
  unsigned requests, turn;
} h;

static void end_http(void) {
  if (h.ended) return;
  h.ended = true;
  uv_close((uv_handle_t *)&h.patience, NULL);
  far_end();
  http_stop(h.server);
}

static void on_impatience(uv_timer_t *timer) {
  (void)timer;
  assert_true(alloc_denied());
  end_http();
}

static void on_request(void *owner, struct http_exchange *x) {
  (void)owner;
  h.requests++;
  assert_int_equal(x->request.body.len, strlen(BODY BODY));
  assert_memory_equal(x->request.body.data, BODY BODY, strlen(BODY BODY));
  http_respond(x, &(struct http_answer){.status = 200, .body = "stored", .len = 6});
}

static void on_gone(void *owner, struct http_exchange *x) {
  (void)owner, (void)x;
}

/* A request in pieces, then a second one; ends when there are two answers or the server has hung up. */
static void client_heard(void) {
  static const char put[] = "PUT /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: 1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" BODY "\r\n";
  static const char rest[] = "20\r\n" BODY "\r\n0\r\n\r\n";
  if (far.open && h.turn == 0) {
    far_say(put);
    far_say(rest);
    far_say(put);
  } else if (far.open && h.turn == 1) {
    far_say(rest);
  }
  h.turn++;
  const char *first = strstr(far.in, "stored");
  if (!far.open || (first != NULL && strstr(first + 1, "stored") != NULL)) end_http();
}

static void serve_http(void) {
  static const struct http_events events = {.user_size = 64, .request = on_request, .gone = on_gone};
  static const struct config config = {.client_timeout_ms = 200, .body_max = 4096, .connections_max = 4};
  unsigned port = 0;
  memset(&h, 0, sizeof h);
  h.server = http_new(&loop, &config, &events, NULL);
  if (h.server == NULL) {
    assert_true(alloc_denied());
    uv_run(&loop, UV_RUN_DEFAULT);
    return;
  }
  assert_int_equal(http_listen(h.server, "127.0.0.1", &port), 0);
  far_connect(port, client_heard);
  uv_timer_init(&loop, &h.patience);
  uv_timer_start(&h.patience, on_impatience, 1000, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  http_free(h.server);
  if (strncmp(far.in, "HTTP/1.1 200", 12) == 0) assert_true(h.requests > 0);
  if (!alloc_denied()) assert_int_equal(h.requests, 2);
}

static void a_request_is_served_whole_or_not(void **state) {
  (void)state;
  assert_in_range(alloc_fail_each(serve_http), 3, 1000);
}

/* the store */

static struct {
  struct store *store;
  struct store_op ops[3];
  unsigned done;
} s;

static void on_done(struct store_op *op, enum store_result result, const char *value, size_t len, const char *etag) {
  (void)op, (void)value, (void)etag;
  assert_int_equal(result, STORE_UNAVAILABLE);
  assert_true(len > 0);
  if (++s.done == COUNT(s.ops)) store_stop(s.store);
}

/* Nothing listens on port 1. */
static void ask_the_store(void) {
  static struct config c;
  char text[] = "sentinels = 127.0.0.1:1, 127.0.0.2:1\nhold-ms = 60\ndurability = replicated\n";
  char error[CONFIG_ERROR_MAX];
  assert_true(config_parse(&c, text, "f", error));
  memset(&s, 0, sizeof s);
  s.store = store_new(&loop, &c, NULL);
  if (s.store == NULL) {
    assert_true(alloc_denied());
    uv_run(&loop, UV_RUN_DEFAULT);
    return;
  }
  for (size_t i = 0; i < COUNT(s.ops); i++) {
    s.ops[i] = (struct store_op){.kind = (enum store_kind)i, .id = "id", .id_len = 2, .request_id = "", .condition = "", .value = "value",
                                 .value_len = 5, .done = on_done};
    store_submit(s.store, &s.ops[i]);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  store_free(s.store);
  assert_int_equal(s.done, COUNT(s.ops));
}

static void the_store_without_a_primary_says_so(void **state) {
  (void)state;
  assert_in_range(alloc_fail_each(ask_the_store), 3, 1000);
}

/* TLS */

static char ca[] = "/tmp/sessiond-alloc-XXXXXX";

static void begin_tls(void) {
  char error[256] = "";
  char word[] = "PING", got[TLS_PLAIN_MAX];
  struct buf out = {0}, plain = {.data = word, .len = 4};
  struct tls *tls = tls_new(ca, "", "", "redis.test", error, sizeof error);
  struct tls_link *l = tls != NULL ? tls_open(tls, "127.0.0.1", &out) : NULL;
  if (l != NULL) {
    const char *why = tls_write(l, &plain);
    assert_true(plain.len == 4);
    if (!alloc_denied()) assert_true(why == NULL && out.len > 100);
    assert_int_equal(tls_read(l, "\x15\x03\x03\x00\x02\x02\x28", 7, got), 0);
    assert_non_null(tls_write(l, &plain));
  } else {
    assert_true(alloc_denied());
    assert_true(tls != NULL || error[0] != '\0');
  }
  tls_close(l);
  tls_free(tls);
  buf_free(&out);
}

static void tls_begins_or_says_why_not(void **state) {
  char command[256], error[256];
  (void)state;
  int fd = mkstemp(ca);
  assert_true(fd >= 0);
  close(fd);
  snprintf(command, sizeof command,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out %s -subj /CN=ca 2>/dev/null", ca);
  assert_int_equal(system(command), 0);
  struct tls *first = tls_new(ca, "", "", "", error, sizeof error); /* what mbedTLS sets up once is set up */
  assert_non_null(first);
  tls_free(first);
  assert_in_range(alloc_fail_each(begin_tls), 100, 10000);
  unlink(ca);
}

static int stop_failing(void **state) {
  (void)state;
  alloc_stop();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(the_config_is_loaded_or_refused, stop_failing),
      cmocka_unit_test_teardown(a_connection_to_redis_answers_truly_or_ends, stop_failing),
      cmocka_unit_test_teardown(a_request_is_served_whole_or_not, stop_failing),
      cmocka_unit_test_teardown(the_store_without_a_primary_says_so, stop_failing),
      cmocka_unit_test_teardown(tls_begins_or_says_why_not, stop_failing),
  };
  return cmocka_run_group_tests(tests, open_loop, close_loop);
}
