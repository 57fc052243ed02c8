#include "notify.h"

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
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

void notify_init(struct notify *n, uv_loop_t *loop) {
  *n = (struct notify){.fd = open_socket(getenv("NOTIFY_SOCKET"))};
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  if (n->fd < 0 || usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) return;
  unsigned long long ms = strtoull(usec, NULL, 10) / 2000;
  if (ms == 0 || uv_timer_init(loop, &n->timer) < 0) return;
  n->timer.data = n;
  n->has_timer = true;
  uv_timer_start(&n->timer, on_timer, ms, ms);
}

void notify_send(struct notify *n, const char *message) {
  if (n->fd < 0) return;
  ssize_t sent = send(n->fd, message, strlen(message), MSG_NOSIGNAL);
  (void)sent;
}

void notify_reloading(struct notify *n) {
  char message[64];
  snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)uv_hrtime() / 1000);
  notify_send(n, message);
}

void notify_stop(struct notify *n) {
  if (n->has_timer) uv_close((uv_handle_t *)&n->timer, NULL);
  n->has_timer = false;
  if (n->fd >= 0) close(n->fd);
  n->fd = -1;
}
