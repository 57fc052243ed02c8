/* The program as it is ($SESSIOND): what SIGHUP does, what systemd hears, what --check finds. No Redis answers. */
#define _GNU_SOURCE /* prlimit */
#include "check.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BASE "listen = 127.0.0.1\nport = 0\nsentinels = 127.0.0.1:1\nhold-ms = 300\ndurability = async\n"

static char dir[] = "/tmp/sessiond-reload-XXXXXX";
static pid_t service;
static int notify, out; /* what systemd hears, what the log says */
static unsigned port;

static const char *file(const char *name) {
  static char text[4][64];
  static unsigned next;
  char *path = text[next++ % 4];
  snprintf(path, sizeof text[0], "%s/%s", dir, name);
  return path;
}

static void write_settings(const char *more) {
  FILE *f = fopen(file("conf"), "w");
  assert_non_null(f);
  assert_true(fprintf(f, BASE "%s", more) > 0);
  assert_int_equal(fclose(f), 0);
}

/* A datagram of the service's, or "" when none comes in time. */
static const char *heard(void) {
  static char text[256];
  ssize_t n = recv(notify, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  return text;
}

/* Reads the log until it holds `text`. */
static void log_says(const char *text) {
  static char seen[4096];
  size_t have = 0;
  seen[0] = '\0';
  while (strstr(seen, text) == NULL) {
    ssize_t n = have < sizeof seen - 1 ? read(out, seen + have, 1) : 0;
    if (n <= 0) fail_msg("\"%s\" is not in the log: %s", text, seen);
    have += (size_t)n;
    seen[have] = '\0';
  }
}

static void run(const char *more) {
  const char *program = getenv("SESSIOND");
  struct rlimit files = {.rlim_cur = 200, .rlim_max = 300};
  setrlimit(RLIMIT_NOFILE, &files);
  setenv("NOTIFY_SOCKET", file("notify"), 1);
  alarm(30); /* no test leaves it behind */
  if (program != NULL) execl(program, program, "--config", file("conf"), more, (char *)NULL);
  _exit(127);
}

static pid_t spawn(const char *more) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    run(more);
  }
  close(ends[1]);
  out = ends[0];
  return pid;
}

static int start(void **state) {
  char digits[8] = "";
  (void)state;
  write_settings("");
  service = spawn(NULL);
  log_says("port ");
  for (size_t i = 0; i < sizeof digits - 1 && read(out, digits + i, 1) == 1 && digits[i] != '\n'; i++) continue;
  port = (unsigned)strtoul(digits, NULL, 10);
  assert_string_equal(heard(), "READY=1");
  return 0;
}

static int stop(void **state) {
  int status = -1;
  (void)state;
  if (service <= 0) return 0;
  kill(service, SIGTERM);
  pid_t ended = waitpid(service, &status, 0);
  close(out);
  while (heard()[0] != '\0') continue;
  bool well = ended == service && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  service = 0;
  return well ? 0 : -1;
}

static int open_socket(void **state) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  struct timeval limit = {.tv_usec = 700000};
  (void)state;
  if (mkdtemp(dir) == NULL) return -1;
  snprintf(at.sun_path, sizeof at.sun_path, "%s", file("notify"));
  notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notify < 0 || bind(notify, (struct sockaddr *)&at, sizeof at) < 0) return -1;
  return setsockopt(notify, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static int remove_all(void **state) {
  (void)state;
  close(notify);
  unlink(file("notify"));
  unlink(file("conf"));
  return rmdir(dir);
}

static long long now_us(void) {
  struct timespec t;
  assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* SIGHUP, and what systemd hears of it. */
static void reload(void) {
  long long before = now_us(), at = 0;
  assert_int_equal(kill(service, SIGHUP), 0);
  const char *text = heard();
  if (sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &at) != 1) fail_msg("heard \"%s\"", text);
  assert_in_range(at, before, now_us());
  assert_string_equal(heard(), "READY=1");
}

static int ask(const char *request) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 5};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
  return fd;
}

/* The status of the answer. */
static int status_of(int fd) {
  char head[16] = "";
  assert_int_equal(recv(fd, head, 12, MSG_WAITALL), 12);
  close(fd);
  return atoi(head + 9);
}

#define PUT_20 "PUT /v1/sessions/a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n01234567890123456789"

static void settings_are_read_again(void **state) {
  (void)state;
  assert_int_equal(status_of(ask(PUT_20)), 503);
  write_settings("body-max = 10\n");
  reload();
  assert_int_equal(status_of(ask(PUT_20)), 413);
  write_settings("body-max = 20\nhold-ms = 0\n");
  reload();
  assert_int_equal(status_of(ask(PUT_20)), 413); /* hold-ms twice: this file is bad */
}

static void a_request_under_way_is_kept(void **state) {
  (void)state;
  int fd = ask(PUT_20);
  usleep(50000);
  write_settings("body-max = 10\n");
  reload();
  assert_int_equal(status_of(fd), 503);
  assert_int_equal(status_of(ask(PUT_20)), 413);
}

static void a_bad_file_changes_nothing(void **state) {
  static const struct {
    const char *settings, *message;
  } table[] = {
      {"body-max = 10\nno-such-key = 1\n", "unknown key \"no-such-key\""},
      {"body-max = 10\ntls-ca = /nonexistent/ca.pem\n", "/nonexistent/ca.pem: No such file"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    write_settings(table[i].settings);
    reload();
    log_says(table[i].message);
    log_says("the settings stay as they were");
    assert_int_equal(status_of(ask(PUT_20)), 503);
  }
  unlink(file("conf"));
  reload();
  log_says("No such file");
}

static void another_port_needs_a_restart(void **state) {
  (void)state;
  FILE *f = fopen(file("conf"), "w");
  assert_non_null(f);
  fputs("listen = 127.0.0.2\nport = 1\nsentinels = 127.0.0.1:1\nbody-max = 10\n", f);
  fclose(f);
  reload();
  log_says("listen and port change with a restart only");
  assert_int_equal(status_of(ask(PUT_20)), 413);
}

static void it_may_open_as_many_files_as_it_may(void **state) {
  struct rlimit files;
  (void)state;
  assert_int_equal(prlimit(service, RLIMIT_NOFILE, NULL, &files), 0);
  assert_int_equal(files.rlim_cur, 300);
}

static void check_finds_a_file_of_tls_that_cannot_be_read(void **state) {
  int status = 0;
  (void)state;
  write_settings("tls-ca = /nonexistent/ca.pem\n");
  pid_t pid = spawn("--check");
  log_says("/nonexistent/ca.pem: No such file");
  assert_int_equal(waitpid(pid, &status, 0), pid);
  close(out);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 2);
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      SERVED(settings_are_read_again),
      SERVED(a_request_under_way_is_kept),
      SERVED(a_bad_file_changes_nothing),
      SERVED(another_port_needs_a_restart),
      SERVED(it_may_open_as_many_files_as_it_may),
      cmocka_unit_test(check_finds_a_file_of_tls_that_cannot_be_read),
  };
  return cmocka_run_group_tests(tests, open_socket, remove_all);
}
