/* metrics: what the service counts, and its text in Prometheus' format. One set per process; single-threaded. */
#ifndef METRICS_H
#define METRICS_H

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metrics_route {
  ROUTE_NONE, /* refused before a route was known, or no such path */
  ROUTE_HEALTHZ,
  ROUTE_READYZ,
  ROUTE_METRICS,
  ROUTE_SESSION_GET,
  ROUTE_SESSION_PUT,
  ROUTE_SESSION_DELETE,
  ROUTE_COUNT
};

/* Answers of Redis that need another handling than "failed". */
enum metrics_redis_error {
  REDIS_READONLY,
  REDIS_LOADING,
  REDIS_MASTERDOWN,
  REDIS_NOREPLICAS,
  REDIS_MISCONF,
  REDIS_OOM,
  REDIS_NOSCRIPT,
  REDIS_OTHER,
  REDIS_ERROR_COUNT
};

struct metrics {
  /* Counters that only grow; whoever sees the event adds to them. */
  uint64_t held;             /* requests that had to wait for a primary */
  uint64_t held_expired;     /* of these: answered 503 at their deadline */
  uint64_t held_refused;     /* answered 503 because the queue was full */
  uint64_t resent;           /* sent again after the connection was lost */
  uint64_t guarded;          /* writes sent again that were found applied already */
  uint64_t unknown;          /* writes whose outcome is not known: 503 */
  uint64_t acked[CONFIG_DURABILITIES];
  uint64_t wait_short;       /* WAITs that too few replicas answered */
  uint64_t redis_errors[REDIS_ERROR_COUNT];
  uint64_t connections_lost; /* to the primary */
  uint64_t accept_pauses;    /* times that no further client was accepted, connections_max being reached */
  uint64_t discoveries;      /* times that a search for the primary began */
  uint64_t failovers;        /* announcements of another address than before */
  uint64_t lost_ms;          /* time spent in searches that have ended */
  /* What is now: `connections` and `sentinels` always, the others since the last store_measure. */
  uint64_t connections;      /* of clients */
  uint64_t sentinels;        /* that answer */
  uint64_t queued;           /* requests in the store's queues */
  uint64_t searching_ms;     /* time spent in the search that runs */
  uint64_t replicas_linked, replicas_required, replicas_excluded;
  bool has_primary, ready;
};
extern struct metrics metrics;
/* The first word of such an answer; the last is none. */
extern const char *const metrics_redis_errors[REDIS_ERROR_COUNT];

/* `status` is at most 599. */
void metrics_request(enum metrics_route route, int status, uint64_t duration_ns);
/* The text, to be freed; NULL when memory is short. */
char *metrics_text(size_t *len);

#endif
