#include "addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

bool addr_set(struct addr *a, const char *ip, const char *port) {
  unsigned char raw[16];
  struct addr parsed = {0};
  int family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
  if (uv_inet_pton(family, ip, raw) != 0) return false;
  if (uv_inet_ntop(family, raw, parsed.ip, sizeof parsed.ip) != 0) return false;
  unsigned long n = strtoul(port, NULL, 10);
  if (port[strspn(port, "0123456789")] != '\0' || n == 0 || n > 65535) return false;
  parsed.port = (uint16_t)n;
  *a = parsed;
  return true;
}

bool addr_parse(struct addr *a, const char *text) {
  char ip[INET6_ADDRSTRLEN], port[8], more;
  bool v6 = sscanf(text, "[%45[^]]]:%7[0-9]%c", ip, port, &more) == 2 && strchr(ip, ':') != NULL;
  return (v6 || sscanf(text, "%45[^[:]:%7[0-9]%c", ip, port, &more) == 2) && addr_set(a, ip, port);
}

bool addr_equal(const struct addr *a, const struct addr *b) {
  return a->port == b->port && strcmp(a->ip, b->ip) == 0;
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]) {
  bool v6 = strchr(a->ip, ':') != NULL;
  snprintf(out, ADDR_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", a->ip, (unsigned)a->port);
  return out;
}

bool addr_sockaddr(const char *ip, unsigned port, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (strchr(ip, ':') != NULL) return uv_ip6_addr(ip, (int)port, (struct sockaddr_in6 *)out) == 0;
  return uv_ip4_addr(ip, (int)port, (struct sockaddr_in *)out) == 0;
}
