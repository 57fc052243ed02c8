/* config: the settings of the service, from a file of `key = value` lines.
 *
 * A line is empty, a comment (its first character that is not a blank is '#'), or one setting. Blanks around key and
 * value are dropped; the value is taken as it stands, so a password may hold '#', '=' and blanks inside.
 * The parser is strict: an unknown or repeated key, a number out of its range, a malformed address or a missing
 * required key is an error `file:line: what is wrong`. No message ever holds the value of a secret. */
#ifndef CONFIG_H
#define CONFIG_H

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_SENTINELS_MAX 16
#define CONFIG_TEXT_MAX 256
#define CONFIG_ERROR_MAX 512

enum config_durability {
  CONFIG_ASYNC,      /* acknowledged when the primary has the write */
  CONFIG_REPLICATED, /* ... and every replica that could be promoted, at least `replicas-required` */
  CONFIG_FSYNCED,    /* ... and the disks of all of these */
  CONFIG_DURABILITIES
};
extern const char *const config_durabilities[]; /* their names */

struct config {
  char listen[CONFIG_TEXT_MAX];           /* address to listen on */
  unsigned port;                          /* 0 lets the system choose; --port overrules it */
  struct addr sentinels[CONFIG_SENTINELS_MAX]; /* required */
  size_t sentinel_count;
  char master_name[CONFIG_TEXT_MAX];
  char sentinel_password[CONFIG_TEXT_MAX]; /* empty: none */
  char redis_user[CONFIG_TEXT_MAX];        /* empty: the default user */
  char redis_password[CONFIG_TEXT_MAX];    /* empty: none */
  /* PEM files; tls_ca empty: plain TCP, cert and key empty: none. tls_name empty: the peer's IP address is its name */
  char tls_ca[CONFIG_TEXT_MAX], tls_cert[CONFIG_TEXT_MAX], tls_key[CONFIG_TEXT_MAX], tls_name[CONFIG_TEXT_MAX];
  unsigned session_ttl_s;
  enum config_durability durability;
  unsigned replicas_required;
  unsigned replica_priority;  /* the one that replicas have in normal times; 0: theirs is never touched */
  unsigned exclude_after_ms;  /* a replica that lags this long is taken out of the count */
  unsigned wait_ms;           /* how long one WAIT blocks before it is asked again for the replicas that count by then */
  unsigned request_id_ttl_s;  /* how long a write's request id is remembered, at least; twice as long at most */
  unsigned write_connections; /* over which batches of writes are spread */
  unsigned hold_ms;           /* how long a request waits for a primary before 503 */
  unsigned hold_max;          /* how many reads, and how many writes, may wait */
  unsigned redis_timeout_ms;  /* deadline of one command */
  unsigned redis_ping_ms;     /* silence after which we ask PING */
  unsigned redis_dead_ms;     /* silence after which the connection is given up; more than redis_ping_ms */
  unsigned client_timeout_ms; /* for a client to send one request, or to take one answer */
  unsigned connections_max;   /* of clients; 0: what RLIMIT_NOFILE allows, less some of our own */
  unsigned body_max;          /* bytes */
  unsigned drain_ms;          /* from SIGTERM to the end at the latest */
};

/* Parses `text`, which is changed; `name` stands for the file in messages. False: `error` says why. */
bool config_parse(struct config *c, char *text, const char *name, char error[static CONFIG_ERROR_MAX]);
/* Overrules one setting; `name` stands for the place in messages. `value` may be changed. */
bool config_set(struct config *c, const char *key, char *value, const char *name, char error[static CONFIG_ERROR_MAX]);
/* config_parse from a file. */
bool config_load(struct config *c, const char *path, char error[static CONFIG_ERROR_MAX]);

#endif
