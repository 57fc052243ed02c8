#include "metrics.h"
#include "version.h"

#include <inttypes.h>

struct metrics metrics;

static const char *const routes[ROUTE_COUNT] = {"none", "healthz", "readyz", "metrics", "session_get", "session_put", "session_delete"};
static const char *const redis_errors[REDIS_ERROR_COUNT] = {"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "OOM", "other"};

static const int codes[] = {200, 204, 400, 404, 405, 408, 413, 414, 417, 431, 500, 503, 505};
#define CODES (sizeof codes / sizeof codes[0])

/* Upper bounds in microseconds; the last bucket, +Inf, is the count. */
static const uint32_t bounds_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};
#define BOUNDS (sizeof bounds_us / sizeof bounds_us[0])

static struct {
  uint64_t by_code[CODES + 1]; /* the last: a code that is not in the list */
  uint64_t buckets[BOUNDS];    /* not cumulative here */
  uint64_t count, sum_ns;
} requests[ROUTE_COUNT];

void metrics_request(enum metrics_route route, int status, uint64_t duration_ns) {
  size_t i = 0;
  while (i < CODES && codes[i] != status) i++;
  requests[route].by_code[i]++;
  requests[route].count++;
  requests[route].sum_ns += duration_ns;
  for (i = 0; i < BOUNDS; i++) {
    if (duration_ns <= (uint64_t)bounds_us[i] * 1000) {
      requests[route].buckets[i]++;
      return;
    }
  }
}

static bool metric(struct buf *b, const char *name, const char *type, const char *help, uint64_t value) {
  return buf_printf(b, "# HELP sessiond_%s %s\n# TYPE sessiond_%s %s\nsessiond_%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static bool write_requests(struct buf *b) {
  bool ok = buf_printf(b, "# HELP sessiond_requests_total Requests answered, by route and status code.\n"
                          "# TYPE sessiond_requests_total counter\n");
  for (size_t r = 0; r < ROUTE_COUNT; r++) {
    for (size_t c = 0; c < CODES; c++) {
      if (requests[r].by_code[c] == 0) continue;
      ok = ok && buf_printf(b, "sessiond_requests_total{route=\"%s\",code=\"%d\"} %" PRIu64 "\n", routes[r], codes[c], requests[r].by_code[c]);
    }
    if (requests[r].by_code[CODES] == 0) continue;
    ok = ok && buf_printf(b, "sessiond_requests_total{route=\"%s\",code=\"other\"} %" PRIu64 "\n", routes[r], requests[r].by_code[CODES]);
  }
  ok = ok && buf_printf(b, "# HELP sessiond_request_duration_seconds From the complete request to its answer.\n"
                           "# TYPE sessiond_request_duration_seconds histogram\n");
  for (size_t r = 0; r < ROUTE_COUNT; r++) {
    uint64_t sum = 0;
    if (requests[r].count == 0) continue;
    for (size_t i = 0; i < BOUNDS; i++) {
      sum += requests[r].buckets[i];
      ok = ok && buf_printf(b, "sessiond_request_duration_seconds_bucket{route=\"%s\",le=\"%g\"} %" PRIu64 "\n", routes[r], bounds_us[i] / 1e6, sum);
    }
    ok = ok && buf_printf(b, "sessiond_request_duration_seconds_bucket{route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                             "sessiond_request_duration_seconds_sum{route=\"%s\"} %.9f\n"
                             "sessiond_request_duration_seconds_count{route=\"%s\"} %" PRIu64 "\n",
                          routes[r], requests[r].count, routes[r], (double)requests[r].sum_ns / 1e9, routes[r], requests[r].count);
  }
  return ok;
}

bool metrics_write(struct buf *b, const struct metrics_now *now) {
  const struct metrics *m = &metrics;
  bool ok = buf_printf(b, "# HELP sessiond_build_info The running version.\n# TYPE sessiond_build_info gauge\n"
                          "sessiond_build_info{version=\"%s\"} 1\n", SESSIOND_VERSION);
  ok = ok && write_requests(b);
  ok = ok && metric(b, "connections", "gauge", "Open connections of clients.", now->connections);
  ok = ok && metric(b, "has_primary", "gauge", "1 while connected to a verified primary.", now->has_primary);
  ok = ok && metric(b, "ready", "gauge", "1 while writes can be acknowledged.", now->ready);
  ok = ok && metric(b, "replicas", "gauge", "Replicas linked to the primary.", now->replicas);
  ok = ok && metric(b, "sentinels_connected", "gauge", "Sentinels that answer.", now->sentinels);
  ok = ok && metric(b, "held", "gauge", "Requests waiting for a primary.", now->held_now);
  ok = ok && metric(b, "held_total", "counter", "Requests that had to wait for a primary.", m->held);
  ok = ok && metric(b, "held_expired_total", "counter", "Held requests that reached their deadline.", m->held_expired);
  ok = ok && metric(b, "held_refused_total", "counter", "Requests refused because too many were held.", m->held_refused);
  ok = ok && metric(b, "resent_total", "counter", "Requests sent again, their connection lost or Redis not ready.", m->resent);
  ok = ok && metric(b, "writes_unknown_total", "counter", "Writes whose answer was lost.", m->unknown);
  ok = ok && metric(b, "wait_short_total", "counter", "WAITs that too few replicas answered.", m->wait_short);
  ok = ok && metric(b, "discoveries_total", "counter", "Searches for the primary.", now->discoveries);
  ok = ok && metric(b, "failovers_total", "counter", "Changes of the primary followed.", now->failovers);
  ok = ok && metric(b, "redis_connections_lost_total", "counter", "Connections to the primary that broke.", m->connections_lost);
  ok = ok && buf_printf(b, "# HELP sessiond_acknowledged_writes_total Writes answered with success.\n"
                           "# TYPE sessiond_acknowledged_writes_total counter\n"
                           "sessiond_acknowledged_writes_total{durability=\"async\"} %" PRIu64 "\n"
                           "sessiond_acknowledged_writes_total{durability=\"replicated\"} %" PRIu64 "\n",
                        m->acked_async, m->acked_replicated);
  ok = ok && buf_printf(b, "# HELP sessiond_redis_errors_total Error answers of Redis.\n# TYPE sessiond_redis_errors_total counter\n");
  for (size_t i = 0; i < REDIS_ERROR_COUNT; i++) {
    ok = ok && buf_printf(b, "sessiond_redis_errors_total{kind=\"%s\"} %" PRIu64 "\n", redis_errors[i], m->redis_errors[i]);
  }
  return ok;
}
