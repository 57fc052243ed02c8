#include "addr.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

static bool port_set(uint16_t *port, const char *text) {
  unsigned long n = 0;
  if (*text == '\0') return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') return false;
    n = n * 10 + (unsigned long)(*text - '0');
    if (n > 65535) return false;
  }
  if (n == 0) return false;
  *port = (uint16_t)n;
  return true;
}

bool addr_set(struct addr *a, const char *ip, const char *port) {
  unsigned char raw[16];
  struct addr parsed = {0};
  int family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
  if (uv_inet_pton(family, ip, raw) != 0) return false;
  if (uv_inet_ntop(family, raw, parsed.ip, sizeof parsed.ip) != 0) return false;
  if (!port_set(&parsed.port, port)) return false;
  *a = parsed;
  return true;
}

bool addr_parse(struct addr *a, const char *text) {
  char ip[INET6_ADDRSTRLEN];
  bool bracket = text[0] == '[';
  const char *end = bracket ? strstr(text, "]:") : strrchr(text, ':');
  if (end == NULL) return false;
  if (bracket) text++;
  size_t len = (size_t)(end - text);
  if (len >= sizeof ip) return false;
  memcpy(ip, text, len);
  ip[len] = '\0';
  if (bracket != (strchr(ip, ':') != NULL)) return false;
  return addr_set(a, ip, end + (bracket ? 2 : 1));
}

bool addr_equal(const struct addr *a, const struct addr *b) {
  return a->port == b->port && strcmp(a->ip, b->ip) == 0;
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]) {
  bool v6 = strchr(a->ip, ':') != NULL;
  snprintf(out, ADDR_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", a->ip, (unsigned)a->port);
  return out;
}

bool addr_sockaddr(const struct addr *a, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (strchr(a->ip, ':') != NULL) return uv_ip6_addr(a->ip, a->port, (struct sockaddr_in6 *)out) == 0;
  return uv_ip4_addr(a->ip, a->port, (struct sockaddr_in *)out) == 0;
}
