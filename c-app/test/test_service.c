/* The program as it is ($SESSIOND), without any Redis: what it answers on the wire, how it holds, how it ends. */
#include "check.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define H "Host: h\r\n"

static pid_t service;
static unsigned port;

static long long now_ms(void) {
  struct timespec t;
  assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Starts it on a free port, which it names in its first line. */
static int start(void **state) {
  char path[] = "/tmp/sessiond-test-XXXXXX", line[256] = "";
  int out[2], file = mkstemp(path);
  /* Nothing listens on port 1: there is never a primary. */
  static const char settings[] = "listen = 127.0.0.1\nport = 0\nsentinels = 127.0.0.1:1\nhold-ms = 200\nhold-max = 2\n"
                                 "client-timeout-ms = 300\nbody-max = 1000\ndrain-ms = 1000\n";
  (void)state;
  assert_true(file >= 0);
  assert_int_equal(write(file, settings, sizeof settings - 1), sizeof settings - 1);
  assert_int_equal(pipe(out), 0);
  service = fork();
  assert_true(service >= 0);
  if (service == 0) {
    const char *program = getenv("SESSIOND");
    dup2(out[1], STDERR_FILENO);
    close(out[0]);
    if (program != NULL) execl(program, program, "--config", path, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  close(file);
  FILE *log = fdopen(out[0], "r");
  assert_non_null(log);
  assert_non_null(fgets(line, sizeof line, log));
  const char *at = strstr(line, "port ");
  assert_non_null(at);
  port = (unsigned)strtoul(at + 5, NULL, 10);
  /* The pipe stays open, for its further lines. */
  unlink(path);
  return 0;
}

static int stop(void **state) {
  int status = -1;
  (void)state;
  if (service == 0) return 0;
  kill(service, SIGTERM);
  if (waitpid(service, &status, 0) != service) return -1;
  service = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int dial(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 5};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void say(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text)); }

/* Everything until the service closes, or until `until` was read. */
static char *hear(int fd, const char *until) {
  static char in[65536];
  size_t have = 0;
  in[0] = '\0';
  while (have < sizeof in - 1 && (until == NULL || strstr(in, until) == NULL)) {
    ssize_t n = recv(fd, in + have, sizeof in - 1 - have, 0);
    if (n < 0) fail_msg("no end, only: %s", in);
    if (n == 0) break;
    have += (size_t)n;
    in[have] = '\0';
  }
  return in;
}

/* One request on a connection of its own, whole or byte by byte; asserts that each of `parts` is in what comes back. */
static char *exchange(const char *text, bool bytes) {
  int fd = dial();
  for (size_t i = 0; bytes && i < strlen(text); i++) assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
  if (!bytes) say(fd, text);
  char *answer = hear(fd, NULL);
  close(fd);
  return answer;
}

static void assert_in(const char *part, const char *answer) {
  if (strstr(answer, part) == NULL) fail_msg("\"%s\" is not in: %s", part, answer);
}

static void assert_starts(const char *part, const char *answer) {
  if (strncmp(answer, part, strlen(part)) != 0) fail_msg("\"%s\" does not begin: %s", part, answer);
}

static unsigned count(const char *part, const char *text) {
  unsigned n = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part)) n++;
  return n;
}

static void every_route_has_its_answers(void **state) {
  static const struct {
    const char *request, *start, *part;
  } table[] = {
      {"GET /healthz HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\nDate: ", "Content-Length: 3\r\nConnection: close\r\n\r\nok\n"},
      {"GET /healthz?a=b HTTP/1.1\r\n", "HTTP/1.1 200 ", ""},
      {"GET /readyz HTTP/1.1\r\n", "HTTP/1.1 503 ", "Retry-After: 1\r\n"},
      {"GET /metrics HTTP/1.1\r\n", "HTTP/1.1 200 ", "\nsessiond_has_primary 0\n"},
      {"GET / HTTP/1.1\r\n", "HTTP/1.1 404 ", ""},
      {"GET /healthzz HTTP/1.1\r\n", "HTTP/1.1 404 ", ""},
      {"GET /v1/sessions HTTP/1.1\r\n", "HTTP/1.1 404 ", ""},
      {"GET /v1/sessions/ HTTP/1.1\r\n", "HTTP/1.1 404 ", ""},
      {"GET /v1/sessions/a/b HTTP/1.1\r\n", "HTTP/1.1 400 ", ""},
      {"GET /v1/sessions/a%20b HTTP/1.1\r\n", "HTTP/1.1 400 ", ""},
      {"PUT /healthz HTTP/1.1\r\nContent-Length: 0\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD, OPTIONS\r\n"},
      {"POST /v1/sessions/a HTTP/1.1\r\nContent-Length: 0\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"},
      {"OPTIONS /v1/sessions/a HTTP/1.1\r\n", "HTTP/1.1 204 ", "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"},
      {"GET /healthz HTTP/1.1\r\nExpect: x\r\n", "HTTP/1.1 417 ", ""},
      {"GET /healthz HTTP/2.0\r\n", "HTTP/1.1 505 ", ""},
      {"PUT /v1/sessions/a HTTP/1.1\r\nContent-Length: 1001\r\n", "HTTP/1.1 413 ", "Connection: close\r\n"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table) * 2; i++) {
    char text[512];
    snprintf(text, sizeof text, "%s" H "Connection: close\r\n\r\n", table[i / 2].request);
    const char *answer = exchange(text, i % 2 == 1);
    assert_starts(table[i / 2].start, answer);
    assert_in(table[i / 2].part, answer);
  }
}

static void head_has_the_length_but_no_body(void **state) {
  (void)state;
  const char *answer = exchange("HEAD /healthz HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false);
  assert_in("Content-Length: 3\r\n", answer);
  assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void pipelined_requests_are_answered_in_order(void **state) {
  (void)state;
  const char *answer = exchange("GET /healthz HTTP/1.1\r\n" H "\r\nGET /v1/sessions/a HTTP/1.1\r\n" H "\r\nGET /none HTTP/1.1\r\n" H "\r\n"
                                "GET /healthz HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false);
  assert_int_equal(count("HTTP/1.1 ", answer), 4);
  const char *held = strstr(answer, "HTTP/1.1 503"), *none = strstr(answer, "HTTP/1.1 404");
  assert_true(held != NULL && none != NULL && held < none);
  assert_starts("HTTP/1.1 200", answer);
}

static void nothing_is_read_behind_a_bad_request(void **state) {
  (void)state;
  const char *answer = exchange("GET /healthz HTTP/1.1\r\n" H H "\r\nGET /healthz HTTP/1.1\r\n" H "\r\n", false);
  assert_starts("HTTP/1.1 400 ", answer);
  assert_in("Connection: close\r\n", answer);
  assert_int_equal(count("HTTP/1.1 ", answer), 1);
}

static void a_request_without_a_primary_is_held_then_refused(void **state) {
  (void)state;
  long long start_ms = now_ms();
  const char *answer = exchange("PUT /v1/sessions/a HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 1\r\n\r\nx", false);
  long long took = now_ms() - start_ms;
  assert_starts("HTTP/1.1 503 ", answer);
  assert_in("Retry-After: 1\r\n", answer);
  assert_true(took >= 190 && took < 600);
}

static void one_more_than_may_be_held_is_refused_at_once(void **state) {
  static const char put[] = "PUT /v1/sessions/a HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
  (void)state;
  int first = dial(), second = dial();
  say(first, put);
  say(second, put);
  usleep(50000);
  long long start_ms = now_ms();
  assert_starts("HTTP/1.1 503 ", exchange(put, false));
  assert_true(now_ms() - start_ms < 100);
  /* Reads have a queue of their own. */
  assert_starts("HTTP/1.1 200 ", exchange("GET /healthz HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false));
  /* A client that goes gives its place back. */
  struct linger reset = {.l_onoff = 1};
  assert_int_equal(setsockopt(first, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  close(first);
  usleep(50000);
  start_ms = now_ms();
  assert_starts("HTTP/1.1 503 ", exchange(put, false));
  assert_true(now_ms() - start_ms > 150);
  hear(second, NULL);
  close(second);
}

static void a_client_that_only_finished_sending_is_answered(void **state) {
  (void)state;
  int fd = dial();
  say(fd, "GET /v1/sessions/a HTTP/1.1\r\n" H "\r\n");
  assert_int_equal(shutdown(fd, SHUT_WR), 0);
  assert_starts("HTTP/1.1 503 ", hear(fd, NULL));
  close(fd);
}

static void a_slow_client_is_cut(void **state) {
  (void)state;
  int fd = dial();
  long long start_ms = now_ms();
  say(fd, "GET /healthz HTT");
  assert_starts("HTTP/1.1 408 ", hear(fd, NULL));
  assert_true(now_ms() - start_ms < 1000);
  close(fd);
}

static void a_body_is_invited_with_100(void **state) {
  (void)state;
  int fd = dial();
  say(fd, "PUT /v1/sessions/a HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
  assert_string_equal(hear(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  say(fd, "x");
  assert_starts("HTTP/1.1 503 ", hear(fd, NULL));
  close(fd);
}

static void a_reader_that_never_reads_stops_nobody(void **state) {
  (void)state;
  int fd = dial();
  for (int i = 0; i < 2000; i++) {
    static const char get[] = "GET /metrics HTTP/1.1\r\n" H "\r\n";
    if (send(fd, get, sizeof get - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
  }
  assert_starts("HTTP/1.1 200 ", exchange("GET /healthz HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false));
  close(fd);
}

static void on_term_what_is_under_way_is_answered(void **state) {
  (void)state;
  int idle = dial(), busy = dial();
  say(idle, "GET /healthz HTTP/1.1\r\n" H "\r\n");
  hear(idle, "ok\n");
  say(busy, "GET /v1/sessions/a HTTP/1.1\r\n" H "\r\n");
  usleep(50000);
  assert_int_equal(kill(service, SIGTERM), 0);
  const char *answer = hear(busy, NULL);
  assert_starts("HTTP/1.1 503 ", answer);
  assert_in("Connection: close\r\n", answer);
  assert_string_equal(hear(idle, NULL), "");
  close(idle);
  close(busy);
  int status = -1;
  assert_int_equal(waitpid(service, &status, 0), service);
  service = 0;
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
#define SERVED(f) cmocka_unit_test_setup_teardown(f, start, stop)
  const struct CMUnitTest tests[] = {
      SERVED(every_route_has_its_answers), SERVED(head_has_the_length_but_no_body), SERVED(pipelined_requests_are_answered_in_order),
      SERVED(nothing_is_read_behind_a_bad_request), SERVED(a_request_without_a_primary_is_held_then_refused),
      SERVED(one_more_than_may_be_held_is_refused_at_once), SERVED(a_client_that_only_finished_sending_is_answered),
      SERVED(a_slow_client_is_cut), SERVED(a_body_is_invited_with_100), SERVED(a_reader_that_never_reads_stops_nobody),
      SERVED(on_term_what_is_under_way_is_answered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
