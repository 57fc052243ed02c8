/* follow: who is primary, and which replicas a write must have. The judgement of sentinel.c, without its connections: what
 * was heard goes in, with the time as an argument; what to believe comes out. Nothing here allocates or calls the system.
 *
 * Whom to believe
 *   - Of the Sentinels' answers the one with the highest config-epoch: a majority grants an epoch to one failover only, so
 *     a Sentinel that was cut off cannot outvote a newer failover. Equal epochs: what was announced by +switch-master, then
 *     the address most of them name. An epoch below the highest one ever seen is not believed, unless a majority keeps
 *     saying it for 15 s (the Sentinels were set up anew). A search waits a second for a majority's answers.
 *   - Whatever they say, the server there must say `master` to a ROLE that was asked after the doubt arose.
 *   - Earlier than the Sentinels, which learn of a promotion from their next INFO, up to a second later: while the primary
 *     is lost, or a Sentinel has announced that it is being replaced, a server that says `master` *and* whose
 *     master_replid2 is the master_replid of the primary that we followed has been promoted from that primary's replica
 *     (Redis, replication.c, shiftReplicationId). A stale primary cannot show that. From then on the old one is not
 *     believed, for 10 s or until the promoted one says that it is a replica again.
 *
 * Which replicas count
 *   Sentinel may promote a replica that is up, has a priority other than 0, has answered an INFO and has not been without
 *   its primary for longer than 10 x down-after and the time that the primary is down (Redis, sentinel.c,
 *   sentinelSelectSlave). One whose connection to a Sentinel has just closed is not taken out by that: it is eligible again,
 *   with the offset it had before, as soon as it is back. A replica counts
 *   - while any Sentinel sees it so. Sentinels that don't answer us are given their last word while fewer than a majority do;
 *   - while a Sentinel sees it up and of priority 0, and may yet hear otherwise: it asks again when a failover begins. What it
 *     says of itself decides: it counts with another priority than 0, and with 0 until every Sentinel was asked after we heard that.
 *     What it said before it began to lag is worth nothing; without a word since it counts for 12 s, in which every Sentinel asks it.
 *     Nor does one that comes back count, until it has kept up, when that Sentinel has heard of 0 since it went: it gets its
 *     priority back only after keeping up;
 *   - also when none does, while it is linked and has kept up for a second: so it counts before it may be promoted again.
 *     Not so one of priority 0 that says `replica_announced:0`: it is about to stop, and no write shall wait for it then.
 *
 * Silence
 *   A replica that is silent does not confirm writes, and does not take priority 0 from us either. Sentinel takes it for down when
 *   its oldest unanswered ping is older than down-after, and no Sentinel promotes a replica that it takes for down. Nor does a
 *   Sentinel begin a failover before it takes the primary for down, by the same measure, down-after and clock; and at each tick it
 *   looks at the primary first and at the replicas next, and chooses at a later tick. So a replica whose unanswered ping is older
 *   than the primary's can't be chosen while it stays silent, and does not count, as one that is down.
 *   - Every Sentinel has to see it so, in a view that is at most 300 ms old. Without that it counts until it is down.
 *   - The replica's ping has to be older by 50 ms and the time that the Sentinel's answer took: the ages are read one after the
 *     other, and a Sentinel that was stopped has not read the answers that wait for it.
 *   - All pings of the primary are answered: then the next one counts, or the last pong less 100 ms, the time from +sdown to the
 *     choice; for a Sentinel that can't even open a connection counts from that pong.
 *   - Nothing is compared while that Sentinel takes the primary for down, hears from it that it is a replica, or fails over: a failover
 *     that somebody forces needs nobody to be down. Who forces one has to hear from every replica less than 50 ms before; or pause
 *     writes first and see that every replica has them (firedrill-redis-handover). firedrill-redis-handoff comes after the
 *     primary's end, and has a Sentinel promote the one that has most of those that answer.
 *   - A replica that answers again counts again. It lacks what was acknowledged meanwhile, as one that was down does, until it has
 *     caught up; it has priority 0 then, as soon as it answers us. Should the primary die before the Sentinels have heard of that, they
 *     choose by offset, and have asked for it after the primary's end: within the second before, and while one is away each
 *     second and less.
 *   master-reboot-down-after-period has to be 0, as it is by default: it takes a primary for down that answers. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "addr.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_SENTINELS_MAX 16
#define FOLLOW_NODES_MAX 16
#define FOLLOW_REPLID_MAX 41

/* What one Sentinel says. */
struct follow_answer {
  bool known;     /* false: nothing yet, or it was lost */
  bool announced; /* by +switch-master, so newer than other answers of the same epoch */
  uint64_t epoch; /* config-epoch */
  struct addr addr;
  long long link_down_max_ms; /* a replica may have been without its primary for as long as this; 0: any time */
  long long primary_age_ms; /* how long it may take the primary to have been silent already; below 0: no replica's silence is compared */
  bool viewed;        /* it has listed the replicas since its connection was opened */
  uint64_t viewed_at; /* when it was asked for that list */
  uint64_t took_ms;   /* from then to its answer */
  size_t eligible_count;
  struct addr eligible[FOLLOW_NODES_MAX]; /* the replicas that it may promote; kept when it is lost, as the next */
  long long eligible_lead_ms[FOLLOW_NODES_MAX]; /* by how much longer than the primary each is silent to it; 0: not longer */
  size_t barred_count;
  struct addr barred[FOLLOW_NODES_MAX]; /* those that it would, if it did not think that their priority is 0 */
  uint64_t barred_age_ms[FOLLOW_NODES_MAX]; /* how long ago it heard of that */
  long long barred_lead_ms[FOLLOW_NODES_MAX];
};

/* ROLE. */
struct follow_role {
  bool primary;
  long long offset;
  size_t linked; /* of a primary: its replicas that are online */
  struct addr addr[FOLLOW_NODES_MAX];
  long long acked[FOLLOW_NODES_MAX];
};

/* What one Redis says of itself. */
struct follow_node {
  struct addr addr;
  bool known;       /* false: nothing since its connection was opened */
  uint64_t said_at; /* when it was asked for the following */
  struct follow_role role;
  unsigned priority;
  uint64_t barred_since; /* when its priority was first heard to be 0; 0 while it is not */
  bool leaving; /* not announced, and of priority 0, which is meant so: it is about to stop */
  char replid[FOLLOW_REPLID_MAX], replid2[FOLLOW_REPLID_MAX];
  bool no_backlog; /* so its master_replid will be another one when it gets a replica (Redis, replication.c, syncCommand) */
  bool keeps_up;      /* it is linked to the primary and has what the primary had a poll ago */
  uint64_t judged_at; /* since when that is so, or is not so; 0: not judged yet */
  uint64_t lagged_at; /* when it last ceased to keep up with this primary; 0: it has not */
  bool silent;        /* since then it did not count at times, for the Sentinels took it for silent or down */
  bool back;          /* and it has answered us since, as a replica */
};

struct follow {
  size_t sentinels;
  bool manage; /* priorities are ours to set, so that a replica that has kept up counts whatever its priority */
  struct follow_answer answers[FOLLOW_SENTINELS_MAX];
  size_t node_count;
  struct follow_node nodes[FOLLOW_NODES_MAX];
  bool following; /* `primary` was announced and nobody doubts it */
  struct addr primary;
  char lineage[FOLLOW_REPLID_MAX]; /* its master_replid */
  uint64_t doubted_at, announced_at, expected_until;
  struct addr deposed; /* not believed until deposed_until at epochs up to deposed_epoch */
  uint64_t deposed_until, deposed_epoch;
  uint64_t floor, below_since; /* below_since: 0, or when a majority began to say less than the floor */
};

void follow_init(struct follow *f, size_t sentinels, bool manage, uint64_t now);
/* The entry of a Redis, made when there is none. NULL: there are too many. */
struct follow_node *follow_node(struct follow *f, const struct addr *addr);

/* What happened. After each, follow_decide. */
void follow_doubt(struct follow *f, uint64_t now);  /* the primary failed its user */
void follow_expect(struct follow *f, uint64_t now); /* a Sentinel has begun to replace the primary */
void follow_switched(struct follow *f, struct follow_answer *by, const struct addr *to); /* +switch-master */
void follow_lost(struct follow_answer *a);                                               /* a Sentinel does not answer any more */
/* `node` answered ROLE, asked at `asked_at`. */
void follow_heard(struct follow *f, struct follow_node *node, const struct follow_role *role, uint64_t asked_at, uint64_t now);

/* The address to announce now: another primary than before, or the same one after a doubt, five times a second at most, so
 * that one that is alive and refuses its user is not stormed. NULL: none. */
const struct addr *follow_decide(struct follow *f, uint64_t now);
/* Whom the Sentinels name; it is the one to ask. NULL: nobody credible. */
const struct addr *follow_named(const struct follow *f, uint64_t now);

/* The master_replid of the primary that is followed, which no other Redis ever was primary with, nor this one before its last start or
 * promotion; NULL: not known, or about to change. */
const char *follow_lineage(const struct follow *f);
/* Replicas that were online at the primary when it was last asked. */
size_t follow_linked(const struct follow *f);
/* The replicas that count, into `out`; returns how many. */
size_t follow_counted(const struct follow *f, uint64_t now, struct addr out[static FOLLOW_NODES_MAX]);
/* The primary's ROLE shows that all of them, and at least `least` replicas, have what was written up to `offset`; and nobody
 * doubts that it is the primary. */
bool follow_covered(const struct follow *f, uint64_t now, const struct follow_role *role, long long offset, unsigned least);
/* A replica that holds up writes and that `least` others can do without: NULL, or the one to take out of the election by
 * replica-priority 0, for it has not kept up for `after_ms`, or is back from a silence and does not keep up. Never the last one that
 * has another priority. */
struct follow_node *follow_laggard(struct follow *f, uint64_t now, unsigned after_ms, unsigned least);
/* Whether one that does not keep up counts: writes wait for it. */
bool follow_held(const struct follow *f, uint64_t now);
/* Whether one does not keep up and a Sentinel sees it silent for longer than the primary, but not down yet: that view has to be fresh. */
bool follow_trusts_silence(const struct follow *f);
/* Whether the Sentinels take it for silent or down, and it does not count. */
bool follow_gone(const struct follow *f, const struct follow_node *node, uint64_t now);
/* Whether one is silent or down, since a minute at most, that has another priority than 0 and would count when it is back. */
bool follow_away(const struct follow *f, uint64_t now);
/* Whether one that has priority 0 and does not keep up counts still, since a Sentinel has not heard of its priority. */
bool follow_unheard(const struct follow *f, uint64_t now);
/* One that was taken out and has kept up for long enough to be let in again. */
struct follow_node *follow_recovered(struct follow *f, uint64_t now);

/* Replies of the network. False: malformed, or about another name; `out` is then as it was. */

/* SENTINEL GET-MASTER-ADDR-BY-NAME */
bool follow_parse_addr(const redisReply *reply, struct addr *out);
/* SENTINEL MASTER: config-epoch, how long a replica's link may be down, and for how long the primary is silent */
bool follow_parse_master(const redisReply *reply, struct follow_answer *out);
/* SENTINEL REPLICAS: whom it may promote, into `out`; and every replica that it lists, into `seen`. */
bool follow_parse_replicas(const redisReply *reply, struct follow_answer *out, struct addr seen[static FOLLOW_NODES_MAX], size_t *count);
/* ROLE */
bool follow_parse_role(const redisReply *reply, struct follow_role *out);
/* INFO replication: master_replid, master_replid2, whether there is a backlog, a replica's priority and whether it is announced */
bool follow_parse_info(const redisReply *reply, struct follow_node *out);
/* The text of +switch-master, "name old-ip old-port new-ip new-port" */
bool follow_parse_switch(const char *text, const char *master_name, struct addr *to);
/* Of +sdown and the like, "master name ip port ..." or "slave name ip port @ master-name ip port" */
bool follow_parse_event(const char *text, const char *master_name);

#endif
