/* The program as it is ($SESSIOND), without any Redis: what it answers on the wire, how it holds, how it ends. */
#include "client.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int start(void **state) {
  (void)state;
  service_start("hold-ms = 200\nhold-max = 2\nclient-timeout-ms = 300\nbody-max = 1000\ndrain-ms = 1000\n", 0);
  return 0;
}

static int stop(void **state) {
  (void)state;
  return service_stop();
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
  reset(first);
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
