/* sentinel: finds the primary of a Redis deployment through its Sentinels, and follows it.
 *
 * How it works
 *   - One connection to every Sentinel, all at once, opened again for ever when lost. Each is subscribed to
 *     +switch-master and asked who the primary is: once a second while there is a primary, ten times while there is none.
 *   - Among the answers, the one with the highest config-epoch is believed: a majority grants an epoch to one failover
 *     only, so a Sentinel that was cut off cannot outvote a newer failover. Equal epochs: the address most of them name.
 *     An epoch below the highest one ever seen is not believed, unless a majority keeps saying it for 15 s (the
 *     Sentinels were set up anew).
 *   - +switch-master is followed at once, before the other Sentinels know.
 *   - Earlier still: the Sentinel that leads a failover names the replica before it promotes it
 *     (+failover-state-send-slaveof-noone), and announces the new primary only when its next INFO shows the promotion, up
 *     to a second later. From that event on the user is told that the primary is moving, the named replica is asked until
 *     it says `master`, and it is then announced; what the Sentinels still say of the old one is not believed. Called off
 *     by -failover-abort-slave-timeout, or after 10 s.
 *   - Whatever the Sentinels say, the address is announced only after the server there said `master` to ROLE.
 *   - The user of the module calls sentinel_suspect when the primary fails it (connection lost, READONLY, silence).
 *     Discovery then runs until a verified primary is found, which may be the same one.
 *
 * It needs no restart, whatever fails and comes back.
 *
 *   sentinel_new ... events->primary(A) ... sentinel_suspect ... events->primary(B) ... sentinel_stop,
 *   run the loop until it ends, sentinel_free */
#ifndef SENTINEL_H
#define SENTINEL_H

#include "addr.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SENTINEL_MAX 16

struct sentinel;

/* Strings are borrowed and must outlive the object. Times as in rconn.h; they hold for Sentinels and probes alike. */
struct sentinel_options {
  const struct addr *addrs;
  size_t count; /* 1 to SENTINEL_MAX */
  const char *master_name;
  const char *sentinel_password;
  const char *redis_user, *redis_password; /* for the probe that asks ROLE */
  unsigned timeout_ms, ping_ms, dead_ms;
};

struct sentinel_events {
  /* A verified primary: the first, another one, or the same one again after sentinel_suspect. */
  void (*primary)(void *owner, const struct addr *addr);
  /* true: the primary is about to be replaced. What it acknowledges from now on may be lost even when a replica has it,
   * for that replica may not be the chosen one. false: called off. An announcement of another primary ends it too. */
  void (*moving)(void *owner, bool moving);
};

struct sentinel_stats {
  uint64_t discoveries; /* times that a search began */
  uint64_t failovers;   /* announcements of another address than before */
  unsigned connected;   /* Sentinels that answer now */
};

/* Starts the search. NULL when memory is short. */
struct sentinel *sentinel_new(uv_loop_t *loop, const struct sentinel_options *options, const struct sentinel_events *events,
                              void *owner);
/* The announced primary failed its user: search. Does nothing while a search runs. `why` goes to the log. */
void sentinel_suspect(struct sentinel *s, const char *why);
struct sentinel_stats sentinel_stats(const struct sentinel *s);
/* Closes everything; no event comes afterwards. sentinel_free may be called when the loop has ended. */
void sentinel_stop(struct sentinel *s);
void sentinel_free(struct sentinel *s);

/* The decisions, as pure functions. */

struct sentinel_answer {
  bool known;       /* false: this Sentinel has said nothing, or was lost */
  bool announced;   /* by +switch-master, so newer than the others with the same epoch */
  uint64_t epoch;   /* config-epoch */
  struct addr addr;
};

/* The index of the answer to believe, or -1 when none has an epoch of at least `floor`. */
int sentinel_choose(const struct sentinel_answer *answers, size_t count, uint64_t floor);
/* SENTINEL GET-MASTER-ADDR-BY-NAME. False: the Sentinel does not know the name, or the answer is malformed. */
bool sentinel_parse_addr(const redisReply *reply, struct addr *out);
/* config-epoch out of SENTINEL MASTER; 0 when it isn't there. */
uint64_t sentinel_parse_epoch(const redisReply *reply);
/* The text of +switch-master, "name old-ip old-port new-ip new-port". False: malformed, or another name. */
bool sentinel_parse_switch(const char *text, const char *master_name, struct addr *out);
/* The text of +failover-state-send-slaveof-noone, "slave id ip port @ name ip port": the replica to be promoted. */
bool sentinel_parse_promotion(const char *text, const char *master_name, struct addr *out);
/* ROLE. True when the server says that it is a primary; `replicas` gets the number of its connected replicas. */
bool sentinel_parse_role(const redisReply *reply, unsigned *replicas);

#endif
