/* What the routes answer, over real sockets, with a store in memory: versions, conditions, request ids, and limits of http. */
#include "check.h"
#include "fake_store.h"
#include "routes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define H "Host: h\r\n"
#define BODY_MAX 262144
#define CONNECTIONS_MAX 4

static uv_loop_t loop;
static struct store *store;
static struct config config;
static struct http_server *server;
static unsigned port;

static int start(void **state) {
  config = (struct config){.client_timeout_ms = 300, .body_max = BODY_MAX, .connections_max = CONNECTIONS_MAX};
  (void)state;
  port = 0;
  fake_store_fails = STORE_OK;
  fake_store_holds = false;
  memset(&metrics, 0, sizeof metrics);
  assert_int_equal(uv_loop_init(&loop), 0);
  store = store_new(&loop, &config, NULL);
  server = http_new(&loop, &config, &routes_events, store);
  assert_non_null(server);
  assert_int_equal(http_listen(server, "127.0.0.1", &port), 0);
  return 0;
}

static int stop(void **state) {
  (void)state;
  http_stop(server);
  uv_run(&loop, UV_RUN_DEFAULT);
  http_free(server);
  store_free(store);
  return uv_loop_close(&loop);
}

static int dial(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void turn(int times) {
  for (int i = 0; i < times; i++) uv_run(&loop, UV_RUN_NOWAIT);
}

/* Waits `ms`, serving. */
static void serve(unsigned ms) {
  uint64_t end = uv_hrtime() + ms * 1000000ull;
  while (uv_hrtime() < end) {
    turn(1);
    usleep(1000);
  }
}

static void say(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text)); }

/* What has come by now, for at most two seconds until something has. */
static const char *hear(int fd) {
  static char in[BODY_MAX + 4096];
  for (int tries = 0; tries < 2000; tries++) {
    turn(2);
    ssize_t n = recv(fd, in, sizeof in - 1, MSG_DONTWAIT);
    if (n >= 0) {
      in[n] = '\0';
      return in;
    }
    usleep(1000);
  }
  fail_msg("no answer");
  return NULL;
}

static const char *ask(int fd, const char *method, const char *id, const char *headers, const char *body) {
  char text[2048];
  snprintf(text, sizeof text, "%s /v1/sessions/%s HTTP/1.1\r\n" H "%sContent-Length: %zu\r\n\r\n%s", method, id, headers, strlen(body), body);
  say(fd, text);
  return hear(fd);
}

static void assert_status(const char *answer, int status) {
  if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strtol(answer + 9, NULL, 10) != status) fail_msg("not %d: %s", status, answer);
}

static void assert_in(const char *part, const char *answer) {
  if (strstr(answer, part) == NULL) fail_msg("\"%s\" is not in: %s", part, answer);
}

static void a_session_has_a_version(void **state) {
  (void)state;
  int fd = dial();
  const char *answer = ask(fd, "PUT", "a", "", "one");
  assert_status(answer, 204);
  const char *etag = strstr(answer, "ETag: \"");
  assert_non_null(etag);
  char line[64];
  snprintf(line, sizeof line, "%.32s", etag);
  *strchr(line, '\r') = '\0';
  answer = ask(fd, "GET", "a", "", "");
  assert_status(answer, 200);
  assert_in(line, answer);
  assert_in("\r\n\r\none", answer);
  answer = ask(fd, "HEAD", "a", "", "");
  assert_status(answer, 200);
  assert_in(line, answer);
  assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
  assert_status(ask(fd, "DELETE", "a", "", ""), 204);
  assert_status(ask(fd, "DELETE", "a", "", ""), 404);
  assert_status(ask(fd, "GET", "a", "", ""), 404);
  assert_status(ask(fd, "PUT", "a", "", "one"), 204);
  assert_status(ask(fd, "DELETE", "a", "", "two"), 204);
  assert_status(ask(fd, "GET", "a", "", ""), 404);
  close(fd);
}

/* What the store is told of a request with the header NAME: BEFORE, the clock's milliseconds of `ms_ago`, AFTER. */
static unsigned waited(int fd, const char *name, const char *before, long long ms_ago, const char *after) {
  char line[128];
  struct timespec t;
  assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
  snprintf(line, sizeof line, "%s: %s%lld%s\r\n", name, before, (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000 - ms_ago, after);
  assert_status(ask(fd, "PUT", "w", line, "v"), 204);
  return fake_store_waited_ms;
}

static void the_time_since_the_load_balancer_got_it_counts_as_waited(void **state) {
  (void)state;
  int fd = dial();
  assert_in_range(waited(fd, "X-Request-Start", "t=", 1500, ""), 1500, 1900);
  /* Not said, not written so, of a clock that is ahead, or of one that is far behind. */
  assert_int_equal(waited(fd, "X-Other", "t=", 1500, ""), 0);
  assert_int_equal(waited(fd, "X-Request-Start", "", 1500, ""), 0);
  assert_int_equal(waited(fd, "X-Request-Start", "t=", 1500, ".5"), 0);
  assert_int_equal(waited(fd, "X-Request-Start", "t=1x", 1500, ""), 0);
  assert_int_equal(waited(fd, "X-Request-Start", "t=", -5000, ""), 0);
  assert_int_equal(waited(fd, "X-Request-Start", "t=", 61000, ""), 0);
  close(fd);
}

/* Each row in a fresh store, with and without the session; `T` stands for its etag. */
static void conditions_are_kept(void **state) {
  static const struct {
    const char *method, *headers;
    int with, without;
  } table[] = {
      {"PUT", "If-Match: \"T\"\r\n", 204, 412},
      {"PUT", "If-Match: *\r\n", 204, 412},
      {"PUT", "If-Match: \"0123456789abcdef\"\r\n", 412, 412},
      {"PUT", "If-Match: W/\"T\"\r\n", 412, 412},
      {"PUT", "If-Match: \"T\", \"0123456789abcdef\"\r\n", 412, 412},
      {"PUT", "If-Match: \"T\"\r\nIf-Match: \"T\"\r\n", 412, 412},
      {"PUT", "If-Match: T\r\n", 412, 412},
      {"PUT", "If-Match:\r\n", 412, 412},
      {"PUT", "If-None-Match: *\r\n", 412, 204},
      {"PUT", "If-None-Match: \"T\"\r\n", 412, 412},
      {"PUT", "If-None-Match: *\r\nIf-Match: *\r\n", 412, 412},
      {"DELETE", "If-Match: \"T\"\r\n", 204, 412},
      {"DELETE", "If-Match: \"0123456789abcdef\"\r\n", 412, 412},
      {"DELETE", "If-None-Match: *\r\n", 412, 412},
      {"GET", "If-None-Match: \"T\"\r\n", 304, 404},
      {"GET", "If-None-Match: *\r\n", 304, 404},
      {"HEAD", "If-None-Match: \"T\"\r\n", 304, 404},
      {"GET", "If-None-Match: \"0123456789abcdef\"\r\n", 200, 404},
      {"GET", "If-None-Match: W/\"T\"\r\n", 200, 404},
      {"GET", "If-Match: \"T\"\r\n", 200, 412},
      {"GET", "If-Match: *\r\n", 200, 412},
      {"GET", "If-Match: \"0123456789abcdef\"\r\n", 412, 412},
      {"GET", "If-Match: W/\"T\"\r\n", 412, 412},
  };
  (void)state;
  int fd = dial();
  for (size_t i = 0; i < COUNT(table) * 2; i++) {
    bool with = i % 2 == 0;
    char etag[STORE_ETAG_LEN + 1] = "etag000000000000", headers[256] = "";
    ask(fd, "DELETE", "a", "", "");
    if (with) memcpy(etag, strstr(ask(fd, "PUT", "a", "", "one"), "ETag: \"") + 7, STORE_ETAG_LEN);
    for (const char *c = table[i / 2].headers; *c != '\0'; c++) {
      snprintf(headers + strlen(headers), sizeof headers - strlen(headers), *c == 'T' ? "%s" : "%.1s", *c == 'T' ? etag : c);
    }
    const char *answer = ask(fd, table[i / 2].method, "a", headers, "");
    int status = with ? table[i / 2].with : table[i / 2].without;
    if (strtol(answer + 9, NULL, 10) != status) fail_msg("not %d: %s %s: %s", status, table[i / 2].method, headers, answer);
    if (status == 304) {
      assert_in("ETag: \"etag", answer);
      assert_null(strstr(answer, "Content-Length"));
    }
  }
  close(fd);
}

static void a_change_that_is_acknowledged_says_who_did(void **state) {
  static const char line[] = "\r\nX-Replication-Id: " FAKE_STORE_PRIMARY "\r\n";
  (void)state;
  int fd = dial();
  assert_in(line, ask(fd, "PUT", "a", "", "one"));
  assert_in(line, ask(fd, "PUT", "a", "If-None-Match: *\r\n", "two"));
  assert_null(strstr(ask(fd, "GET", "a", "", ""), "X-Replication-Id"));
  assert_in(line, ask(fd, "DELETE", "a", "", ""));
  assert_in(line, ask(fd, "DELETE", "a", "", ""));
  fake_store_fails = STORE_UNKNOWN;
  assert_null(strstr(ask(fd, "PUT", "a", "", "one"), "X-Replication-Id"));
  close(fd);
}

static void a_request_id_reaches_the_store_or_is_refused(void **state) {
  char headers[256], id[STORE_REQUEST_ID_MAX + 2];
  (void)state;
  int fd = dial();
  assert_status(ask(fd, "PUT", "a", "X-Request-Id: ~Ab!1\r\n", ""), 204);
  assert_string_equal(fake_store_request_id, "~Ab!1");
  assert_status(ask(fd, "PUT", "a", "", ""), 204);
  assert_string_equal(fake_store_request_id, "");
  memset(id, 'x', sizeof id);
  id[STORE_REQUEST_ID_MAX] = '\0';
  snprintf(headers, sizeof headers, "X-Request-Id: %s\r\n", id);
  assert_status(ask(fd, "DELETE", "a", headers, ""), 204);
  assert_string_equal(fake_store_request_id, id);
  snprintf(headers, sizeof headers, "X-Request-Id: %sx\r\n", id);
  assert_status(ask(fd, "PUT", "a", headers, ""), 400);
  assert_status(ask(fd, "PUT", "a", "X-Request-Id:\r\n", ""), 400);
  assert_status(ask(fd, "PUT", "a", "X-Request-Id: a b\r\n", ""), 400);
  assert_status(ask(fd, "PUT", "a", "X-Request-Id: \xe4\r\n", ""), 400);
  assert_status(ask(fd, "PUT", "a", "X-Request-Id: a\r\nX-Request-Id: a\r\n", ""), 400);
  assert_status(ask(fd, "GET", "a", "X-Request-Id: a b\r\n", ""), 404);
  close(fd);
}

static void what_the_store_says_becomes_a_status(void **state) {
  static const struct {
    enum store_result result;
    int status;
  } table[] = {{STORE_ABSENT, 404}, {STORE_MISMATCH, 412}, {STORE_REUSED, 422}, {STORE_UNAVAILABLE, 503}, {STORE_UNKNOWN, 503}};
  (void)state;
  int fd = dial();
  for (size_t i = 0; i < COUNT(table); i++) {
    fake_store_fails = table[i].result;
    const char *answer = ask(fd, "PUT", "a", "", "one");
    assert_status(answer, table[i].status);
    if (table[i].status == 503) assert_in("Retry-After: 1\r\n", answer);
    if (table[i].status == 503) assert_in("\r\n\r\nit fails\n", answer);
  }
  close(fd);
}

static void a_large_value_comes_back_whole(void **state) {
  static char value[BODY_MAX];
  (void)state;
  int fd = dial();
  for (size_t i = 0; i < sizeof value; i++) value[i] = (char)('a' + i % 23);
  char head[128];
  snprintf(head, sizeof head, "PUT /v1/sessions/a HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", sizeof value);
  say(fd, head);
  for (size_t sent = 0; sent < sizeof value;) {
    ssize_t n = send(fd, value + sent, sizeof value - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) sent += (size_t)n;
    turn(1);
  }
  assert_status(hear(fd), 204);
  say(fd, "GET /v1/sessions/a HTTP/1.1\r\n" H "\r\n");
  static char in[BODY_MAX + 512];
  size_t have = 0;
  while (have < sizeof value + 100) {
    turn(1);
    ssize_t n = recv(fd, in + have, sizeof in - 1 - have, MSG_DONTWAIT);
    if (n > 0) have += (size_t)n;
    const char *end = strstr(in, "\r\n\r\n");
    if (end != NULL && have == (size_t)(end + 4 - in) + sizeof value) break;
  }
  assert_memory_equal(in + have - sizeof value, value, sizeof value);
  close(fd);
}

static void a_client_that_goes_is_withdrawn(void **state) {
  (void)state;
  int fd = dial();
  fake_store_holds = true;
  say(fd, "PUT /v1/sessions/a HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx");
  serve(20);
  struct linger reset = {.l_onoff = 1};
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  close(fd);
  serve(20);
  assert_int_equal(metrics.connections, 0);
  fake_store_holds = false;
  fake_store_go();
  fd = dial();
  assert_status(ask(fd, "GET", "a", "", ""), 404);
  close(fd);
}

static void above_the_limit_clients_wait_their_turn(void **state) {
  int fd[CONNECTIONS_MAX + 3];
  (void)state;
  for (size_t i = 0; i < COUNT(fd); i++) {
    fd[i] = dial();
    say(fd[i], "GET /healthz HTTP/1.1\r\n" H "\r\n");
  }
  serve(50);
  assert_int_equal(metrics.connections, CONNECTIONS_MAX);
  assert_int_equal(metrics.accept_pauses, 1);
  for (size_t i = 0; i < COUNT(fd); i++) {
    assert_status(hear(fd[i]), 200);
    close(fd[i]);
    turn(4);
  }
  serve(20);
  assert_int_equal(metrics.connections, 0);
  config.body_max = 1;
  config.connections_max = 2 * CONNECTIONS_MAX;
  for (size_t i = 0; i < COUNT(fd); i++) fd[i] = dial();
  serve(20);
  assert_int_equal(metrics.connections, COUNT(fd));
  assert_status(ask(fd[0], "PUT", "a", "", "xx"), 413);
  for (size_t i = 0; i < COUNT(fd); i++) close(fd[i]);
}

static void trickling_does_not_extend_the_deadline(void **state) {
  static const char request[] = "GET /healthz HTTP/1.1\r\n" H "X: ";
  (void)state;
  int fd = dial();
  uint64_t start_ns = uv_hrtime();
  char in[512] = "";
  for (size_t i = 0; uv_hrtime() - start_ns < 2000000000; i++) {
    if (send(fd, i < sizeof request - 1 ? request + i : "x", 1, MSG_NOSIGNAL) != 1) break;
    serve(10);
    if (recv(fd, in, sizeof in - 1, MSG_DONTWAIT) > 0) break;
  }
  assert_status(in, 408);
  assert_true(uv_hrtime() - start_ns < 600000000);
  close(fd);
}

int main(void) {
#define SERVED(f) cmocka_unit_test_setup_teardown(f, start, stop)
  const struct CMUnitTest tests[] = {
      SERVED(a_session_has_a_version), SERVED(the_time_since_the_load_balancer_got_it_counts_as_waited), SERVED(conditions_are_kept), SERVED(a_change_that_is_acknowledged_says_who_did),
      SERVED(a_request_id_reaches_the_store_or_is_refused),
      SERVED(what_the_store_says_becomes_a_status), SERVED(a_large_value_comes_back_whole), SERVED(a_client_that_goes_is_withdrawn),
      SERVED(above_the_limit_clients_wait_their_turn), SERVED(trickling_does_not_extend_the_deadline),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
