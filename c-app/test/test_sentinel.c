#include "check.h"
#include "sentinel.h"

#include <string.h>

static struct sentinel_answer says(const char *addr, uint64_t epoch) {
  struct sentinel_answer a = {.known = true, .epoch = epoch};
  assert_true(addr_parse(&a.addr, addr));
  return a;
}

#define A "10.0.0.1:6379"
#define B "10.0.0.2:6379"

static void assert_chosen(const struct sentinel_answer *answers, size_t count, uint64_t floor, const char *addr) {
  struct addr want;
  int i = sentinel_choose(answers, count, floor);
  if (addr == NULL) {
    assert_int_equal(i, -1);
    return;
  }
  assert_true(i >= 0);
  assert_true(addr_parse(&want, addr));
  assert_true(addr_equal(&answers[i].addr, &want));
}

static void the_highest_epoch_wins_over_the_majority(void **state) {
  struct sentinel_answer a[] = {says(A, 4), says(B, 5), says(A, 4)};
  (void)state;
  assert_chosen(a, 3, 0, B);
}

static void with_equal_epochs_the_majority_wins(void **state) {
  struct sentinel_answer one[] = {says(A, 4), says(B, 4), says(B, 4)}, two[] = {says(B, 4), says(A, 4), says(B, 4)};
  (void)state;
  assert_chosen(one, 3, 0, B);
  assert_chosen(two, 3, 0, B);
}

static void an_announcement_wins_over_older_answers_of_its_epoch(void **state) {
  struct sentinel_answer a[] = {says(A, 4), says(A, 4), says(B, 4)}, b[] = {says(B, 4), says(A, 4), says(A, 4)};
  (void)state;
  a[2].announced = true;
  b[0].announced = true;
  assert_chosen(a, 3, 0, B);
  assert_chosen(b, 3, 0, B);
  b[1] = says(A, 5); /* but not over a newer failover */
  assert_chosen(b, 3, 0, A);
}

static void a_stale_primary_is_not_believed(void **state) {
  struct sentinel_answer a[] = {says(A, 4), {0}, says(A, 4)};
  (void)state;
  assert_chosen(a, 3, 5, NULL);
  assert_chosen(a, 3, 4, A);
}

static void without_answers_nothing_is_chosen(void **state) {
  struct sentinel_answer a[] = {{0}, {0}};
  (void)state;
  assert_chosen(a, 2, 0, NULL);
  assert_chosen(a, 0, 0, NULL);
}

/* Reads a reply as it comes from the network. */
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
  bool ok = sentinel_parse_addr(r, out);
  freeReplyObject(r);
  return ok;
}

static void the_address_is_read_or_refused(void **state) {
  struct addr a;
  (void)state;
  assert_true(parses_addr("*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n", &a));
  assert_string_equal(a.ip, "10.0.0.1");
  assert_int_equal(a.port, 6379);
  assert_true(parses_addr("*2\r\n$3\r\n::1\r\n$1\r\n1\r\n", &a));
  assert_false(parses_addr("*-1\r\n", &a));
  assert_false(parses_addr("_\r\n", &a));
  assert_false(parses_addr("-ERR x\r\n", &a));
  assert_false(parses_addr("*1\r\n$8\r\n10.0.0.1\r\n", &a));
  assert_false(parses_addr("*2\r\n$4\r\nname\r\n$4\r\n6379\r\n", &a));
  assert_false(parses_addr("*2\r\n$8\r\n10.0.0.1\r\n$1\r\n0\r\n", &a));
  assert_false(parses_addr("*2\r\n$8\r\n10.0.0.1\r\n:6379\r\n", &a));
  assert_string_equal(a.ip, "::1");
}

static void assert_epoch(const char *wire, uint64_t epoch) {
  redisReply *r = reply_of(wire);
  assert_int_equal(sentinel_parse_epoch(r), epoch);
  freeReplyObject(r);
}

static void the_epoch_is_read_from_a_map_or_a_list(void **state) {
  (void)state;
  assert_epoch("%2\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n17\r\n", 17);
  assert_epoch("*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n17\r\n", 17);
  assert_epoch("*3\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n", 0);
  assert_epoch("-ERR No such master\r\n", 0);
}

static void switch_master_is_read_for_our_name_only(void **state) {
  struct addr a = {0};
  (void)state;
  assert_true(sentinel_parse_switch("mymaster 10.0.0.1 6379 10.0.0.2 6380", "mymaster", &a));
  assert_string_equal(a.ip, "10.0.0.2");
  assert_int_equal(a.port, 6380);
  assert_false(sentinel_parse_switch("other 10.0.0.1 6379 10.0.0.2 6380", "mymaster", &a));
  assert_false(sentinel_parse_switch("mymaster 10.0.0.1 6379 10.0.0.2", "mymaster", &a));
  assert_false(sentinel_parse_switch("mymaster 10.0.0.1 6379 10.0.0.2 6380 x", "mymaster", &a));
  assert_false(sentinel_parse_switch("mymaster 10.0.0.1 6379 host 6380", "mymaster", &a));
  assert_false(sentinel_parse_switch("", "mymaster", &a));
  char longer[2048];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_false(sentinel_parse_switch(longer, "mymaster", &a));
}

static void the_replica_to_be_promoted_is_read(void **state) {
  struct addr a = {0};
  (void)state;
  assert_true(sentinel_parse_promotion("slave 10.0.0.2:6380 10.0.0.2 6380 @ mymaster 10.0.0.1 6379", "mymaster", &a));
  assert_string_equal(a.ip, "10.0.0.2");
  assert_int_equal(a.port, 6380);
  assert_false(sentinel_parse_promotion("slave 10.0.0.2:6380 10.0.0.2 6380 @ other 10.0.0.1 6379", "mymaster", &a));
  assert_false(sentinel_parse_promotion("slave 10.0.0.2:6380 10.0.0.2 6380 @ mymaster 10.0.0.1", "mymaster", &a));
  assert_false(sentinel_parse_promotion("master mymaster 10.0.0.1 6379", "mymaster", &a));
}

static void assert_role(const char *wire, bool primary, unsigned replicas) {
  unsigned n = 99;
  redisReply *r = reply_of(wire);
  assert_int_equal(sentinel_parse_role(r, &n), primary);
  assert_int_equal(n, replicas);
  freeReplyObject(r);
}

static void only_a_primary_is_taken_for_one(void **state) {
  (void)state;
  assert_role("*3\r\n$6\r\nmaster\r\n:10\r\n*0\r\n", true, 0);
  assert_role("*3\r\n$6\r\nmaster\r\n:10\r\n*1\r\n*3\r\n$8\r\n10.0.0.2\r\n$4\r\n6379\r\n$2\r\n10\r\n", true, 1);
  assert_role("*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:10\r\n", false, 0);
  assert_role("*2\r\n$8\r\nsentinel\r\n*0\r\n", false, 0);
  assert_role("-NOAUTH Authentication required.\r\n", false, 0);
  assert_role("*0\r\n", false, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_highest_epoch_wins_over_the_majority), cmocka_unit_test(with_equal_epochs_the_majority_wins),
      cmocka_unit_test(an_announcement_wins_over_older_answers_of_its_epoch), cmocka_unit_test(a_stale_primary_is_not_believed),
      cmocka_unit_test(without_answers_nothing_is_chosen), cmocka_unit_test(the_address_is_read_or_refused),
      cmocka_unit_test(the_epoch_is_read_from_a_map_or_a_list), cmocka_unit_test(switch_master_is_read_for_our_name_only),
      cmocka_unit_test(the_replica_to_be_promoted_is_read),
      cmocka_unit_test(only_a_primary_is_taken_for_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
