/* alloc: runs a scenario again and again, with failing allocations at every possible place.
 *
 * The program must be linked as the Makefile does it: calls of malloc, calloc, realloc, strdup and fopen in our
 * objects come here. The libraries' allocators are directed here by alloc_init, which must be their first use. */
#ifndef ALLOC_H
#define ALLOC_H

#include <stdbool.h>

void alloc_init(void);
/* First with the n-th allocation failing, then with all from the n-th on; n = 1, 2, ... until a run has so few that none
 * fails. Returns that n less one: how many allocations an undisturbed run makes. */
unsigned alloc_fail_each(void (*scenario)(void));
/* After a test that failed in the middle of a scenario. */
void alloc_stop(void);
/* One failed in this run. */
bool alloc_denied(void);

#endif
