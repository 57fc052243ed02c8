#include "check.h"
#include "hold.h"

static struct hold_item item(uint64_t deadline) { return (struct hold_item){.deadline = deadline}; }

static void first_in_is_first_out(void **state) {
  struct hold h;
  struct hold_item a = item(1), b = item(1), c = item(2);
  (void)state;
  hold_init(&h, 9);
  assert_true(hold_push(&h, &a) && hold_push(&h, &b) && hold_push(&h, &c));
  assert_int_equal(h.count, 3);
  assert_ptr_equal(hold_take(&h), &a);
  assert_ptr_equal(hold_take(&h), &b);
  assert_ptr_equal(hold_take(&h), &c);
  assert_null(hold_take(&h));
  assert_int_equal(h.count, 0);
}

static void a_full_queue_refuses_the_new_but_not_what_comes_back(void **state) {
  struct hold h;
  struct hold_item a = item(5), b = item(6), c = item(7);
  (void)state;
  hold_init(&h, 2);
  assert_true(hold_push(&h, &b) && hold_push(&h, &c));
  assert_false(hold_push(&h, &a));
  hold_return(&h, &a);
  assert_int_equal(h.count, 3);
  assert_ptr_equal(hold_take(&h), &a);
}

static void what_comes_back_goes_before_the_younger(void **state) {
  struct hold h;
  struct hold_item a = item(1), b = item(2), c = item(3), d = item(4);
  (void)state;
  hold_init(&h, 9);
  hold_push(&h, &b);
  hold_push(&h, &d);
  hold_return(&h, &c);
  hold_return(&h, &a);
  assert_ptr_equal(hold_take(&h), &a);
  assert_ptr_equal(hold_take(&h), &b);
  assert_ptr_equal(hold_take(&h), &c);
  assert_ptr_equal(hold_take(&h), &d);
}

static void only_what_is_due_expires(void **state) {
  struct hold h;
  struct hold_item a = item(10), b = item(20);
  (void)state;
  hold_init(&h, 9);
  hold_push(&h, &a);
  hold_push(&h, &b);
  assert_null(hold_take_expired(&h, 9));
  assert_ptr_equal(hold_take_expired(&h, 10), &a);
  assert_null(hold_take_expired(&h, 19));
  assert_ptr_equal(hold_take_expired(&h, 1000), &b);
  assert_null(hold_take_expired(&h, 1000));
}

static void an_item_can_leave_from_anywhere(void **state) {
  (void)state;
  for (int leaves = 0; leaves < 3; leaves++) {
    struct hold h;
    struct hold_item items[3] = {item(1), item(2), item(3)};
    hold_init(&h, 9);
    for (int i = 0; i < 3; i++) hold_push(&h, &items[i]);
    hold_remove(&h, &items[leaves]);
    for (int i = 0; i < 3; i++) {
      if (i != leaves) assert_ptr_equal(hold_take(&h), &items[i]);
    }
    assert_null(hold_take(&h));
    assert_ptr_equal(h.end.next, &h.end);
    assert_ptr_equal(h.end.prev, &h.end);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_in_is_first_out), cmocka_unit_test(a_full_queue_refuses_the_new_but_not_what_comes_back),
      cmocka_unit_test(what_comes_back_goes_before_the_younger), cmocka_unit_test(only_what_is_due_expires),
      cmocka_unit_test(an_item_can_leave_from_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
