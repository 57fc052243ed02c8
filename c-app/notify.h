/* notify: tells systemd how the service is (sd_notify), without libsystemd: a datagram to $NOTIFY_SOCKET.
 *
 * Without that variable every call does nothing. The unit needs Type=notify or notify-reload; with WatchdogSec= the service also reports
 * that its loop turns, twice in that time. READY means that it listens: Redis has no part in it. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <uv.h>

/* Starts the watchdog's timer when $WATCHDOG_USEC asks for one. The timer is the caller's, who closes it. */
void notify_init(uv_timer_t *watchdog, uv_loop_t *loop);
/* "READY=1", "STOPPING=1" ... A message that cannot be sent is dropped: systemd's time limit then decides. */
void notify_send(const char *message);
/* RELOADING=1, with the time as Type=notify-reload wants it. READY=1 ends it. */
void notify_reloading(void);

#endif
