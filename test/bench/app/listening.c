/* listening CPU PORT PROGRAM ARGS...: starts the program on that processor and prints the nanoseconds from just before the fork to
 * the first connection that 127.0.0.1:PORT accepts; then kills it and what it started. A program of its own, because the caller's
 * process start would be most of the figure. Fails when nothing listens within 5 s. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool accepts(unsigned port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  /* A reset instead of a goodbye: the port is free again at once. */
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool connected = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  return connected;
}

static void run(int cpu, char **argv) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
  setpgid(0, 0);
  /* What it prints is not the answer. */
  int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, 1);
  dup2(nowhere, 2);
  execvp(argv[0], argv);
  _exit(127);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  unsigned port = (unsigned)atoi(argv[2]);
  if (accepts(port)) return 3;
  long long begun = now_ns();
  pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) run(atoi(argv[1]), argv + 3);
  bool listens = false;
  while (!listens && now_ns() - begun < 5000000000LL && waitpid(child, NULL, WNOHANG) == 0) {
    listens = accepts(port);
    if (!listens) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
  }
  long long took = now_ns() - begun;
  kill(-child, SIGKILL);
  waitpid(child, NULL, 0);
  if (!listens) return 1;
  printf("%lld\n", took);
  return 0;
}
