/* Bad requests, each with another one behind it on the same connection, which must never be answered: sent to the service in
 * one piece and cut at every byte, and, where $HAPROXY names the program, through HAProxy. What that lets pass it has made
 * well-formed, and then it and the service must count the same number of requests. */
#include "client.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET "GET /v1/sessions/first HTTP/1.1\r\n"
#define PUT "PUT /v1/sessions/first HTTP/1.1\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define SMUGGLED "GET /v1/sessions/smuggled HTTP/1.1\r\n" H "\r\n"

struct row {
  const char *text;
  size_t len; /* 0: until its NUL */
  int status;
};

#define NUL(text, status) {text, sizeof text - 1, status}

static const struct row table[] = {
    /* the request line */
    {"GET /v1/sessions/first\r\n", 0, 400},
    {"GET /v1/sessions/first\n", 0, 400},
    {"GET  /v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first  HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first HTTP/1.1 \r\n" H "\r\n", 0, 400},
    {"GET\t/v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {" " GET H "\r\n", 0, 400},
    {"\n" GET H "\r\n", 0, 400},
    {"\r\n\r\n" GET H "\r\n", 0, 400},
    {"get /v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"G\x01T /v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first http/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first HTTP/1.1\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first HTTP/1.1\r" H "\r\n", 0, 400},
    {"GET /v1/sessions/first HTTP/2.0\r\n" H "\r\n", 0, 505},
    {"GET /v1/sessions/first HTTP/1.2\r\n" H "\r\n", 0, 505},
    {"GET /v1/sessions/first HTTP/0.9\r\n" H "\r\n", 0, 505},
    {"GET /v1/sessions/first HTTP/1.10\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/first HTTP/11\r\n" H "\r\n", 0, 400},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505},
    {"GET /v1/sessions/first#part HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/\x7f HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET /v1/sessions/\x0b HTTP/1.1\r\n" H "\r\n", 0, 400},
    NUL("GET /v1/sessions/fi\0rst HTTP/1.1\r\n" H "\r\n", 400),
    {"GET http://h/v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET http://other/v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"GET v1/sessions/first HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"CONNECT h:80 HTTP/1.1\r\n" H "\r\n", 0, 400},
    /* Host */
    {GET "\r\n", 0, 400},
    {GET H H "\r\n", 0, 400},
    {GET H "Host: other\r\n\r\n", 0, 400},
    /* headers */
    {GET H "X : a\r\n\r\n", 0, 400},
    {GET H "Content-Length : 5\r\n\r\nhello", 0, 400},
    {GET H " X: a\r\n\r\n", 0, 400},
    {GET "X: a\r\n b\r\n" H "\r\n", 0, 400},
    {GET "X: a\r\n\tb\r\n" H "\r\n", 0, 400},
    {GET "X: a\rY: b\r\n" H "\r\n", 0, 400},
    {GET "X: a\nY: b\r\n" H "\r\n", 0, 400},
    {GET H "\n", 0, 400},
    {GET H "\rX", 0, 400},
    {GET H "X\r\n\r\n", 0, 400},
    {GET H ": a\r\n\r\n", 0, 400},
    {GET H "X(: a\r\n\r\n", 0, 400},
    {GET H "X: a\x01\r\n\r\n", 0, 400},
    {GET H "X: a\x7f\r\n\r\n", 0, 400},
    NUL(GET H "X: a\0b\r\n\r\n", 400),
    NUL(GET H "X\0: a\r\n\r\n", 400),
    /* Content-Length */
    {PUT H "Content-Length: 18446744073709551617\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 18446744073709551615\r\n\r\nx", 0, 413},
    {PUT H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 1, 1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: -1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: +1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 0x1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 1 1\r\n\r\nx", 0, 400},
    {PUT H "Content-Length:\r\n\r\nx", 0, 400},
    {PUT H "Content-Length: 1;\r\n\r\nx", 0, 400},
    NUL(PUT H "Content-Length: 1\0\r\n\r\nx", 400),
    /* Transfer-Encoding */
    {PUT H "Content-Length: 4\r\n" CHUNKED "\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "Content-Length: 4\r\n\r\n0\r\n\r\n", 0, 400},
    {"PUT /v1/sessions/first HTTP/1.0\r\n" H CHUNKED "\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED CHUNKED "\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: identity\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H "Transfer-Encoding:\r\n\r\n", 0, 400},
    {PUT H "Content-Length: 4\r\nTransfer-Encoding: \r\n\r\n0\r\n\r\n", 0, 400},
    /* chunks */
    {PUT H CHUNKED "\r\n10000000000000000\r\nx", 0, 400},
    {PUT H CHUNKED "\r\nffffffffffffffff\r\nx", 0, 413},
    {PUT H CHUNKED "\r\n-1\r\nx", 0, 400},
    {PUT H CHUNKED "\r\n0x1\r\nx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n 1\r\nx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1 \r\nx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n;a=b\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1\nx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1\rx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1;a\nb\r\nx\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1;a\x01\r\nx\r\n0\r\n\r\n", 0, 400},
    NUL(PUT H CHUNKED "\r\n1;a\0\r\nx\r\n0\r\n\r\n", 400),
    {PUT H CHUNKED "\r\n1\r\nx0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1\r\nxy\r\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n1\r\nx\n0\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n0\r\nX : a\r\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n0\r\nX: a\n\r\n", 0, 400},
    {PUT H CHUNKED "\r\n0\r\n\n", 0, 400},
    {PUT H CHUNKED "\r\n1\r\nx\r\n0\n\r\n", 0, 400},
};

static size_t length(const struct row *r) { return r->len > 0 ? r->len : strlen(r->text); }

/* For messages: without what a terminal would act on. */
static const char *shown(const struct row *r) {
  static char text[1024];
  size_t at = 0;
  for (size_t i = 0; i < length(r) && at + 8 < sizeof text; i++) {
    unsigned char c = (unsigned char)r->text[i];
    at += (size_t)snprintf(text + at, sizeof text - at, c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
  }
  return text;
}

/* Sends the row and the request behind it; `cut`: the first so many bytes go ahead. */
static int send_row(int fd, const struct row *r, size_t cut) {
  char text[2048];
  size_t len = length(r);
  memcpy(text, r->text, len);
  memcpy(text + len, SMUGGLED, sizeof SMUGGLED - 1);
  len += sizeof SMUGGLED - 1;
  if (cut > 0 && send(fd, text, cut, MSG_NOSIGNAL) < 0) return -1;
  if (cut > 0) usleep(300);
  return send(fd, text + cut, len - cut, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int start(void **state) {
  (void)state;
  /* A request for a session, should there be one, is answered soon. */
  service_start("hold-ms = 50\nbody-max = 1000\n", 0);
  return 0;
}

static int stop(void **state) {
  (void)state;
  return service_stop();
}

static void every_bad_request_ends_its_connection(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    for (size_t cut = 0; cut < length(&table[i]) + 4; cut++) {
      char start_of[16];
      int fd = dial();
      /* The service may have refused, and closed, before the rest is sent. */
      send_row(fd, &table[i], cut);
      const char *answer = hear_for(fd, 2000);
      snprintf(start_of, sizeof start_of, "HTTP/1.1 %d ", table[i].status);
      if (strncmp(answer, start_of, strlen(start_of)) != 0) fail_msg("not %d, cut at %zu: %s: %s", table[i].status, cut, shown(&table[i]), answer);
      if (count("HTTP/1.1 ", answer) != 1) fail_msg("answered twice, cut at %zu: %s: %s", cut, shown(&table[i]), answer);
      assert_in("Connection: close\r\n", answer);
      close(fd);
    }
  }
  assert_int_equal(metric("sessiond_requests_total", "route=\"session"), 0);
}

/* through HAProxy */

static char folder[] = "/tmp/sessiond-haproxy-XXXXXX";
static pid_t haproxy;

static unsigned free_port(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  close(fd);
  return ntohs(at.sin_port);
}

/* As the fleet's configuration has it, less the checks, which would be counted. */
static unsigned start_haproxy(const char *program) {
  char path[64];
  unsigned port = free_port();
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/haproxy.cfg", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "global\n  stats socket %s/admin.sock mode 600 level admin\n  maxconn 1000\n"
             "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 2s\n  retries 2\n  option redispatch 1\n"
             "frontend http\n  bind 127.0.0.1:%u\n  default_backend app\n"
             "backend app\n  balance leastconn\n  retry-on conn-failure empty-response\n  http-request disable-l7-retry unless METH_GET\n"
             "  server app 127.0.0.1:%u\n", folder, port, service_port);
  assert_int_equal(fclose(f), 0);
  haproxy = fork();
  assert_true(haproxy >= 0);
  if (haproxy == 0) {
    execlp(program, program, "-db", "-q", "-f", path, (char *)NULL);
    _exit(127);
  }
  snprintf(path, sizeof path, "%s/admin.sock", folder);
  for (int i = 0; access(path, F_OK) != 0; i++) {
    if (i == 100) fail_msg("haproxy does not start");
    usleep(50000);
  }
  usleep(100000);
  return port;
}

/* How many requests HAProxy has taken for the service. */
static unsigned long forwarded(void) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  unsigned long requests = 0;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  snprintf(to.sun_path, sizeof to.sun_path, "%s/admin.sock", folder);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  say(fd, "show stat app 2 -1\n"); /* 2: backends only */
  char *text = hear_for(fd, 1000), *names = strsep(&text, "\n"), *values = strsep(&text, "\n"), *name;
  close(fd);
  while ((name = strsep(&names, ",")) != NULL) {
    const char *value = strsep(&values, ",");
    assert_non_null(value);
    if (strcmp(name, "req_tot") == 0) requests = strtoul(value, NULL, 10);
  }
  return requests;
}

static void behind_haproxy_nothing_is_smuggled(void **state) {
  const char *program = getenv("HAPROXY");
  unsigned long sent = 0, had, passed = 0;
  (void)state;
  if (program == NULL) skip();
  unsigned port = start_haproxy(program);
  for (size_t i = 0; i < COUNT(table); i++) {
    int fd = dial_to(port, NULL);
    send_row(fd, &table[i], 0);
    char answer[4096];
    snprintf(answer, sizeof answer, "%s", hear_for(fd, 200));
    unsigned answers = count("HTTP/1.1 ", answer) + count("HTTP/1.0 ", answer);
    close(fd);
    if (answers > 2) fail_msg("%u answers to two requests: %s: %s", answers, shown(&table[i]), answer);
    unsigned long before = sent;
    sent = forwarded();
    had = metric("sessiond_requests_total", "route=\"none\"") + metric("sessiond_requests_total", "route=\"session");
    if (had != sent) fail_msg("HAProxy sent %lu requests, %lu were read: %s: %s", sent, had, shown(&table[i]), answer);
    if (sent > before) passed++;
  }
  print_message("HAProxy let %lu of %zu pass\n", passed, COUNT(table));
}

static int stop_haproxy(void **state) {
  char path[64];
  if (haproxy > 0) {
    kill(haproxy, SIGTERM);
    waitpid(haproxy, NULL, 0);
    static const char *const files[] = {"haproxy.cfg", "admin.sock"};
    for (size_t i = 0; i < COUNT(files); i++) {
      snprintf(path, sizeof path, "%s/%s", folder, files[i]);
      unlink(path);
    }
    rmdir(folder);
  }
  return stop(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_bad_request_ends_its_connection, start, stop),
      cmocka_unit_test_setup_teardown(behind_haproxy_nothing_is_smuggled, start, stop_haproxy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
