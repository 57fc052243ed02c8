#include "notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket each time: messages are few, and nothing is to be kept or closed. */
void notify_send(const char *message) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t len = path != NULL ? strlen(path) : 0;
  if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return;
  memcpy(to.sun_path, path, len);
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0'; /* the abstract namespace */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
  close(fd);
}

static void on_timer(uv_timer_t *timer) {
  (void)timer;
  notify_send("WATCHDOG=1");
}

void notify_init(uv_timer_t *watchdog, uv_loop_t *loop) {
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  bool ours = usec != NULL && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid());
  unsigned long long ms = ours ? strtoull(usec, NULL, 10) / 2000 : 0;
  uv_timer_init(loop, watchdog);
  if (ms > 0) uv_timer_start(watchdog, on_timer, ms, ms);
}

void notify_reloading(void) {
  char message[64];
  snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)uv_hrtime() / 1000);
  notify_send(message);
}
