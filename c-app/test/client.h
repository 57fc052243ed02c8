/* client: the program as it is ($SESSIOND) on a free port, and a client that says what it wants, byte by byte. */
#ifndef CLIENT_H
#define CLIENT_H

#include "check.h"

#include <sys/types.h>

#define H "Host: h\r\n"

extern pid_t service;
extern unsigned service_port;

/* `settings` are added to: an address, a free port, and a Sentinel that is never there. `files` is its RLIMIT_NOFILE, 0: ours. */
void service_start(const char *settings, unsigned files);
/* Ends it; 0 when it ended well. */
int service_stop(void);

long long now_ms(void);
/* To the service, or to another port; from 127.0.0.1, or from another loopback address. */
int dial(void);
int dial_to(unsigned port, const char *from);
void say(int fd, const char *text);
/* Everything until the other side closes, or until `until` was read. Lives until the next call. */
char *hear(int fd, const char *until);
/* The same without failing: after `ms` of silence, or a reset, it returns what there is. */
char *hear_for(int fd, unsigned ms);
/* One request on a connection of its own, whole or byte by byte. */
char *exchange(const char *text, bool bytes);
void reset(int fd);
void assert_in(const char *part, const char *answer);
void assert_starts(const char *part, const char *answer);
unsigned count(const char *part, const char *text);
/* The sum of a metric over its labels; `labels` picks those whose line has this text ("" for all). */
unsigned long metric(const char *name, const char *labels);

#endif
