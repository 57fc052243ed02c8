/* Clients that do harm. Meanwhile a normal one gets every answer soon, on a connection of its own that stays open; afterwards
 * every hostile connection is gone. $SESSIOND is the release build: memory and time are measured. slowhttptest has the known attacks. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET "GET /healthz HTTP/1.1\r\n" H "\r\n"
#define SETTINGS "client-timeout-ms = 1000\nhold-ms = 200\ndrain-ms = 1000\nbody-max = 100000\n"
#define SOON_MS 500
#define IDLE 10000
#define IDLE_MEASURED 4000
#define IDLE_BYTES_MAX 1024

/* What the normal client has seen, shared with it. */
struct seen {
  volatile bool stop;
  unsigned long answers, failures;
  long long worst_ms;
};
static struct seen *seen;
static pid_t normal;

static bool ask_once(int fd) {
  char in[512];
  size_t have = 0;
  if (send(fd, GET, sizeof GET - 1, MSG_NOSIGNAL) != sizeof GET - 1) return false;
  while (have < 3 || memcmp(in + have - 3, "ok\n", 3) != 0) {
    ssize_t n = recv(fd, in + have, sizeof in - have, 0);
    if (n <= 0) return false;
    have += (size_t)n;
  }
  return true;
}

static void start_normal(void) {
  int fd = dial();
  assert_true(ask_once(fd));
  *seen = (struct seen){0};
  normal = fork();
  assert_true(normal >= 0);
  if (normal > 0) {
    close(fd);
    return;
  }
  while (!seen->stop && seen->failures == 0) {
    long long begun = now_ms();
    if (ask_once(fd)) {
      seen->answers++;
    } else {
      seen->failures++;
    }
    if (now_ms() - begun > seen->worst_ms) seen->worst_ms = now_ms() - begun;
    usleep(5000);
  }
  _exit(0);
}

static void assert_normal(const char *during) {
  seen->stop = true;
  assert_int_equal(waitpid(normal, NULL, 0), normal);
  normal = 0;
  print_message("%s: %lu answers, the slowest after %lld ms\n", during, seen->answers, seen->worst_ms);
  assert_int_equal(seen->failures, 0);
  assert_true(seen->answers > 10);
  assert_true(seen->worst_ms <= SOON_MS);
}

/* Only the connection that asks is left, within five seconds. */
static void assert_all_gone(void) {
  unsigned long left = 0;
  for (int i = 0; i < 50; i++) {
    left = metric("sessiond_connections", "");
    if (left == 1) return;
    usleep(100000);
  }
  fail_msg("%lu connections are left", left);
}

static int start(void **state) {
  (void)state;
  service_start(SETTINGS, 0);
  return 0;
}

static int stop(void **state) {
  (void)state;
  if (normal > 0) {
    seen->stop = true;
    waitpid(normal, NULL, 0);
    normal = 0;
  }
  return service_stop();
}

/* The service's own memory, in bytes. */
static long private_bytes(void) {
  char path[64], line[256];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)service);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  while (fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, "Private_", 8) == 0) kb += strtol(strchr(line, ':') + 1, NULL, 10);
  }
  fclose(f);
  return kb * 1024;
}

static void idle_connections_cost_little_and_stop_nobody(void **state) {
  static int fd[IDLE];
  char from[32];
  (void)state;
  start_normal();
  long before = private_bytes();
  for (int i = 0; i < IDLE; i++) {
    snprintf(from, sizeof from, "127.0.0.%d", 2 + i % 8);
    fd[i] = dial_to(service_port, from);
    assert_true(ask_once(fd[i]));
    if (i + 1 != IDLE_MEASURED) continue;
    long each = (private_bytes() - before) / IDLE_MEASURED;
    print_message("an idle connection takes %ld bytes\n", each);
    assert_true(each <= IDLE_BYTES_MAX);
  }
  usleep(300000);
  assert_int_equal(metric("sessiond_connections", ""), IDLE + 2);
  for (int i = 0; i < IDLE; i++) close(fd[i]);
  assert_normal("10,000 idle connections");
  assert_all_gone();
}

static void known_slow_attacks_stop_nobody(void **state) {
  static const char *const modes[] = {"-H", "-B", "-X"};
  char url[64];
  pid_t pid[COUNT(modes)];
  (void)state;
  snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/sessions/a", service_port);
  start_normal();
  for (size_t i = 0; i < COUNT(modes); i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] > 0) continue;
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp("slowhttptest", "slowhttptest", modes[i], "-c", "300", "-r", "150", "-i", "1", "-l", "6", "-p", "1", "-u", url, (char *)NULL);
    _exit(127);
  }
  for (size_t i = 0; i < COUNT(modes); i++) {
    int status;
    assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) fail_msg("slowhttptest is not installed (test-deps.txt)");
  }
  assert_normal("slow headers, bodies and readers");
  assert_all_gone();
}

static void readers_that_never_read_are_cut(void **state) {
  int fd[100];
  (void)state;
  start_normal();
  long before = private_bytes();
  for (size_t i = 0; i < COUNT(fd); i++) {
    int small = 4096;
    static const char get[] = "GET /metrics HTTP/1.1\r\n" H "\r\n";
    fd[i] = dial();
    assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (int n = 0; n < 5000; n++) {
      if (send(fd[i], get, sizeof get - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    }
  }
  usleep(200000);
  long each = (private_bytes() - before) / (long)COUNT(fd);
  print_message("a reader that never reads takes %ld bytes\n", each);
  assert_true(each < 262144);
  assert_normal("readers that never read");
  assert_all_gone();
  for (size_t i = 0; i < COUNT(fd); i++) close(fd[i]);
}

static void resets_in_the_middle_stop_nobody(void **state) {
  static const char *const parts[] = {"GET /heal", "PUT /v1/sessions/a HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nhalf",
                                      "PUT /v1/sessions/a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n4\r\nha",
                                      "PUT /v1/sessions/a HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx", GET GET GET "GET /metrics"};
  (void)state;
  start_normal();
  for (size_t i = 0; i < 2000; i++) {
    int fd = dial();
    say(fd, parts[i % COUNT(parts)]);
    if (i % 3 == 0) usleep(200);
    reset(fd);
  }
  assert_normal("resets");
  assert_all_gone();
}

static long long service_cpu_us(void) {
  char path[64];
  long long ns = 0;
  snprintf(path, sizeof path, "/proc/%d/schedstat", (int)service);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%lld", &ns), 1);
  fclose(f);
  return ns / 1000;
}

static int start_with_few_files(void **state) {
  (void)state;
  service_start(SETTINGS, 64);
  return 0;
}

static void without_descriptors_new_clients_wait(void **state) {
  int fd[100];
  (void)state;
  start_normal();
  for (size_t i = 0; i < COUNT(fd); i++) {
    fd[i] = dial();
    say(fd[i], GET);
  }
  usleep(100000);
  long long cpu = service_cpu_us();
  usleep(500000);
  cpu = service_cpu_us() - cpu;
  print_message("%lld us of CPU in half a second while full\n", cpu);
  assert_true(cpu < 100000);
  /* Each one that goes makes room for one that waits; nobody was dropped. */
  for (size_t i = 0; i < COUNT(fd); i++) {
    assert_starts("HTTP/1.1 200 ", hear(fd[i], "ok\n"));
    close(fd[i]);
  }
  assert_normal("no descriptors");
  assert_all_gone();
  assert_true(metric("sessiond_accept_pauses_total", "") > 0);
}

int main(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return 1;
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max < IDLE + 200) {
    fputs("RLIMIT_NOFILE is too low for 10,000 connections\n", stderr);
    return 1;
  }
  seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (seen == MAP_FAILED) return 1;
#define SERVED(f) cmocka_unit_test_setup_teardown(f, start, stop)
  const struct CMUnitTest tests[] = {
      SERVED(idle_connections_cost_little_and_stop_nobody),
      SERVED(known_slow_attacks_stop_nobody),
      SERVED(readers_that_never_read_are_cut),
      SERVED(resets_in_the_middle_stop_nobody),
      cmocka_unit_test_setup_teardown(without_descriptors_new_clients_wait, start_with_few_files, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
