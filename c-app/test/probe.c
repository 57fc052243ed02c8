/* probe: a writer and reader for failover.sh. Over one keep-alive connection at a time to sessiond it PUTs unique
 * values, and GETs, without pause, for the given time, and notes every answer. With `verify` it reads back.
 *
 *   probe run PORT SECONDS LEDGER     one line per PUT: "id status start-ms end-ms", status 0 when the answer was lost
 *   probe verify PORT LEDGER          every write that got 204 must be readable with its value; says how many are not
 *   probe stall LEDGER KILL-MS AT-LEAST-MS   the time from the kill to the first 204 that came more than 100 ms after it,
 *                                     the longest wait, and the statuses; fails when that time
 *                                     is less than AT-LEAST-MS
 * Times are CLOCK_REALTIME in milliseconds, as `date +%s%3N` gives them. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 10};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

/* Sends one request and reads one answer. Returns the status, 0 when the connection failed; the body goes to `body`. */
static int request(int fd, const char *text, char *body, size_t size) {
  char in[4096];
  size_t have = 0, len = strlen(text);
  if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) return 0;
  for (;;) {
    ssize_t n = recv(fd, in + have, sizeof in - 1 - have, 0);
    if (n <= 0) return 0;
    have += (size_t)n;
    in[have] = '\0';
    const char *end = strstr(in, "\r\n\r\n");
    if (end == NULL) continue;
    const char *length = strstr(in, "Content-Length: ");
    size_t want = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
    if (have - (size_t)(end + 4 - in) < want) continue;
    if (body != NULL && want < size) {
      memcpy(body, end + 4, want);
      body[want] = '\0';
    }
    return (int)strtol(in + 9, NULL, 10);
  }
}

static int run(int port, int seconds, const char *path) {
  FILE *ledger = fopen(path, "w");
  if (ledger == NULL) return 1;
  long long stop = now_ms() + seconds * 1000LL;
  unsigned long sequence = 0;
  int fd = -1;
  while (now_ms() < stop) {
    char text[512], id[64];
    snprintf(id, sizeof id, "w%ld-%lu", (long)getpid(), sequence++);
    snprintf(text, sizeof text, "PUT /v1/sessions/%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\nv-%s", id, strlen(id) + 2, id);
    long long start = now_ms();
    if (fd < 0) fd = dial(port);
    int status = fd < 0 ? 0 : request(fd, text, NULL, 0);
    fprintf(ledger, "%s %d %lld %lld\n", id, status, start, now_ms());
    if (status == 0 && fd >= 0) {
      close(fd);
      fd = -1;
    }
    usleep(2000);
  }
  if (fd >= 0) close(fd);
  return fclose(ledger) == 0 ? 0 : 1;
}

static int verify(int port, const char *path) {
  char id[64], text[512], body[256], want[80];
  int status, fd = dial(port);
  unsigned long acked = 0, lost = 0;
  FILE *ledger = fopen(path, "r");
  if (ledger == NULL || fd < 0) return 1;
  while (fscanf(ledger, "%63s %d %*d %*d", id, &status) == 2) {
    if (status != 204) continue;
    acked++;
    snprintf(text, sizeof text, "GET /v1/sessions/%s HTTP/1.1\r\nHost: h\r\n\r\n", id);
    snprintf(want, sizeof want, "v-%s", id);
    status = request(fd, text, body, sizeof body);
    if (status == 200 && strcmp(body, want) == 0) continue;
    lost++;
    if (lost <= 3) fprintf(stderr, "lost: %s (status %d)\n", id, status);
    if (status == 0) break;
  }
  printf("acknowledged %lu, lost %lu\n", acked, lost);
  fclose(ledger);
  close(fd);
  return lost == 0 && acked > 0 ? 0 : 1;
}

static int stall(const char *path, long long killed, long long at_least) {
  char id[64];
  int status;
  long long start, end, first = -1, longest = 0;
  unsigned long total = 0, ok = 0, unavailable = 0, none = 0;
  FILE *ledger = fopen(path, "r");
  if (ledger == NULL) return 1;
  while (fscanf(ledger, "%63s %d %lld %lld", id, &status, &start, &end) == 4) {
    total++;
    if (status == 204) ok++;
    if (status == 503) unavailable++;
    if (status == 0) none++;
    if (end - start > longest) longest = end - start;
    if (first < 0 && status == 204 && end > killed + 100) first = end - killed;
  }
  fclose(ledger);
  printf("first write answered %lld ms after the fault; longest wait %lld ms; %lu writes: %lu ok, %lu times 503, %lu without answer\n", first,
         longest, total, ok, unavailable, none);
  if (first < at_least) printf("a write was acknowledged sooner than after %lld ms\n", at_least);
  return first >= at_least ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "run") == 0) return run(atoi(argv[2]), atoi(argv[3]), argv[4]);
  if (argc == 4 && strcmp(argv[1], "verify") == 0) return verify(atoi(argv[2]), argv[3]);
  if (argc == 5 && strcmp(argv[1], "stall") == 0) return stall(argv[2], atoll(argv[3]), atoll(argv[4]));
  fputs("usage: probe run PORT SECONDS LEDGER | verify PORT LEDGER | stall LEDGER KILL-MS\n", stderr);
  return 2;
}
