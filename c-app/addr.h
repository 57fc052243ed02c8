/* addr: a numeric IP address and a port.
 *
 * Names are not resolved on purpose: a resolver is one more thing that can hang in the middle of a failover.
 * The text form is canonical (as inet_ntop writes it), so two equal addresses are equal byte for byte. */
#ifndef ADDR_H
#define ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX 56 /* "[ipv6]:port" and a NUL */

struct addr {
  char ip[INET6_ADDRSTRLEN];
  uint16_t port;
};

/* From an address and a port in two strings, as Sentinel gives them. False when either is malformed. */
bool addr_set(struct addr *a, const char *ip, const char *port);
/* From "ipv4:port" or "[ipv6]:port". */
bool addr_parse(struct addr *a, const char *text);
bool addr_equal(const struct addr *a, const struct addr *b);
/* Writes "ip:port" to `out` and returns it. */
const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]);
/* For the socket calls. False when `ip` is not an address. */
bool addr_sockaddr(const char *ip, unsigned port, struct sockaddr_storage *out);

#endif
