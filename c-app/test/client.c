#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t service;
unsigned service_port;

/* Nothing listens on port 1: there is never a primary. */
static const char common[] = "listen = 127.0.0.1\nport = 0\nsentinels = 127.0.0.1:1\n";

void service_start(const char *settings, unsigned files) {
  char path[] = "/tmp/sessiond-test-XXXXXX", line[256] = "";
  int out[2], file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, common, sizeof common - 1), sizeof common - 1);
  assert_int_equal(write(file, settings, strlen(settings)), strlen(settings));
  assert_int_equal(pipe(out), 0);
  service = fork();
  assert_true(service >= 0);
  if (service == 0) {
    const char *program = getenv("SESSIOND");
    struct rlimit limit = {.rlim_cur = files, .rlim_max = files};
    dup2(out[1], STDERR_FILENO);
    for (int fd = 3; fd < 1024; fd++) close(fd);
    if (files > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0) _exit(126);
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
  service_port = (unsigned)strtoul(at + 5, NULL, 10);
  /* The pipe stays open, for its further lines. */
  unlink(path);
}

int service_stop(void) {
  int status = -1;
  if (service == 0) return 0;
  kill(service, SIGTERM);
  if (waitpid(service, &status, 0) != service) return -1;
  service = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

long long now_ms(void) {
  struct timespec t;
  assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int dial_to(unsigned port, const char *from) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in self = {.sin_family = AF_INET};
  struct timeval limit = {.tv_sec = 5};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  if (from != NULL) {
    assert_int_equal(inet_pton(AF_INET, from, &self.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&self, sizeof self), 0);
  }
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail_msg("connect to %u: %s", port, strerror(errno));
  return fd;
}

int dial(void) { return dial_to(service_port, NULL); }

void say(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text)); }

static char in[262144];

char *hear(int fd, const char *until) {
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

char *hear_for(int fd, unsigned ms) {
  struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  size_t have = 0;
  ssize_t n;
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  while (have < sizeof in - 1 && (n = recv(fd, in + have, sizeof in - 1 - have, 0)) > 0) have += (size_t)n;
  in[have] = '\0';
  return in;
}

char *exchange(const char *text, bool bytes) {
  int fd = dial();
  for (size_t i = 0; bytes && i < strlen(text); i++) assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
  if (!bytes) say(fd, text);
  char *answer = hear(fd, NULL);
  close(fd);
  return answer;
}

void reset(int fd) {
  struct linger now = {.l_onoff = 1};
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  close(fd);
}

void assert_in(const char *part, const char *answer) {
  if (strstr(answer, part) == NULL) fail_msg("\"%s\" is not in: %s", part, answer);
}

void assert_starts(const char *part, const char *answer) {
  if (strncmp(answer, part, strlen(part)) != 0) fail_msg("\"%s\" does not begin: %s", part, answer);
}

unsigned count(const char *part, const char *text) {
  unsigned n = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part)) n++;
  return n;
}

unsigned long metric(const char *name, const char *labels) {
  unsigned long sum = 0;
  size_t len = strlen(name);
  char *rest = exchange("GET /metrics HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false), *line;
  while ((line = strsep(&rest, "\n")) != NULL) {
    if (strncmp(line, name, len) != 0 || (line[len] != ' ' && line[len] != '{') || strstr(line, labels) == NULL) continue;
    sum += strtoul(strrchr(line, ' '), NULL, 10);
  }
  return sum;
}
