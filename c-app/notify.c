#include "notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void on_timer(uv_timer_t *timer) { notify_send(timer->data, "WATCHDOG=1"); }

static int open_socket(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t len = path != NULL ? strlen(path) : 0;
  if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return -1;
  memcpy(to.sun_path, path, len);
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0'; /* the abstract namespace */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0) return fd;
  close(fd);
  return -1;
}

void notify_init(struct notify *n, uv_loop_t *loop) {
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  bool ours = usec != NULL && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid());
  unsigned long long ms = ours ? strtoull(usec, NULL, 10) / 2000 : 0;
  n->fd = open_socket(getenv("NOTIFY_SOCKET"));
  uv_timer_init(loop, &n->timer);
  n->timer.data = n;
  if (n->fd >= 0 && ms > 0) uv_timer_start(&n->timer, on_timer, ms, ms);
}

void notify_send(struct notify *n, const char *message) {
  if (n->fd >= 0 && send(n->fd, message, strlen(message), MSG_NOSIGNAL) < 0) return;
}

void notify_reloading(struct notify *n) {
  char message[64];
  snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)uv_hrtime() / 1000);
  notify_send(n, message);
}

void notify_stop(struct notify *n) {
  uv_close((uv_handle_t *)&n->timer, NULL);
  if (n->fd >= 0) close(n->fd);
  n->fd = -1;
}
