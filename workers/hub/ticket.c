#include "ticket.h"

#include "mem.h"
#include "secret.h"

#include <stdio.h>

/* Layout: version, fixed numbers, strings as u16 length and bytes, then the MAC of all that. Both
 * ends are this program; another version means another build, and the client connects again. */
enum { TICKET_VERSION = 3 };

static void put_num(struct buf *b, const void *p, size_t n)
{
    buf_put(b, p, n);
}

static void put_text(struct buf *b, struct view v)
{
    uint16_t n = (uint16_t)v.n;

    if (v.n > UINT16_MAX) {
        b->failed = true;
        return;
    }
    put_num(b, &n, sizeof(n));
    buf_put_view(b, v);
}

int ticket_seal(struct mac *key, const struct conn *c, struct buf *out, struct err *e)
{
    uint8_t version = TICKET_VERSION, role = (uint8_t)c->who.role, by = (uint8_t)c->who.by,
            flags = (uint8_t)((c->local ? 1u : 0) | (c->sub_sessions ? 2u : 0) |
                              (c->who.paired ? 4u : 0));
    uint32_t scopes = c->who.scopes, listed = c->who.scopes_listed, caps = c->caps,
             subs = c->sub_count, protocol = c->protocol;
    unsigned char seal[MAC_BYTES];
    size_t from = out->n;
    int r;

    put_num(out, &version, 1);
    put_num(out, &c->id, sizeof(c->id));
    put_num(out, &role, 1);
    put_num(out, &flags, 1);
    put_num(out, &by, 1);
    put_num(out, c->who.print, sizeof(c->who.print));
    put_num(out, &scopes, sizeof(scopes));
    put_num(out, &listed, sizeof(listed));
    put_num(out, &caps, sizeof(caps));
    put_num(out, &protocol, sizeof(protocol));
    put_text(out, view_str(c->who.method));
    put_text(out, view_str(c->who.client_id));
    put_text(out, view_str(c->who.client_mode));
    put_text(out, view_str(c->who.device_id));
    put_text(out, view_str(c->conn_uuid));
    put_text(out, view_str(c->listed_key));
    put_text(out, view_str(c->listed));
    put_num(out, &subs, sizeof(subs));
    for (unsigned i = 0; i < c->sub_count; i++)
        put_text(out, view_str(c->sub_keys[i]));
    if ((r = buf_check(out, e)) < 0)
        return err_wrap(e, "ticket");
    if ((r = mac_of(key, view_from(buf_view(out), from), seal, e)) < 0)
        return r;
    buf_put(out, seal, sizeof(seal));
    return buf_check(out, e);
}

/* Reads are of bytes we sealed ourselves; the bounds hold all the same. */
static bool get_num(struct view *v, void *p, size_t n)
{
    if (v->n < n)
        return false;
    memcpy(p, v->p, n);
    *v = view_from(*v, n);
    return true;
}

static bool get_text(struct view *v, struct view *out)
{
    uint16_t n;

    if (!get_num(v, &n, sizeof(n)) || v->n < n)
        return false;
    *out = view_of(v->p, n);
    *v = view_from(*v, n);
    return true;
}

static bool get_fixed(struct view *v, char *out, size_t room)
{
    struct view t;

    if (!get_text(v, &t) || t.n >= room)
        return false;
    memcpy(out, t.p, t.n);
    out[t.n] = '\0';
    return true;
}

static int get_owned(struct view *v, char **out)
{
    struct view t;

    if (!get_text(v, &t))
        return ERR_INVALID;
    if (t.n == 0)
        return 0;
    return (*out = mem_dup(t.p, t.n)) ? 0 : ERR_NOMEM;
}

static int get_subs(struct view *v, struct conn *c)
{
    uint32_t n;
    int r;

    if (!get_num(v, &n, sizeof(n)) || n > CONN_SUBS_MAX)
        return ERR_INVALID;
    for (uint32_t i = 0; i < n; i++) {
        if ((r = get_owned(v, &c->sub_keys[i])) < 0)
            return r;
        if (!c->sub_keys[i])
            return ERR_INVALID;
        c->sub_count = i + 1;
    }
    return v->n == 0 ? 0 : ERR_INVALID;
}

int ticket_open(struct mac *key, struct view t, struct conn *c, struct err *e)
{
    unsigned char seal[MAC_BYTES];
    uint8_t version, role, flags, by;
    uint32_t scopes, listed, caps, protocol;
    struct view v;
    uint64_t id;
    int r;

    if (t.n < MAC_BYTES)
        return err_set(e, ERR_DENIED, "ticket too short");
    v = view_of(t.p, t.n - MAC_BYTES);
    if ((r = mac_of(key, v, seal, e)) < 0)
        return r;
    if (!secret_same(seal, t.p + v.n, MAC_BYTES))
        return err_set(e, ERR_DENIED, "ticket with a wrong seal");
    if (!get_num(&v, &version, 1) || version != TICKET_VERSION || !get_num(&v, &id, sizeof(id)) ||
        id != c->id)
        return err_set(e, ERR_DENIED, "ticket of another connection");
    if (!get_num(&v, &role, 1) || !get_num(&v, &flags, 1) || !get_num(&v, &by, 1) ||
        !get_num(&v, c->who.print, sizeof(c->who.print)) || !get_num(&v, &scopes, sizeof(scopes)) ||
        !get_num(&v, &listed, sizeof(listed)) || !get_num(&v, &caps, sizeof(caps)) ||
        !get_num(&v, &protocol, sizeof(protocol)) ||
        !get_fixed(&v, c->who.method, sizeof(c->who.method)) ||
        !get_fixed(&v, c->who.client_id, sizeof(c->who.client_id)) ||
        !get_fixed(&v, c->who.client_mode, sizeof(c->who.client_mode)) ||
        !get_fixed(&v, c->who.device_id, sizeof(c->who.device_id)) ||
        !get_fixed(&v, c->conn_uuid, sizeof(c->conn_uuid)))
        return err_set(e, ERR_DENIED, "ticket of another build");
    c->who.role = (enum conn_role)role;
    c->who.scopes = scopes;
    c->who.scopes_listed = listed;
    c->caps = caps;
    c->protocol = protocol;
    c->local = flags & 1;
    c->sub_sessions = flags & 2;
    c->who.paired = flags & 4;
    c->who.by = (enum credential)by;
    if ((r = get_owned(&v, &c->listed_key)) < 0 || (r = get_owned(&v, &c->listed)) < 0 ||
        (r = get_subs(&v, c)) < 0)
        return r == ERR_NOMEM ? err_set(e, r, "no memory for a connection")
                              : err_set(e, ERR_DENIED, "ticket of another build");
    return 0;
}
