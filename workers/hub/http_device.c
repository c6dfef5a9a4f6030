/* workers/hub/http_device.c - a device's token as the bearer of an HTTP request (http.h). */
#include "auth.h"
#include "clock.h"
#include "devices.h"
#include "http.h"
#include "log.h"

struct search {
    struct view token;
    unsigned scopes;
    bool found;
};

/* All are looked at: how long it takes does not say whose it is. */
static int on_device(void *ctx, const struct paired *p)
{
    struct search *s = ctx;

    if (devices_match(p, DEVICE_OPERATOR, s->token)) {
        s->found = true;
        s->scopes = p->operator_token.scopes & scope_expand(p->scopes);
    }
    return 0;
}

static bool looks_like_one(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return v.n == DEVICE_TOKEN_LEN;
}

bool http_by_device(struct http_request *r, struct view key, bool waits, struct view credential)
{
    struct hub *h = r->hub;
    struct throttle *t = auth_door(h).throttle;
    struct search s = {.token = credential};
    struct err e = ERR_INIT;
    uint64_t now = clock_mono_ms();

    if (r->route->scope != SCOPE_READ || !looks_like_one(credential) ||
        h->settings->auth_mode == AUTH_PROXY || throttle_locked(t, THROTTLE_DEVICE, key, now))
        return false;
    if (devices_each(h->devices, on_device, &s, &e) < 0)
        log_warn("http.devices", KV("why", e.text));
    if (!s.found) {
        (void)throttle_failed(t, THROTTLE_DEVICE, key, waits, now);
        return false;
    }
    throttle_ok(t, THROTTLE_DEVICE, key);
    r->scopes = scope_expand(s.scopes);
    return true;
}
