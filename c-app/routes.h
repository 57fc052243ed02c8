/* routes: what the service answers.
 *
 *   GET /healthz                      200 as long as the process serves; says nothing about Redis, so that an outage of
 *                                     Redis does not take all apps out of the load balancer at once
 *   GET /readyz                       200 while a write can be acknowledged, else 503
 *   GET /metrics                      Prometheus' text format
 *   PUT /v1/sessions/{id}             204; the body is the value
 *   GET /v1/sessions/{id}             200 with the value, or 404
 *   DELETE /v1/sessions/{id}          204, or 404
 *
 * {id} is [A-Za-z0-9._-]{1,128}, else 400. HEAD goes where GET goes. OPTIONS says what is allowed; another method: 405.
 * 503 carries Retry-After: 1 and a sentence; after a PUT or DELETE it may mean that the outcome is unknown.
 *
 * X-Request-Id of a PUT or DELETE, 1 to 128 visible ASCII characters, else 400: the same request sent again with the same id
 * is applied once, also through another instance. An id that came before with another write: 422.
 *
 * X-Request-Start, t= and milliseconds since 1970: when the load balancer got the request. What it has waited there, and at
 * another instance, is taken off the time for which it is held here. What is not of the last minute is not believed.
 *
 * Every answer to a PUT or DELETE that Redis and its replicas have confirmed (204, 404, 412, 422) carries X-Replication-Id, the
 * master_replid of that Redis (INFO replication). A Redis has another one after each promotion, and each start, as primary: so two
 * that acknowledge at the same time can be told apart. It is left out while the ID is about to change, or is not known.
 *
 * 200 of a GET and 204 of a PUT carry an ETag. Conditions, which fail with 412:
 *   If-Match: "etag" or *             GET, PUT, DELETE: the session has this version, or exists
 *   If-None-Match: *                  PUT: it does not exist yet
 *   If-None-Match: "etag" or *        GET: 304 when it has this version, or exists
 * A list of etags and a weak one are not looked into: they match nothing. Hence every other condition of a write fails. */
#ifndef ROUTES_H
#define ROUTES_H

#include "http.h"
#include "store.h"

/* The callbacks for http_new; its owner is the store. */
extern const struct http_events routes_events;

#endif
