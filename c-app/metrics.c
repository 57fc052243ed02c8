#include "metrics.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STATUS_MAX 599

struct metrics metrics;

static const char *const routes[ROUTE_COUNT] = {"none", "healthz", "readyz", "metrics", "session_get", "session_put", "session_delete"};
const char *const metrics_redis_errors[REDIS_ERROR_COUNT] = {"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS",
                                                             "MISCONF",  "OOM",     "NOSCRIPT",   "other"};

/* Upper bounds in microseconds; the last bucket, +Inf, is the count. */
static const uint32_t bounds_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};
#define BOUNDS (sizeof bounds_us / sizeof bounds_us[0])

static struct {
  uint64_t by_status[STATUS_MAX + 1];
  uint64_t buckets[BOUNDS];    /* not cumulative here */
  uint64_t count, sum_ns;
} requests[ROUTE_COUNT];

void metrics_request(enum metrics_route route, int status, uint64_t duration_ns) {
  requests[route].by_status[status]++;
  requests[route].count++;
  requests[route].sum_ns += duration_ns;
  for (size_t i = 0; i < BOUNDS; i++) {
    if (duration_ns <= (uint64_t)bounds_us[i] * 1000) {
      requests[route].buckets[i]++;
      return;
    }
  }
}

static void head(FILE *f, const char *name, const char *type, const char *help) {
  fprintf(f, "# HELP sessiond_%s %s\n# TYPE sessiond_%s %s\n", name, help, name, type);
}

static void write_requests(FILE *f) {
  head(f, "requests_total", "counter", "Requests answered, by route and status code.");
  for (size_t r = 0; r < ROUTE_COUNT; r++) {
    for (int status = 0; status <= STATUS_MAX; status++) {
      uint64_t n = requests[r].by_status[status];
      if (n > 0) fprintf(f, "sessiond_requests_total{route=\"%s\",code=\"%d\"} %" PRIu64 "\n", routes[r], status, n);
    }
  }
  head(f, "request_duration_seconds", "histogram", "From the complete request to its answer.");
  for (size_t r = 0; r < ROUTE_COUNT; r++) {
    uint64_t sum = 0;
    if (requests[r].count == 0) continue;
    for (size_t i = 0; i < BOUNDS; i++) {
      sum += requests[r].buckets[i];
      fprintf(f, "sessiond_request_duration_seconds_bucket{route=\"%s\",le=\"%g\"} %" PRIu64 "\n", routes[r], bounds_us[i] / 1e6, sum);
    }
    fprintf(f, "sessiond_request_duration_seconds_bucket{route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
               "sessiond_request_duration_seconds_sum{route=\"%s\"} %.9f\n"
               "sessiond_request_duration_seconds_count{route=\"%s\"} %" PRIu64 "\n",
            routes[r], requests[r].count, routes[r], (double)requests[r].sum_ns / 1e9, routes[r], requests[r].count);
  }
}

/* One counter for each of `count` labels. */
static void write_labelled(FILE *f, const char *name, const char *help, const char *label, const char *const *labels, const uint64_t *values,
                           size_t count) {
  head(f, name, "counter", help);
  for (size_t i = 0; i < count; i++) fprintf(f, "sessiond_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, labels[i], values[i]);
}

char *metrics_text(size_t *len) {
  const struct metrics *m = &metrics;
  const struct {
    const char *name, *type, *help;
    double value;
  } table[] = {
      {"connections", "gauge", "Open connections of clients.", (double)m->connections},
      {"accept_pauses_total", "counter", "Times that no further client was accepted: connections-max was reached.", (double)m->accept_pauses},
      {"has_primary", "gauge", "1 while connected to a verified primary.", (double)m->has_primary},
      {"ready", "gauge", "1 while writes can be acknowledged.", (double)m->ready},
      {"replicas_linked", "gauge", "Replicas linked to the primary.", (double)m->replicas_linked},
      {"replicas_required", "gauge", "Replicas that a write waits for.", (double)m->replicas_required},
      {"replicas_excluded", "gauge", "Replicas that may not be promoted (replica-priority 0) and are not waited for.", (double)m->replicas_excluded},
      {"sentinels_connected", "gauge", "Sentinels that answer.", (double)m->sentinels},
      {"queue_depth", "gauge", "Requests not sent to Redis yet.", (double)m->queued},
      {"held", "gauge", "Of these, waiting for a primary or its replicas.", m->ready ? 0 : (double)m->queued},
      {"held_total", "counter", "Requests that had to wait for a primary.", (double)m->held},
      {"held_expired_total", "counter", "Held requests that reached their deadline.", (double)m->held_expired},
      {"held_refused_total", "counter", "Requests refused because too many were held.", (double)m->held_refused},
      {"resent_total", "counter", "Requests sent again, their connection lost or Redis not ready.", (double)m->resent},
      {"guard_hits_total", "counter", "Writes sent again that were found applied already.", (double)m->guarded},
      {"writes_unknown_total", "counter", "Writes whose outcome is not known.", (double)m->unknown},
      {"wait_short_total", "counter", "WAITs that too few replicas answered.", (double)m->wait_short},
      {"discoveries_total", "counter", "Searches for the primary.", (double)m->discoveries},
      {"failovers_total", "counter", "Changes of the primary followed.", (double)m->failovers},
      {"without_primary_seconds_total", "counter", "Time without a primary.", (double)(m->lost_ms + m->searching_ms) / 1e3},
      {"redis_connections_lost_total", "counter", "Connections to the primary that broke.", (double)m->connections_lost},
  };
  char *text = NULL;
  FILE *f = open_memstream(&text, len);
  if (f == NULL) return NULL;
  head(f, "build_info", "gauge", "The running version.");
  fprintf(f, "sessiond_build_info{version=\"%s\"} 1\n", SESSIOND_VERSION);
  write_requests(f);
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    head(f, table[i].name, table[i].type, table[i].help);
    fprintf(f, "sessiond_%s %.15g\n", table[i].name, table[i].value);
  }
  write_labelled(f, "acknowledged_writes_total", "Writes answered with success.", "durability", config_durabilities, m->acked, CONFIG_DURABILITIES);
  write_labelled(f, "redis_errors_total", "Error answers of Redis.", "kind", metrics_redis_errors, m->redis_errors, REDIS_ERROR_COUNT);
  bool failed = ferror(f) != 0;
  if (fclose(f) == 0 && !failed) return text;
  free(text);
  return NULL;
}
