/* sentinel: finds the primary of a Redis deployment through its Sentinels, follows it, and says what a write needs.
 *
 *   sentinel_new         one connection to every Sentinel and to every Redis that they list, all at once, each opened again
 *                        for ever when lost; needs no restart, whatever fails and comes back
 *   primary()            a verified primary: the first, another one, or the same one again after a doubt; NULL: the one
 *                        announced last is in doubt, by what the Sentinels or itself say
 *   sentinel_suspect     the primary failed its user (connection lost, READONLY, silence): search
 *   sentinel_required, sentinel_covered
 *                        how many replicas must have a write before it may be acknowledged, and whether they have
 *   sentinel_press       writes wait for replicas: look closely, and take a laggard out of the election
 *   sentinel_close       ends it; the struct frees itself when libuv has closed its handles
 *
 * The Sentinels are asked who is primary and which replicas it has once a second, ten times a second while there is none, 20 times
 * while their word of a replica's silence is relied on, and 40 times while writes wait for a replica;
 * +switch-master, +sdown, -sdown, +odown and +failover-state-send-slaveof-noone are subscribed to on each. Every Redis is asked
 * ROLE and INFO replication, 40 times a second while a new primary is awaited, so that a promotion is seen when it happens
 * and not when Sentinel announces it. TCP is not trusted: a peer that is silent is given up (rconn.h).
 * How the answers are judged, and why no stale primary is believed: follow.h.
 *
 * When a primary that a Sentinel has announced as lost (+odown, +failover-state-send-slaveof-noone) is seen replaced before the
 * Sentinels say so, its other replicas are pointed at the promoted one at once, by REPLICAOF: a write needs them, and the
 * Sentinel would tell them up to a second later. Not when priorities are not ours to change (replica-priority = 0). An ACL user
 * needs +replicaof for that, and +config|set for the priorities.
 *
 * A replica that does not keep up delays every write that must wait for it. When it has for exclude_after_ms, and others
 * suffice, it gets `replica-priority 0`; it leaves the count only when all Sentinels know that, so none can promote it over
 * a write that it has not got. They are told to ask ten times a second meanwhile instead of every 10 s (SENTINEL DEBUG info-period;
 * where an ACL refuses it, writes wait longer). One that is silent leaves the count sooner (follow.h). The Sentinels are told to ask
 * once a second while it is away, for a minute at most, so that they ask it as soon as it is back; we connect to it ten times a
 * second. When it answers and does not keep up it gets priority 0 at once. When a replica has kept up for two seconds its priority is given back, and it counted before. */
#ifndef SENTINEL_H
#define SENTINEL_H

#include "follow.h"
#include "rconn.h"

#include <uv.h>

struct sentinel;

/* What it points to is borrowed and must outlive the object. */
struct sentinel_options {
  const struct addr *addrs;
  size_t count; /* 1 to FOLLOW_SENTINELS_MAX */
  const char *master_name;
  const char *sentinel_password;
  struct rconn_options redis; /* of every connection of this part, but for `addr`, and user and password at a Sentinel */
  unsigned least;            /* replicas that a write must have at any rate; 0: none is ever waited for */
  unsigned replica_priority; /* of a replica that keeps up; 0: priorities are not ours to change */
  unsigned exclude_after_ms;
};

typedef void sentinel_primary_fn(void *owner, const struct addr *addr);

/* Starts the search. NULL when memory is short. */
struct sentinel *sentinel_new(uv_loop_t *loop, const struct sentinel_options *options, sentinel_primary_fn *primary, void *owner);
/* Does nothing while a search runs. `why` goes to the log. */
void sentinel_suspect(struct sentinel *s, const char *why);
/* follow_lineage */
const char *sentinel_lineage(const struct sentinel *s);
/* Replicas that a write must have now, linked ones at least `linked`. */
unsigned sentinel_required(const struct sentinel *s);
unsigned sentinel_linked(const struct sentinel *s);
/* `role`, an answer of the primary, shows that all who count have what was written up to `offset`. */
bool sentinel_covered(const struct sentinel *s, const struct follow_role *role, long long offset);
void sentinel_press(struct sentinel *s, bool waiting);
/* Sets what `metrics` says of the replicas and of the search that runs. */
void sentinel_measure(const struct sentinel *s);
/* No event comes afterwards. */
void sentinel_close(struct sentinel *s);

#endif
