/* The rules by which a primary is believed and a replica counts, with a clock that the test turns. */
#include "check.h"
#include "follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A "10.0.0.1:6379"
#define B "10.0.0.2:6379"
#define C "10.0.0.3:6379"
#define RA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* the lineages of A, B, C */
#define RB "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define RC "cccccccccccccccccccccccccccccccccccccccc"

static struct follow f;
static uint64_t t; /* the time */

static struct addr addr_of(const char *text) {
  struct addr a;
  assert_true(addr_parse(&a, text));
  return a;
}

static void says(size_t sentinel, const char *addr, uint64_t epoch) {
  struct follow_answer *a = &f.answers[sentinel];
  a->known = true;
  a->announced = false;
  a->epoch = epoch;
  a->addr = addr_of(addr);
  follow_node(&f, &a->addr);
}

static void all_say(const char *addr, uint64_t epoch) {
  for (size_t i = 0; i < 3; i++) says(i, addr, epoch);
}

static struct follow_node *node(const char *addr) {
  struct addr a = addr_of(addr);
  struct follow_node *n = follow_node(&f, &a);
  assert_non_null(n);
  return n;
}

static void lineage(const char *addr, const char *replid, const char *replid2) {
  snprintf(node(addr)->replid, FOLLOW_REPLID_MAX, "%s", replid);
  snprintf(node(addr)->replid2, FOLLOW_REPLID_MAX, "%s", replid2);
}

static void role(const char *addr, bool primary, uint64_t asked_at) {
  struct follow_role r = {.primary = primary};
  follow_heard(&f, node(addr), &r, asked_at, t);
}

static void is_primary(const char *addr) { role(addr, true, t); }
static void is_replica(const char *addr) { role(addr, false, t); }

static void assert_announces(const char *addr) {
  const struct addr *found = follow_decide(&f, t);
  if (addr == NULL) {
    assert_null(found);
  } else {
    struct addr want = addr_of(addr);
    assert_non_null(found);
    assert_true(addr_equal(found, &want));
    assert_true(f.following);
  }
}

static int fresh(void **state) {
  (void)state;
  t = 100000;
  follow_init(&f, 3, true, t);
  return 0;
}

/* A is followed, at epoch 5; B and C replicate it. */
static int following(void **state) {
  fresh(state);
  all_say(A, 5);
  lineage(A, RA, "");
  lineage(B, RA, "");
  lineage(C, RA, "");
  is_primary(A);
  is_replica(B);
  is_replica(C);
  assert_announces(A);
  t += 1000;
  return 0;
}

/* whom to believe */

static void the_newest_epoch_wins_over_the_majority(void **state) {
  (void)state;
  all_say(A, 4);
  says(1, B, 5);
  is_primary(A);
  is_primary(B);
  assert_announces(B);
}

static void of_equal_epochs_the_majority_wins(void **state) {
  (void)state;
  all_say(B, 4);
  says(0, A, 4);
  is_primary(A);
  is_primary(B);
  assert_announces(B);
}

static void an_announcement_wins_over_older_answers_of_its_epoch_but_not_over_a_newer_failover(void **state) {
  struct addr to = addr_of(B);
  (void)state;
  follow_switched(&f, &f.answers[2], &to);
  assert_true(addr_equal(follow_named(&f, t), &to));
  says(0, C, 6);
  to = addr_of(C);
  assert_true(addr_equal(follow_named(&f, t), &to));
}

static void without_a_server_that_says_master_nobody_is_announced(void **state) {
  (void)state;
  all_say(A, 4);
  assert_announces(NULL);
  is_replica(A);
  assert_announces(NULL);
  is_primary(A);
  assert_announces(A);
}

static void a_minority_is_believed_only_after_a_second(void **state) {
  (void)state;
  says(0, A, 4);
  is_primary(A);
  t += 999;
  assert_announces(NULL);
  t += 1;
  assert_announces(A);
}

static void a_majority_is_believed_at_once(void **state) {
  (void)state;
  says(0, A, 4);
  says(2, A, 4);
  is_primary(A);
  assert_announces(A);
}

static void an_epoch_below_the_highest_seen_is_not_believed(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) follow_lost(&f.answers[i]);
  says(1, B, 4);
  is_primary(B);
  follow_doubt(&f, t);
  t += 60000; /* one alone never lowers it */
  is_primary(B);
  assert_announces(NULL);
}

static void a_majority_that_says_less_for_15_s_was_set_up_anew(void **state) {
  (void)state;
  all_say(B, 1);
  follow_doubt(&f, t);
  assert_announces(NULL);
  t += 14999;
  is_primary(B);
  assert_announces(NULL);
  t += 1;
  assert_announces(B);
}

static void whoever_still_says_the_highest_epoch_keeps_it(void **state) {
  (void)state;
  all_say(B, 1);
  assert_announces(NULL);
  t += 10000;
  says(0, A, 5);
  assert_announces(NULL);
  says(0, B, 1);
  assert_announces(NULL); /* the 15 s begin again */
  t += 14999;
  assert_announces(NULL);
}

static void while_followed_a_newer_epoch_moves_on_once_the_new_one_has_been_asked(void **state) {
  (void)state;
  is_primary(B);
  t += 10;
  says(1, B, 6);
  assert_announces(NULL); /* B said so before the doubt */
  assert_false(f.following);
  t += 10;
  is_primary(B);
  assert_announces(B);
}

static void an_answer_to_a_question_from_before_the_doubt_does_not_count(void **state) {
  (void)state;
  follow_doubt(&f, t);
  role(A, true, t - 1);
  assert_announces(NULL);
  role(A, true, t);
  assert_announces(A);
}

static void the_same_primary_again_is_announced_after_a_doubt(void **state) {
  (void)state;
  is_primary(A);
  assert_announces(NULL); /* nothing new */
  follow_doubt(&f, t);
  is_primary(A);
  assert_announces(A);
}

static void but_five_times_a_second_at_most(void **state) {
  (void)state;
  follow_doubt(&f, t);
  is_primary(A);
  assert_announces(A);
  follow_doubt(&f, t);
  t += 199;
  is_primary(A);
  assert_announces(NULL);
  t += 1;
  assert_announces(A);
}

static void a_primary_that_says_it_is_a_replica_is_doubted(void **state) {
  (void)state;
  is_replica(A);
  assert_false(f.following);
  assert_announces(NULL);
}

/* promotions that Sentinel has not told yet */

static void promote(const char *addr, const char *replid, const char *replid2) {
  lineage(addr, replid, replid2);
  is_primary(addr);
}

static void a_promotion_is_seen_while_the_primary_is_lost(void **state) {
  (void)state;
  follow_doubt(&f, t);
  promote(C, RC, RA);
  assert_announces(C);
}

static void a_promotion_is_seen_while_sentinel_replaces_the_primary(void **state) {
  (void)state;
  follow_expect(&f, t);
  promote(C, RC, RA);
  assert_announces(C);
}

static void otherwise_only_sentinel_is_believed(void **state) {
  (void)state;
  promote(C, RC, RA);
  assert_announces(NULL);
  follow_expect(&f, t);
  t += 10000; /* nothing came of it */
  is_primary(C);
  assert_announces(NULL);
  assert_true(f.following);
}

static void a_stale_primary_of_another_lineage_is_never_believed(void **state) {
  (void)state;
  follow_doubt(&f, t);
  promote(B, RB, "");
  promote(C, RC, RB);
  for (int i = 0; i < 1000; i++) {
    t += 100;
    is_primary(B);
    is_primary(C);
    assert_announces(NULL);
  }
}

static void before_anything_was_followed_no_lineage_is_believed(void **state) {
  (void)state;
  promote(B, RB, "");
  assert_announces(NULL);
}

static void the_lineage_is_that_of_the_last_primary(void **state) {
  (void)state;
  follow_doubt(&f, t);
  promote(B, RB, RA);
  assert_announces(B);
  follow_doubt(&f, t);
  promote(C, RC, RA); /* promoted from A, and not from B */
  assert_announces(NULL);
  promote(C, RC, RB);
  assert_announces(C);
}

static int promoted_early(void **state) {
  following(state);
  follow_doubt(&f, t);
  promote(C, RC, RA);
  assert_announces(C);
  return 0;
}

static void a_deposed_primary_is_not_believed_for_10_s(void **state) {
  (void)state;
  for (uint64_t end = t + 9999; t < end; t++) {
    is_primary(A);
    is_primary(C);
    assert_announces(NULL);
    assert_true(f.following);
  }
  t += 1;
  assert_announces(NULL); /* the Sentinels still name A: there was no failover */
  assert_false(f.following);
  is_primary(A);
  assert_announces(A);
}

static void a_deposed_primary_is_believed_at_a_newer_epoch(void **state) {
  (void)state;
  all_say(A, 6);
  assert_announces(NULL);
  is_primary(A);
  assert_announces(A);
}

static void a_deposed_primary_is_believed_when_the_promotion_is_called_off(void **state) {
  (void)state;
  t += 500;
  is_replica(C);
  is_primary(A);
  assert_announces(A);
}

static void when_sentinel_confirms_the_promotion_nothing_changes(void **state) {
  (void)state;
  all_say(C, 6);
  assert_announces(NULL);
  assert_true(f.following);
  t += 20000;
  assert_announces(NULL);
  assert_true(f.following);
}

/* which replicas count */

static void views(size_t sentinel, const char *first, const char *second) {
  struct follow_answer *a = &f.answers[sentinel];
  a->viewed = true;
  a->eligible_count = 0;
  if (first != NULL) a->eligible[a->eligible_count++] = addr_of(first);
  if (second != NULL) a->eligible[a->eligible_count++] = addr_of(second);
}

static void all_view(const char *first, const char *second) {
  for (size_t i = 0; i < 3; i++) views(i, first, second);
}

static bool counts(const char *addr) {
  struct addr out[FOLLOW_NODES_MAX], want = addr_of(addr);
  size_t n = follow_counted(&f, t, out);
  for (size_t i = 0; i < n; i++) {
    if (addr_equal(&out[i], &want)) return true;
  }
  return false;
}

/* What the primary says of its replicas; below 0: not linked. */
static struct follow_role linked(long long offset, long long b, long long c) {
  struct follow_role r = {.primary = true, .offset = offset};
  if (b >= 0) {
    r.addr[r.linked] = addr_of(B);
    r.acked[r.linked++] = b;
  }
  if (c >= 0) {
    r.addr[r.linked] = addr_of(C);
    r.acked[r.linked++] = c;
  }
  return r;
}

static void poll_primary(long long offset, long long b, long long c) {
  struct follow_role r = linked(offset, b, c);
  follow_heard(&f, node(A), &r, t, t);
}

static void a_replica_counts_while_one_sentinel_may_promote_it(void **state) {
  (void)state;
  all_view(B, NULL);
  assert_true(counts(B));
  assert_false(counts(C));
  views(1, B, C);
  assert_true(counts(C));
}

static void barred_everywhere(const char *addr) {
  for (size_t i = 0; i < 3; i++) {
    f.answers[i].barred[0] = addr_of(addr);
    f.answers[i].barred_count = 1;
    f.answers[i].viewed_at = t;
  }
}

static void has_priority(const char *addr, unsigned priority) {
  struct follow_role r = {0};
  node(addr)->priority = priority;
  follow_heard(&f, node(addr), &r, t, t);
}

/* It has come back, has its priority again, and is cut off before the Sentinels have heard of that. They would when they fail over. */
static void one_that_the_sentinels_have_not_heard_of_yet_counts_by_its_own_word(void **state) {
  (void)state;
  all_view(B, NULL);
  barred_everywhere(C);
  has_priority(C, 100);
  poll_primary(1000, 1000, 1000);
  t += 100;
  poll_primary(1100, 1100, -1);
  has_priority(C, 100);
  assert_true(counts(C));
  t += 60000;
  assert_true(counts(C));
}

static void one_that_is_taken_out_counts_until_all_sentinels_were_asked_since(void **state) {
  (void)state;
  all_view(B, NULL);
  poll_primary(1000, 1000, -1);
  has_priority(C, 100);
  barred_everywhere(C);
  t += 400;
  has_priority(C, 0);
  assert_true(counts(C)); /* a Sentinel may have heard of 100 between our question and now */
  t += 100;
  has_priority(C, 0);
  barred_everywhere(C);
  assert_false(counts(C));
  f.answers[1].viewed_at = t - 101;
  assert_true(counts(C));
}

static void one_whose_word_is_older_than_its_lag_counts_while_a_sentinel_may_hear_of_its_priority(void **state) {
  (void)state;
  all_view(B, NULL);
  has_priority(C, 0);
  t += 100;
  barred_everywhere(C);
  poll_primary(1000, 1000, -1);
  node(C)->known = false;
  assert_true(counts(C));
  t += 11999;
  assert_true(counts(C));
  t++;
  assert_false(counts(C));
}

/* It gets its priority back only after keeping up, so what the Sentinels have heard of it since it went holds until then. */
static void one_that_comes_back_does_not_count_when_every_sentinel_has_heard_of_0_since_it_went(void **state) {
  (void)state;
  all_view(B, NULL);
  poll_primary(1000, 1000, -1); /* it has gone */
  t += 1400;
  barred_everywhere(C);
  assert_false(counts(C));
  for (size_t i = 0; i < 3; i++) f.answers[i].barred_age_ms[0] = 400;
  assert_false(counts(C));
  f.answers[2].barred_age_ms[0] = 401; /* what another instance took for keeping up may be as young */
  assert_true(counts(C));
  f.answers[2].barred_age_ms[0] = 400;
  has_priority(C, 100);
  assert_true(counts(C)); /* it says otherwise itself */
  has_priority(C, 0);
  assert_false(counts(C));
  poll_primary(1100, 1100, 1100);
  assert_false(counts(C)); /* it is linked again; it may still be busy with what it was sent */
  t += 999;
  assert_false(counts(C));
  t++; /* it has kept up */
  assert_true(counts(C));
}

static void what_it_said_since_it_went_holds_when_it_is_linked_again(void **state) {
  (void)state;
  all_view(B, NULL);
  poll_primary(1000, 1000, -1);
  t += 100;
  has_priority(C, 0);
  t += 100;
  barred_everywhere(C);
  assert_false(counts(C));
  poll_primary(1100, 1100, 1100);
  assert_false(counts(C));
  t += 1000;
  assert_true(counts(C));
}

static void unless_others_may_set_its_priority(void **state) {
  (void)state;
  f.manage = false;
  all_view(B, NULL);
  poll_primary(1000, 1000, -1);
  t += 1400;
  barred_everywhere(C);
  assert_true(counts(C));
}

static void it_leaves_when_all_sentinels_say_so(void **state) {
  (void)state;
  all_view(B, C);
  views(0, B, NULL);
  views(1, B, NULL);
  assert_true(counts(C));
  views(2, B, NULL);
  assert_false(counts(C));
}

static void the_last_word_of_a_lost_sentinel_holds_while_only_a_minority_answers(void **state) {
  (void)state;
  all_view(B, NULL);
  views(0, B, C);
  follow_lost(&f.answers[0]);
  assert_false(counts(C));
  follow_lost(&f.answers[1]);
  assert_true(counts(C));
  follow_lost(&f.answers[2]);
  assert_true(counts(C));
}

static void the_primary_never_counts(void **state) {
  (void)state;
  all_view(A, B);
  assert_false(counts(A));
}

static void one_that_has_kept_up_for_a_second_counts_before_it_may_be_promoted(void **state) {
  (void)state;
  all_view(B, NULL);
  for (int i = 0; i <= 10; i++, t += 100) {
    poll_primary(1000 + i * 10, 1000, 1000 + i * 10);
    assert_int_equal(counts(C), i >= 10);
  }
  poll_primary(1200, 1200, 1000);
  assert_false(counts(C));
}

static void unless_priorities_are_not_ours(void **state) {
  (void)state;
  f.manage = false;
  all_view(B, NULL);
  for (int i = 0; i < 50; i++, t += 100) poll_primary(1000, 1000, 1000);
  assert_false(counts(C));
}

static bool covered(struct follow_role r, unsigned least) { return follow_covered(&f, t, &r, 1000, least); }

static void a_write_is_covered_when_all_that_count_have_it(void **state) {
  (void)state;
  all_view(B, C);
  assert_true(covered(linked(1000, 1000, 1001), 1));
  assert_false(covered(linked(1000, 1000, 999), 1));
  assert_false(covered(linked(1000, 1000, -1), 1));
}

static void an_acknowledgement_by_one_that_does_not_count_is_no_substitute(void **state) {
  (void)state;
  all_view(B, NULL);
  assert_false(covered(linked(1000, 999, 1000), 1));
  assert_true(covered(linked(1000, 1000, 999), 1));
}

static void at_least_so_many_must_have_it_whoever_counts(void **state) {
  (void)state;
  all_view(NULL, NULL);
  assert_false(covered(linked(1000, -1, -1), 1));
  assert_true(covered(linked(1000, -1, 1000), 1));
  assert_false(covered(linked(1000, -1, 1000), 2));
}

static void what_is_not_the_primary_or_is_doubted_covers_nothing(void **state) {
  struct follow_role r = linked(1000, 1000, 1000);
  (void)state;
  all_view(B, C);
  r.primary = false;
  assert_false(covered(r, 1));
  r.primary = true;
  assert_true(covered(r, 1));
  says(0, B, 6); /* B can't be asked; the old primary and C, which it still has, confirm */
  assert_announces(NULL);
  assert_false(covered(r, 1));
}

static void a_laggard_is_taken_out_after_a_while_when_others_suffice(void **state) {
  (void)state;
  all_view(B, C);
  poll_primary(1000, 1000, 1000);
  t += 100;
  poll_primary(1100, 1000, 1000);
  t += 100;
  poll_primary(1200, 1100, 1000);
  for (uint64_t end = t + 300; t < end; t++) assert_null(follow_laggard(&f, t, 300, 1));
  assert_ptr_equal(follow_laggard(&f, t, 300, 1), node(C));
  assert_null(follow_laggard(&f, t, 300, 2)); /* two must have it */
  poll_primary(1200, 1200, 1200);
  assert_null(follow_laggard(&f, t, 300, 1));
}

/* silence */

/* All Sentinels may promote B and C, and see C silent for so much longer than the primary. */
static void all_see_silent(long long ms) {
  all_view(B, C);
  for (size_t i = 0; i < 3; i++) {
    f.answers[i].viewed_at = t;
    f.answers[i].took_ms = 0;
    f.answers[i].eligible_lead_ms[0] = 0;
    f.answers[i].eligible_lead_ms[1] = ms;
  }
}

static void one_that_all_sentinels_will_take_for_down_before_the_primary_does_not_count(void **state) {
  (void)state;
  all_see_silent(50);
  assert_false(counts(C));
  assert_true(counts(B));
  all_see_silent(49); /* an answer may be on its way */
  assert_true(counts(C));
}

static void it_counts_while_one_sentinel_may_see_the_primary_down_first(void **state) {
  (void)state;
  all_see_silent(50);
  f.answers[2].eligible_lead_ms[1] = 0;
  assert_true(counts(C));
}

/* The replica's silence was read after the primary's, by as much at most. */
static void the_time_that_an_answer_took_is_no_silence(void **state) {
  (void)state;
  all_see_silent(250);
  f.answers[1].took_ms = 200;
  assert_false(counts(C));
  f.answers[1].took_ms = 201;
  assert_true(counts(C));
}

static void a_silence_is_believed_for_300_ms(void **state) {
  (void)state;
  all_see_silent(500);
  t += 300;
  assert_false(counts(C));
  t++;
  assert_true(counts(C));
}

static void the_last_word_of_a_lost_sentinel_is_no_silence(void **state) {
  (void)state;
  all_see_silent(500);
  follow_lost(&f.answers[0]);
  assert_false(counts(C)); /* the others are a majority, and it is not asked */
  follow_lost(&f.answers[1]);
  assert_true(counts(C));
}

static void one_that_is_silent_does_not_count_with_priority_0_either(void **state) {
  (void)state;
  all_view(B, NULL);
  poll_primary(1000, 1000, -1);
  barred_everywhere(C);
  has_priority(C, 100);
  assert_true(counts(C));
  for (size_t i = 0; i < 3; i++) f.answers[i].barred_lead_ms[0] = 50;
  assert_false(counts(C));
  f.answers[1].barred_lead_ms[0] = 49;
  assert_true(counts(C));
}

static void one_that_keeps_up_counts_however_silent_the_sentinels_find_it(void **state) {
  (void)state;
  poll_primary(1000, 1000, 1000);
  t += 1000;
  poll_primary(1100, 1000, 1000);
  all_see_silent(500);
  assert_true(counts(C));
}

static void when_all_are_silent_a_write_waits_for_as_many_as_must_have_it(void **state) {
  struct follow_role r = linked(1000, 999, 999);
  (void)state;
  all_see_silent(500);
  for (size_t i = 0; i < 3; i++) f.answers[i].eligible_lead_ms[0] = 500;
  assert_false(counts(B) || counts(C));
  assert_false(follow_covered(&f, t, &r, 1000, 1));
  r.acked[0] = 1000;
  assert_true(follow_covered(&f, t, &r, 1000, 1));
}

/* A and B have an entry with priority 100, as C, which has just fallen silent. */
static int fell_silent(void **state) {
  following(state);
  for (size_t i = 0; i < 3; i++) f.nodes[i].priority = 100;
  poll_primary(1000, 1000, 1000);
  poll_primary(1100, 1000, 999);
  all_see_silent(100);
  assert_announces(NULL);
  return 0;
}

static void the_sentinels_are_watched_while_one_holds_writes_up_and_while_their_word_of_a_silence_is_relied_on(void **state) {
  (void)state;
  assert_false(follow_held(&f, t));
  assert_true(follow_trusts_silence(&f));
  all_see_silent(0);
  assert_true(follow_held(&f, t));
  assert_false(follow_trusts_silence(&f));
  all_view(B, NULL); /* it is down */
  assert_false(follow_held(&f, t) || follow_trusts_silence(&f));
  all_see_silent(100);
  poll_primary(1200, 1100, 1100); /* it keeps up, so nothing relies on its silence */
  assert_false(follow_held(&f, t) || follow_trusts_silence(&f));
}

static void one_that_is_back_from_a_silence_is_taken_out_at_once_unless_it_keeps_up(void **state) {
  (void)state;
  assert_null(follow_laggard(&f, t, 300, 1)); /* it can't be told yet */
  all_see_silent(0);
  has_priority(C, 100);
  assert_ptr_equal(follow_laggard(&f, t, 300, 1), node(C));
  assert_null(follow_laggard(&f, t, 300, 2)); /* two must have it */
  poll_primary(1200, 1100, 1100);
  assert_announces(NULL);
  assert_null(follow_laggard(&f, t, 300, 1));
  poll_primary(1300, 1200, 1100); /* it lags as any other */
  assert_announces(NULL);
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void it_is_taken_out_before_the_sentinels_see_it_back(void **state) {
  (void)state;
  all_view(B, NULL);
  has_priority(C, 100);
  assert_false(counts(C));
  assert_ptr_equal(follow_laggard(&f, t, 300, 1), node(C));
  has_priority(C, 0);
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void one_that_is_back_as_a_primary_is_not_ours_to_take_out(void **state) {
  (void)state;
  node(C)->priority = 100;
  is_primary(C);
  assert_null(follow_laggard(&f, t, 300, 1));
  is_replica(C);
  assert_ptr_equal(follow_laggard(&f, t, 300, 1), node(C));
}

static void one_that_lags_and_was_never_silent_gets_its_time(void **state) {
  (void)state;
  all_view(B, C);
  for (size_t i = 0; i < 3; i++) f.nodes[i].priority = 100;
  poll_primary(1000, 1000, 1000);
  poll_primary(1100, 1000, 999);
  assert_announces(NULL);
  has_priority(C, 100);
  assert_null(follow_laggard(&f, t, 300, 1));
  all_view(B, NULL);
  follow_lost(&f.answers[1]);
  follow_lost(&f.answers[2]); /* one alone does not say who is silent */
  assert_announces(NULL);
  has_priority(C, 100);
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void one_is_away_until_it_keeps_up_or_has_priority_0_or_a_minute_has_passed(void **state) {
  (void)state;
  assert_true(follow_away(&f, t));
  assert_true(follow_gone(&f, node(C), t));
  all_see_silent(0); /* it is back */
  assert_true(follow_away(&f, t));
  assert_false(follow_gone(&f, node(C), t));
  node(C)->priority = 0;
  assert_false(follow_away(&f, t));
  node(C)->priority = 100;
  assert_true(follow_away(&f, t + 59999));
  assert_false(follow_away(&f, t + 60000));
  poll_primary(1200, 1100, 1100);
  assert_announces(NULL);
  assert_false(follow_away(&f, t)); /* nor is the primary, which no Sentinel lists as a replica */
}

static int lagging(void **state) {
  following(state);
  f.nodes[1].priority = f.nodes[2].priority = 100;
  all_view(B, C);
  poll_primary(1000, 1000, 1000);
  poll_primary(1100, 1000, -1);
  t += 1000;
  poll_primary(1100, 1100, -1);
  return 0;
}

static void one_that_was_taken_out_is_unheard_of_while_a_sentinel_would_promote_it(void **state) {
  (void)state;
  assert_false(follow_unheard(&f, t)); /* it has its priority still */
  node(C)->known = true;
  node(C)->priority = 0;
  assert_true(follow_unheard(&f, t));
  views(0, B, NULL);
  views(1, B, NULL);
  assert_true(follow_unheard(&f, t));
  views(2, B, NULL);
  assert_false(follow_unheard(&f, t));
  all_view(B, C);
  poll_primary(1200, 1200, 1200);
  assert_false(follow_unheard(&f, t)); /* it keeps up */
}

static void the_last_one_that_keeps_up_is_never_taken_out(void **state) {
  (void)state;
  assert_non_null(follow_laggard(&f, t, 300, 0));
  all_view(NULL, C); /* B does not count */
  f.nodes[1].judged_at = 0;
  assert_null(follow_laggard(&f, t, 300, 0));
  all_view(B, C);
  poll_primary(1200, 1000, -1); /* both lag */
  assert_null(follow_laggard(&f, t + 1000, 300, 0));
}

static void one_that_does_not_answer_us_can_not_be_taken_out(void **state) {
  (void)state;
  node(C)->known = false;
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void the_last_one_that_may_be_promoted_is_never_taken_out(void **state) {
  (void)state;
  assert_ptr_equal(follow_laggard(&f, t, 300, 1), node(C));
  node(B)->priority = 0; /* it has caught up, and is not let in again yet */
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void one_that_is_out_is_not_taken_out_again(void **state) {
  (void)state;
  node(C)->priority = 0;
  assert_null(follow_laggard(&f, t, 300, 1));
}

static void one_that_has_kept_up_for_2_s_is_let_in_again_and_counted_before(void **state) {
  (void)state;
  node(C)->priority = 0;
  all_view(B, NULL);
  uint64_t since = t, counted_at = 0;
  while (follow_recovered(&f, t) == NULL) {
    poll_primary(1100, 1100, 1100);
    if (counted_at == 0 && counts(C)) counted_at = t;
    t += 100;
  }
  assert_int_equal(t - since, 2000);
  assert_int_equal(counted_at - since, 1000);
  assert_ptr_equal(follow_recovered(&f, t), node(C));
}

static void one_that_is_about_to_stop_counts_only_while_a_sentinel_would_promote_it_and_stays_out(void **state) {
  (void)state;
  node(C)->priority = 0;
  node(C)->leaving = true;
  all_view(B, C);
  for (int i = 0; i < 40; i++, t += 100) poll_primary(1000, 1000, 1000);
  assert_true(counts(C));
  all_view(B, NULL);
  assert_false(counts(C));
  assert_null(follow_recovered(&f, t));
}

static void a_new_primary_makes_all_replicas_prove_themselves_anew(void **state) {
  (void)state;
  all_view(NULL, NULL);
  for (int i = 0; i < 20; i++, t += 100) poll_primary(1000, 1000, 1000);
  assert_true(counts(C));
  follow_doubt(&f, t);
  promote(B, RB, RA);
  assert_announces(B);
  assert_false(counts(C));
}

static void the_table_of_servers_is_bounded(void **state) {
  (void)state;
  for (unsigned i = 0; i < FOLLOW_NODES_MAX; i++) {
    struct addr a = {.port = (uint16_t)(i + 1)};
    snprintf(a.ip, sizeof a.ip, "10.0.1.1");
    assert_int_equal(follow_node(&f, &a) != NULL, f.node_count < FOLLOW_NODES_MAX || i < FOLLOW_NODES_MAX - 3);
  }
  assert_int_equal(f.node_count, FOLLOW_NODES_MAX);
  assert_non_null(node(C));
}

/* a simulation */

#define RUNS 150
#define STEP_MS 25

static uint64_t seed;

static unsigned chance(unsigned of) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (unsigned)(seed >> 33) % of;
}

/* Three Redis and three Sentinels, of which each is cut off from us at times. A failover makes a new generation: the server is
 * primary at once, a Sentinel says so up to a second later, and the old primary goes on as one until Sentinel demotes it. */
static void simulate(uint64_t number) {
  static const char *const server[] = {A, B, C};
  unsigned generation[3] = {1, 0, 0}, newest = 1, primary = 0, announced = 0, told[3] = {1, 1, 1}, named[3] = {0, 0, 0};
  bool is[3] = {true, false, false};
  uint64_t tell_at[3] = {0, 0, 0}, demote_at = 0, quiet_at = 0;
  char id[2][FOLLOW_REPLID_MAX];
  seed = number;
  fresh(NULL);
  for (unsigned step = 0; step < 1200; step++, t += STEP_MS) {
    bool calm = step > 900; /* in the end everybody is reachable, and the newest must be found */
    if (!calm && t - quiet_at > 4000 && chance(100) == 0) {
      unsigned next = (primary + 1 + chance(2)) % 3;
      if (chance(2)) follow_expect(&f, t);
      if (chance(2)) follow_doubt(&f, t);
      is[next] = true;
      generation[next] = ++newest;
      primary = next;
      for (unsigned i = 0; i < 3; i++) tell_at[i] = t + chance(1000);
      demote_at = t + 1000 + chance(2000);
      quiet_at = t;
    }
    if (demote_at != 0 && t >= demote_at) {
      for (unsigned i = 0; i < 3; i++) is[i] = i == primary;
      demote_at = 0;
    }
    for (unsigned i = 0; i < 3; i++) {
      if (t >= tell_at[i]) {
        told[i] = newest;
        named[i] = primary;
      }
      if (calm || chance(4) != 0) {
        says(i, server[named[i]], told[i]);
      } else if (chance(10) == 0) {
        follow_lost(&f.answers[i]);
      }
      if (!calm && chance(3) == 0) continue;
      unsigned of = is[i] ? generation[i] : newest;
      snprintf(id[0], sizeof id[0], "%040u", of);
      snprintf(id[1], sizeof id[1], "%040u", of - 1);
      lineage(server[i], id[0], of > 1 ? id[1] : "");
      role(server[i], is[i], t - chance(STEP_MS));
    }
    if (!calm && chance(200) == 0) follow_doubt(&f, t);
    const struct addr *found = follow_decide(&f, t);
    if (found == NULL) continue;
    for (unsigned i = 0; i < 3; i++) {
      struct addr a = addr_of(server[i]);
      if (!addr_equal(found, &a)) continue;
      if (!is[i] && generation[i] < announced) fail_msg("seed %llu: a stale primary at step %u", (unsigned long long)number, step);
      if (generation[i] < announced) fail_msg("seed %llu: back to generation %u of %u at step %u", (unsigned long long)number, generation[i], announced, step);
      announced = generation[i];
    }
  }
  if (announced != newest || !f.following) fail_msg("seed %llu: %u is followed, and %u is the newest", (unsigned long long)number, announced, newest);
}

static void through_any_failovers_it_never_goes_back_and_ends_at_the_newest(void **state) {
  (void)state;
  for (uint64_t i = 1; i <= RUNS; i++) simulate(i);
}

/* replies */

static redisReply *reply_of(const char *wire) {
  void *r = NULL;
  redisReader *reader = redisReaderCreate();
  assert_non_null(reader);
  assert_int_equal(redisReaderFeed(reader, wire, strlen(wire)), REDIS_OK);
  assert_int_equal(redisReaderGetReply(reader, &r), REDIS_OK);
  assert_non_null(r);
  redisReaderFree(reader);
  return r;
}

static bool parses_addr(const char *wire, struct addr *out) {
  redisReply *r = reply_of(wire);
  bool ok = follow_parse_addr(r, out);
  freeReplyObject(r);
  return ok;
}

static bool parses_master(const char *wire, struct follow_answer *out) {
  redisReply *r = reply_of(wire);
  bool ok = follow_parse_master(r, out);
  freeReplyObject(r);
  return ok;
}

static bool parses_replicas(const char *wire, struct follow_answer *out, size_t *count) {
  struct addr seen[FOLLOW_NODES_MAX];
  redisReply *r = reply_of(wire);
  bool ok = follow_parse_replicas(r, out, seen, count);
  freeReplyObject(r);
  return ok;
}

static bool parses_role(const char *wire, struct follow_role *out) {
  redisReply *r = reply_of(wire);
  bool ok = follow_parse_role(r, out);
  freeReplyObject(r);
  return ok;
}

static bool parses_info(const char *text, struct follow_node *out) {
  redisReply r = {.type = REDIS_REPLY_VERB, .str = (char *)text, .len = strlen(text)};
  return follow_parse_info(&r, out);
}

static void an_address_is_two_texts(void **state) {
  struct addr a = addr_of(A), b = a;
  (void)state;
  assert_false(parses_addr("*-1\r\n", &a));
  assert_false(parses_addr("_\r\n", &a));
  assert_false(parses_addr("-IDONTKNOW\r\n", &a));
  assert_false(parses_addr("*1\r\n$1\r\na\r\n", &a));
  assert_false(parses_addr("*2\r\n$9\r\nlocalhost\r\n$4\r\n6379\r\n", &a));
  assert_false(parses_addr("*2\r\n$8\r\n10.0.0.2\r\n$1\r\n0\r\n", &a));
  assert_false(parses_addr("*2\r\n$8\r\n10.0.0.2\r\n:6379\r\n", &a));
  assert_memory_equal(&a, &b, sizeof a);
  assert_true(parses_addr("*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n", &a));
  b = addr_of(B);
  assert_true(addr_equal(&a, &b));
}

#define EPOCH "$12\r\nconfig-epoch\r\n$1\r\n7\r\n"
#define DOWN_AFTER "$23\r\ndown-after-milliseconds\r\n$4\r\n5000\r\n"

static void a_primarys_description_is_an_array_or_a_map(void **state) {
  struct follow_answer a = {.epoch = 3}, b = a;
  (void)state;
  assert_false(parses_master("-ERR No such master with that name\r\n", &a));
  assert_false(parses_master("*2\r\n$4\r\nname\r\n$1\r\nm\r\n", &a));
  assert_false(parses_master("%1\r\n:1\r\n:2\r\n", &a));
  assert_memory_equal(&a, &b, sizeof a);
  assert_true(parses_master("*4\r\n" EPOCH DOWN_AFTER, &a));
  assert_int_equal(a.epoch, 7);
  assert_int_equal(a.link_down_max_ms, 60000);
  a = b;
  assert_true(parses_master("%2\r\n" DOWN_AFTER EPOCH, &a));
  assert_int_equal(a.epoch, 7);
  assert_true(parses_master("%3\r\n$5\r\nflags\r\n$20\r\nmaster,s_down,o_down\r\n" DOWN_AFTER EPOCH, &a));
  assert_int_equal(a.link_down_max_ms, 0); /* grows with the time that it is down */
}

#define FIELD_OF(name, value) "+" name "\r\n+" value "\r\n"
#define AGES(ping, pong) FIELD_OF("config-epoch", "7") FIELD_OF("last-ping-sent", ping) FIELD_OF("last-ok-ping-reply", pong)

static void how_long_a_primary_may_have_been_silent_is_its_oldest_unanswered_ping_or_nearly_its_last_pong(void **state) {
  static const struct {
    const char *wire;
    long long age_ms;
  } cases[] = {
      {"*6\r\n" AGES("0", "90"), 0},
      {"*6\r\n" AGES("0", "300"), 200}, /* by then its link may have closed, with no ping unanswered */
      {"*6\r\n" AGES("7", "300"), 7},
      {"*6\r\n" AGES("-7", "300"), -1}, /* the clock was set back */
      {"*6\r\n" AGES("0", "-1"), -1},
      {"*2\r\n" FIELD_OF("config-epoch", "7"), -1}, /* another version */
      {"*4\r\n" FIELD_OF("config-epoch", "7") FIELD_OF("last-ping-sent", "0"), -1},
      {"*8\r\n" AGES("0", "90") FIELD_OF("flags", "master"), 0},
      {"*8\r\n" AGES("0", "90") FIELD_OF("flags", "master,disconnected"), 0},
      {"*8\r\n" AGES("0", "90") FIELD_OF("flags", "s_down,master"), -1},
      {"*8\r\n" AGES("0", "90") FIELD_OF("flags", "master,failover_in_progress"), -1}, /* forced: nobody needs to be down */
      {"*8\r\n" AGES("0", "90") FIELD_OF("role-reported", "master"), 0},
      {"*8\r\n" AGES("0", "90") FIELD_OF("role-reported", "slave"), -1}, /* it is taken for down although it answers */
  };
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct follow_answer a = {.primary_age_ms = 99};
    assert_true(parses_master(cases[i].wire, &a));
    assert_int_equal(a.primary_age_ms, cases[i].age_ms);
  }
}

static void how_much_longer_a_replica_is_silent_is_read_with_its_priority(void **state) {
  static const struct {
    const char *ping; /* NULL: another version, which does not say */
    long long primary_age_ms, lead_ms;
  } cases[] = {{"170", 0, 170}, {"170", 120, 50}, {"170", 170, 0}, {"170", 200, 0}, {"0", 0, 0}, {"-9", 0, 0}, {"170", -1, 0}, {NULL, 0, 0}};
  (void)state;
  for (size_t i = 0; i < 2 * COUNT(cases); i++) {
    const char *ping = cases[i / 2].ping;
    struct follow_answer a = {.primary_age_ms = cases[i / 2].primary_age_ms, .eligible_lead_ms = {77}, .barred_lead_ms = {77}};
    char wire[512];
    size_t count = 0;
    snprintf(wire, sizeof wire, "*1\r\n*%d\r\n" FIELD_OF("ip", "10.0.0.2") FIELD_OF("port", "6379") FIELD_OF("slave-priority", "%s") "%s%s%s", ping != NULL ? 8 : 6,
             i % 2 == 0 ? "100" : "0", ping != NULL ? "+last-ping-sent\r\n+" : "", ping != NULL ? ping : "", ping != NULL ? "\r\n" : "");
    assert_true(parses_replicas(wire, &a, &count));
    assert_int_equal(i % 2 == 0 ? a.eligible_lead_ms[0] : a.barred_lead_ms[0], cases[i / 2].lead_ms);
  }
}

#define REPLICA(flags, priority, host, down) \
  "%6\r\n$2\r\nip\r\n$8\r\n10.0.0.2\r\n$4\r\nport\r\n$4\r\n6379\r\n$5\r\nflags\r\n" flags "$14\r\nslave-priority\r\n" priority \
  "$11\r\nmaster-host\r\n" host "$21\r\nmaster-link-down-time\r\n" down
#define UP "$5\r\nslave\r\n"
#define P100 "$3\r\n100\r\n"
#define HOST "$8\r\n10.0.0.1\r\n"
#define NONE "$1\r\n0\r\n"

static void who_may_be_promoted_is_judged_as_sentinel_judges(void **state) {
  static const struct {
    const char *wire;
    bool may, barred;
  } cases[] = {
      {"*1\r\n" REPLICA(UP, P100, HOST, NONE), true, false},
      {"*1\r\n" REPLICA("$12\r\nslave,s_down\r\n", P100, HOST, NONE), false, false},
      {"*1\r\n" REPLICA("$18\r\nslave,disconnected\r\n", P100, HOST, NONE), true, false}, /* soon back, with what it had */
      {"*1\r\n" REPLICA(UP, NONE, HOST, NONE), false, true},
      {"*1\r\n" REPLICA("$12\r\nslave,s_down\r\n", NONE, HOST, NONE), false, false},
      {"*1\r\n" REPLICA(UP, P100, "$1\r\n?\r\n", NONE), false, false},
      {"*1\r\n" REPLICA(UP, P100, HOST, "$5\r\n60000\r\n"), true, false},
      {"*1\r\n" REPLICA(UP, P100, HOST, "$5\r\n60001\r\n"), false, false},
      {"*1\r\n" REPLICA(UP, P100, HOST, "$5\r\n-1000\r\n"), true, false}, /* started, and never linked yet */
  };
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct follow_answer a = {.link_down_max_ms = 60000};
    size_t count = 0;
    assert_true(parses_replicas(cases[i].wire, &a, &count));
    assert_int_equal(count, 1);
    assert_int_equal(a.eligible_count, cases[i].may);
    assert_int_equal(a.barred_count, cases[i].barred);
    assert_true(a.viewed);
  }
}

static void when_a_sentinel_has_heard_of_a_priority_of_0_is_its_infos_age(void **state) {
  static const struct {
    const char *age;
    uint64_t ms;
  } cases[] = {{"12\r\ninfo-refresh\r\n$3\r\n250", 250}, {NULL, UINT32_MAX}, {"12\r\ninfo-refresh\r\n$13\r\n1795461502000", UINT32_MAX}};
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct follow_answer a = {.link_down_max_ms = 60000};
    char wire[512];
    size_t count = 0;
    bool aged = cases[i].age != NULL;
    snprintf(wire, sizeof wire, "*1\r\n%%%d\r\n+ip\r\n+10.0.0.2\r\n+port\r\n+6379\r\n+flags\r\n+slave\r\n+master-host\r\n+10.0.0.1\r\n+slave-priority\r\n+0\r\n%s%s%s",
             aged ? 6 : 5, aged ? "$" : "", aged ? cases[i].age : "", aged ? "\r\n" : "");
    assert_true(parses_replicas(wire, &a, &count));
    assert_int_equal(a.barred_count, 1);
    assert_int_equal(a.barred_age_ms[0], cases[i].ms);
  }
}

static void replicas_that_cannot_be_read_change_nothing(void **state) {
  struct follow_answer a = {.eligible_count = 1, .eligible = {{"10.0.0.9", 1}}}, b = a;
  size_t count = 77;
  char many[64 * (FOLLOW_NODES_MAX + 1)] = "*17\r\n";
  (void)state;
  for (size_t i = 0; i <= FOLLOW_NODES_MAX; i++) strcat(many, "*4\r\n$2\r\nip\r\n$7\r\n1.1.1.1\r\n$4\r\nport\r\n$1\r\n1\r\n");
  assert_false(parses_replicas("-ERR\r\n", &a, &count));
  assert_false(parses_replicas("*1\r\n:1\r\n", &a, &count));
  assert_false(parses_replicas("*2\r\n" REPLICA(UP, P100, HOST, NONE) "*2\r\n$2\r\nip\r\n$1\r\nh\r\n", &a, &count));
  assert_false(parses_replicas(many, &a, &count));
  assert_memory_equal(&a, &b, sizeof a);
  assert_int_equal(count, 77);
}

static void a_role_is_a_primarys_with_its_replicas_or_any_others(void **state) {
  struct follow_role r = {.offset = 5}, before = r;
  struct addr b = addr_of(B);
  (void)state;
  assert_false(parses_role("-LOADING Redis is loading the dataset in memory\r\n", &r));
  assert_false(parses_role("*1\r\n$6\r\nmaster\r\n", &r));
  assert_false(parses_role("*3\r\n:1\r\n:2\r\n*0\r\n", &r));
  assert_false(parses_role("*3\r\n$6\r\nmaster\r\n$1\r\n9\r\n*0\r\n", &r));
  assert_false(parses_role("*3\r\n$6\r\nmaster\r\n:9\r\n*1\r\n*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n", &r));
  assert_false(parses_role("*3\r\n$6\r\nmaster\r\n:9\r\n*1\r\n*3\r\n$1\r\nh\r\n$4\r\n6379\r\n$1\r\n8\r\n", &r));
  assert_memory_equal(&r, &before, sizeof r);
  assert_true(parses_role("*3\r\n$6\r\nmaster\r\n:9\r\n*1\r\n*3\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n$1\r\n8\r\n", &r));
  assert_true(r.primary && r.offset == 9 && r.linked == 1 && addr_equal(&r.addr[0], &b) && r.acked[0] == 8);
  assert_true(parses_role("*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:9\r\n", &r));
  assert_false(r.primary);
}

#define ZERO "0000000000000000000000000000000000000000"

static void the_lineage_and_the_priority_are_in_info(void **state) {
  struct follow_node n = {.priority = 7, .replid = "x"}, before = n;
  (void)state;
  assert_false(parses_info("# Replication\r\nrole:master\r\nmaster_replid:" RA "\r\n", &n));
  assert_false(parses_info("master_replid:" RA "a\r\nmaster_replid2:" ZERO "\r\n", &n));
  assert_memory_equal(&n, &before, sizeof n);
  assert_true(parses_info("# Replication\r\nrole:master\r\nmaster_replid:" RA "\r\nmaster_replid2:" ZERO "\r\n", &n));
  assert_string_equal(n.replid, RA);
  assert_string_equal(n.replid2, "");
  assert_false(n.no_backlog);
  assert_true(parses_info("master_replid:" RA "\r\nmaster_replid2:" ZERO "\r\nrepl_backlog_active:0\r\n", &n));
  assert_true(n.no_backlog);
  assert_int_equal(n.priority, 1);
  assert_true(parses_info("slave_priority:0\r\nmaster_replid:" RB "\r\nmaster_replid2:" RA "\r\n", &n));
  assert_string_equal(n.replid2, RA);
  assert_int_equal(n.priority, 0);
  assert_false(n.leaving);
  assert_true(parses_info("slave_priority:0\r\nreplica_announced:0\r\nmaster_replid:" RB "\r\nmaster_replid2:" RA "\r\n", &n));
  assert_true(n.leaving);
  assert_true(parses_info("slave_priority:100\r\nreplica_announced:0\r\nmaster_replid:" RB "\r\nmaster_replid2:" RA "\r\n", &n));
  assert_false(n.leaving); /* it may be promoted, so it counts */
}

static void events_of_other_deployments_are_ignored(void **state) {
  struct addr to = addr_of(A), b = addr_of(B), before = to;
  (void)state;
  assert_false(follow_parse_switch("other 10.0.0.1 6379 10.0.0.2 6379", "main", &to));
  assert_false(follow_parse_switch("main 10.0.0.1 6379 10.0.0.2", "main", &to));
  assert_false(follow_parse_switch("main 10.0.0.1 6379 10.0.0.2 6379 x", "main", &to));
  assert_memory_equal(&to, &before, sizeof to);
  assert_true(follow_parse_switch("main 10.0.0.1 6379 10.0.0.2 6379", "main", &to));
  assert_true(addr_equal(&to, &b));
  assert_true(follow_parse_event("master main 10.0.0.1 6379 #quorum 2/2", "main"));
  assert_false(follow_parse_event("master other 10.0.0.1 6379", "main"));
  assert_true(follow_parse_event("slave 10.0.0.2:6379 10.0.0.2 6379 @ main 10.0.0.1 6379", "main"));
  assert_false(follow_parse_event("slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", "main"));
  assert_false(follow_parse_event("sentinel x 10.0.0.2 6379 @ main 10.0.0.1 6379", "main"));
  assert_false(follow_parse_event("slave main", "main"));
  assert_false(follow_parse_event("", "main"));
}

#define ON(setup, test) cmocka_unit_test_setup(test, setup)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON(fresh, the_newest_epoch_wins_over_the_majority),
      ON(fresh, of_equal_epochs_the_majority_wins),
      ON(following, an_announcement_wins_over_older_answers_of_its_epoch_but_not_over_a_newer_failover),
      ON(fresh, without_a_server_that_says_master_nobody_is_announced),
      ON(fresh, a_minority_is_believed_only_after_a_second),
      ON(fresh, a_majority_is_believed_at_once),
      ON(following, an_epoch_below_the_highest_seen_is_not_believed),
      ON(following, a_majority_that_says_less_for_15_s_was_set_up_anew),
      ON(following, whoever_still_says_the_highest_epoch_keeps_it),
      ON(following, while_followed_a_newer_epoch_moves_on_once_the_new_one_has_been_asked),
      ON(following, an_answer_to_a_question_from_before_the_doubt_does_not_count),
      ON(following, the_same_primary_again_is_announced_after_a_doubt),
      ON(following, but_five_times_a_second_at_most),
      ON(following, a_primary_that_says_it_is_a_replica_is_doubted),
      ON(following, a_promotion_is_seen_while_the_primary_is_lost),
      ON(following, a_promotion_is_seen_while_sentinel_replaces_the_primary),
      ON(following, otherwise_only_sentinel_is_believed),
      ON(following, a_stale_primary_of_another_lineage_is_never_believed),
      ON(fresh, before_anything_was_followed_no_lineage_is_believed),
      ON(following, the_lineage_is_that_of_the_last_primary),
      ON(promoted_early, a_deposed_primary_is_not_believed_for_10_s),
      ON(promoted_early, a_deposed_primary_is_believed_at_a_newer_epoch),
      ON(promoted_early, a_deposed_primary_is_believed_when_the_promotion_is_called_off),
      ON(promoted_early, when_sentinel_confirms_the_promotion_nothing_changes),
      ON(following, a_replica_counts_while_one_sentinel_may_promote_it),
      ON(following, it_leaves_when_all_sentinels_say_so),
      ON(following, the_last_word_of_a_lost_sentinel_holds_while_only_a_minority_answers),
      ON(following, one_that_the_sentinels_have_not_heard_of_yet_counts_by_its_own_word),
      ON(following, one_that_is_taken_out_counts_until_all_sentinels_were_asked_since),
      ON(following, one_whose_word_is_older_than_its_lag_counts_while_a_sentinel_may_hear_of_its_priority),
      ON(following, one_that_comes_back_does_not_count_when_every_sentinel_has_heard_of_0_since_it_went),
      ON(following, unless_others_may_set_its_priority),
      ON(following, what_it_said_since_it_went_holds_when_it_is_linked_again),
      ON(following, the_primary_never_counts),
      ON(following, one_that_has_kept_up_for_a_second_counts_before_it_may_be_promoted),
      ON(following, unless_priorities_are_not_ours),
      ON(following, a_write_is_covered_when_all_that_count_have_it),
      ON(following, an_acknowledgement_by_one_that_does_not_count_is_no_substitute),
      ON(following, at_least_so_many_must_have_it_whoever_counts),
      ON(following, what_is_not_the_primary_or_is_doubted_covers_nothing),
      ON(following, a_laggard_is_taken_out_after_a_while_when_others_suffice),
      ON(following, one_that_all_sentinels_will_take_for_down_before_the_primary_does_not_count),
      ON(following, it_counts_while_one_sentinel_may_see_the_primary_down_first),
      ON(following, the_time_that_an_answer_took_is_no_silence),
      ON(following, a_silence_is_believed_for_300_ms),
      ON(following, the_last_word_of_a_lost_sentinel_is_no_silence),
      ON(following, one_that_is_silent_does_not_count_with_priority_0_either),
      ON(following, one_that_keeps_up_counts_however_silent_the_sentinels_find_it),
      ON(following, when_all_are_silent_a_write_waits_for_as_many_as_must_have_it),
      ON(fell_silent, the_sentinels_are_watched_while_one_holds_writes_up_and_while_their_word_of_a_silence_is_relied_on),
      ON(fell_silent, one_that_is_back_from_a_silence_is_taken_out_at_once_unless_it_keeps_up),
      ON(fell_silent, it_is_taken_out_before_the_sentinels_see_it_back),
      ON(fell_silent, one_that_is_back_as_a_primary_is_not_ours_to_take_out),
      ON(following, one_that_lags_and_was_never_silent_gets_its_time),
      ON(fell_silent, one_is_away_until_it_keeps_up_or_has_priority_0_or_a_minute_has_passed),
      ON(lagging, one_that_was_taken_out_is_unheard_of_while_a_sentinel_would_promote_it),
      ON(lagging, the_last_one_that_keeps_up_is_never_taken_out),
      ON(lagging, the_last_one_that_may_be_promoted_is_never_taken_out),
      ON(lagging, one_that_does_not_answer_us_can_not_be_taken_out),
      ON(lagging, one_that_is_out_is_not_taken_out_again),
      ON(lagging, one_that_has_kept_up_for_2_s_is_let_in_again_and_counted_before),
      ON(lagging, one_that_is_about_to_stop_counts_only_while_a_sentinel_would_promote_it_and_stays_out),
      ON(following, a_new_primary_makes_all_replicas_prove_themselves_anew),
      ON(following, the_table_of_servers_is_bounded),
      cmocka_unit_test(through_any_failovers_it_never_goes_back_and_ends_at_the_newest),
      cmocka_unit_test(an_address_is_two_texts),
      cmocka_unit_test(a_primarys_description_is_an_array_or_a_map),
      cmocka_unit_test(how_long_a_primary_may_have_been_silent_is_its_oldest_unanswered_ping_or_nearly_its_last_pong),
      cmocka_unit_test(how_much_longer_a_replica_is_silent_is_read_with_its_priority),
      cmocka_unit_test(who_may_be_promoted_is_judged_as_sentinel_judges),
      cmocka_unit_test(when_a_sentinel_has_heard_of_a_priority_of_0_is_its_infos_age),
      cmocka_unit_test(replicas_that_cannot_be_read_change_nothing),
      cmocka_unit_test(a_role_is_a_primarys_with_its_replicas_or_any_others),
      cmocka_unit_test(the_lineage_and_the_priority_are_in_info),
      cmocka_unit_test(events_of_other_deployments_are_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
