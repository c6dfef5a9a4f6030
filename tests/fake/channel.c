/*
 * tests/fake/channel.c - a channel's worker and its platform in one: the platform is a folder.
 * sent.log: what it accepted, a line of JSON each. repeated.log: what it knew by its client id.
 * updates: what people write, a line of JSON {id, peer, text, files: [{path, type, name}]} each,
 * appended by the test; files are said when the hub wants the message. offset:
 * how much of it the platform may forget, moved when the hub has acknowledged. down: while this
 * file is there the platform is not.
 * Account: {folder, clientIds: bool, textLimit: n, chatGapMs: n, accountPerSecond: n, album: n,
 * mediaMaxMb: n}. What a message says, or a file of it is called, decides what becomes of it:
 * [transient N] [unknown N] [die-before N] [die-after N] [hang N]  for the first N attempts
 * [later N] [all]: too many, says the platform, of the account when all [permanent]  [after MS]
 * Retry-After of a transient failure or of later  [slow MS] die-after, unknown and hang accept it
 * first when [accept] is said, too.
 */
#include "clock.h"
#include "fd.h"
#include "json.h"
#include "jw.h"
#include "log.h"
#include "num.h"
#include "rand.h"
#include "worker.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ITEMS_MAX = 256, POLL_MS = 5, UPDATES_MAX = 256, HOOKS_MAX = 64, FILES_MAX = 16 };

struct item {
    bool used, done;
    struct ipc_deliver_result res; /* views into the texts below */
    char message_id[64], error[64];
    uint64_t at_ms; /* 0: never */
    bool accept;
    char *line; /* owned: what sent.log gets */
    char client[80];
};

struct update {
    bool used;
    char id[128];
    long end; /* offset behind its line */
};

struct channel {
    struct worker w;
    struct {
        uint64_t req; /* 0: free */
        char id[128];
    } hooks[HOOKS_MAX]; /* webhooks whose message is not safe yet */
    const char *folder;
    bool client_ids, down;
    uint32_t text_limit, gap_ms, account_n;
    json_t *known;  /* client ids the platform has seen */
    json_t *wanted; /* messages whose files are said, too */
    uint32_t media_max_mb;
    uint8_t album;
    struct buf files; /* what was said of the files of the part that comes next: JSON, and names */
    struct buf names;
    unsigned file_n;
    uint64_t files_of;
    struct item items[ITEMS_MAX];
    struct update updates[UPDATES_MAX]; /* offered and not acknowledged, and those behind them */
    long read_to, acked_to;
    uint64_t hold_ms, boot;
    struct loop_timer poll;
};

static void path_of(const struct channel *c, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s", c->folder, name);
}

static void append(const struct channel *c, const char *name, struct view line)
{
    char path[PATH_MAX];
    int fd;

    path_of(c, name, path);
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line.p, line.n) != (ssize_t)line.n)
        abort();
    (void)close(fd);
}

static FILE *open_file(const struct channel *c, const char *name)
{
    char path[PATH_MAX];

    path_of(c, name, path);
    return fopen(path, "re");
}

static void load(struct channel *c)
{
    FILE *f = open_file(c, "sent.log");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    c->known = json_object();
    while (f && (n = getline(&line, &room, f)) > 0) {
        struct err e = ERR_INIT;
        json_t *doc = NULL;
        const char *id;

        if (json_parse(view_of(line, (size_t)n), &doc, &e) < 0)
            continue;
        if ((id = json_string_value(json_object_get(doc, "client"))))
            (void)json_object_set_new(c->known, id, json_true());
        json_decref(doc);
    }
    if (f)
        (void)fclose(f);
    if ((f = open_file(c, "offset"))) {
        if (fscanf(f, "%ld", &c->acked_to) != 1)
            c->acked_to = 0;
        (void)fclose(f);
    }
    c->read_to = c->acked_to;
    free(line);
}

static struct link *hub(const struct channel *c)
{
    return worker_peer(&c->w, ROLE_HUB);
}

/* ---- to the platform ---- */

/* "[name N]" in the text: N, 1 when no number is given, 0 when it is not there. */
static uint32_t said(struct view text, const char *name)
{
    char tag[32];
    size_t n = (size_t)snprintf(tag, sizeof(tag), "[%s", name);

    for (; text.n > n; text = view_from(text, 1)) {
        struct view rest = view_from(text, n), num;
        struct err e = ERR_INIT;
        uint32_t v = 1;

        if (!view_starts(text, view_str(tag)) || (rest.p[0] != ' ' && rest.p[0] != ']'))
            continue;
        num = view_trim(view_of(rest.p, view_find(rest, ']')));
        if (num.n && num_u32(num, 0, UINT32_MAX, &v, &e) < 0)
            return 0;
        return v;
    }
    return 0;
}

/* With the time (monotonic seconds), so that what came late can be told. */
static void accepted(const struct channel *c, const char *name, const struct item *it)
{
    struct buf b = BUF_INIT(1024 * KIB);
    uint64_t us = clock_mono_ns() / 1000;

    buf_printf(&b, "{\"at\":%llu.%06llu,", (unsigned long long)us / 1000000,
               (unsigned long long)us % 1000000);
    buf_put_str(&b, it->line + 1);
    append(c, name, buf_view(&b));
    buf_fini(&b);
}

static void platform_accepts(struct channel *c, struct item *it)
{
    if (c->client_ids && json_object_get(c->known, it->client)) {
        accepted(c, "repeated.log", it);
        return;
    }
    accepted(c, "sent.log", it);
    (void)json_object_set_new(c->known, it->client, json_true());
}

static void send_result(struct channel *c, const struct item *it)
{
    struct link *l = hub(c);
    struct err e = ERR_INIT;

    if (l && msg_send_deliver_result(l, &it->res, &e) < 0)
        log_warn("fake.result", KV("why", e.text));
}

static void finish(struct channel *c, struct item *it)
{
    if (it->accept)
        platform_accepts(c, it);
    it->done = true;
    send_result(c, it);
}

static void send_state(struct channel *c)
{
    char ids[ITEMS_MAX * DELIVER_UNDER_WAY];
    struct ipc_channel_state m = {.boot = c->boot,
                                  .chat_gap_ms = c->gap_ms,
                                  .account_n = c->account_n,
                                  .account_ms = 1000,
                                  .rooms = VIEW_EMPTY,
                                  .flags = (c->down ? 0 : CHANNEL_CONNECTED) |
                                           (c->client_ids ? CHANNEL_CLIENT_IDS : 0) | CHANNEL_POLLS,
                                  .text_limit = c->text_limit,
                                  .album = c->album,
                                  .media_max_mb = c->media_max_mb,
                                  .state =
                                      V("{\"mode\":\"folder\",\"webhookPath\":\"/fake/events\"}")};
    struct link *l = hub(c);
    struct err e = ERR_INIT;
    size_t n = 0;

    for (size_t i = 0; i < ITEMS_MAX; i++)
        if (c->items[i].used) {
            const struct ipc_deliver_result *r = &c->items[i].res;
            uint64_t id = htole64(r->delivery_id);
            uint32_t more[] = {htole32(r->attempt), htole32(r->part), htole32(r->from)};

            memcpy(ids + n, &id, sizeof(id));
            memcpy(ids + n + sizeof(id), more, sizeof(more));
            n += DELIVER_UNDER_WAY;
        }
    m.under_way = view_of(ids, n);
    if (l && msg_send_channel_state(l, &m, &e) < 0)
        log_warn("fake.state", KV("why", e.text));
}

/* FNV-1a of all bytes, read as a channel reads them. */
static uint64_t hash_of(int fd, uint64_t *ret_n)
{
    unsigned char room[65536];
    uint64_t h = 1469598103934665603u;
    ssize_t n;

    for (*ret_n = 0; (n = pread(fd, room, sizeof(room), (off_t)*ret_n)) > 0; *ret_n += (uint64_t)n)
        for (ssize_t i = 0; i < n; i++)
            h = (h ^ room[i]) * 1099511628211u;
    return h;
}

static int on_deliver_media(void *ctx, struct link *from, struct ipc_deliver_media *m,
                            struct err *e)
{
    struct channel *c = ctx;
    struct jw w = JW_INIT(&c->files);
    uint64_t n, hash = hash_of(m->bytes, &n);

    if (from != hub(c))
        return 0;
    if (m->index == 0 || c->files_of != m->delivery_id) {
        buf_reset(&c->files, 4096);
        buf_reset(&c->names, 4096);
        c->file_n = 0;
    }
    if (m->index != c->file_n || c->file_n == FILES_MAX || n == 0)
        return err_set(e, ERR_INVALID, "deliver_media: index %u, %llu bytes", m->index,
                       (unsigned long long)n);
    c->files_of = m->delivery_id;
    if (c->file_n++)
        buf_put_char(&c->files, ',');
    jw_obj(&w);
    jw_kstr(&w, "type", m->type);
    jw_kstr(&w, "name", m->name);
    jw_kstr(&w, "url", m->url);
    jw_ku64(&w, "flags", m->flags);
    jw_ku64(&w, "bytes", n);
    jw_ku64(&w, "fnv", hash);
    jw_obj_end(&w);
    buf_put_view(&c->names, m->name);
    return 0;
}

static char *line_of(struct channel *c, const struct ipc_deliver *m)
{
    struct buf b = BUF_INIT(1024 * KIB);
    struct jw w = JW_INIT(&b);
    char *out;

    jw_obj(&w);
    jw_kstr(&w, "client", m->client_id);
    jw_ku64(&w, "delivery", m->delivery_id);
    jw_ku64(&w, "part", m->part);
    jw_ku64(&w, "attempt", m->attempt);
    jw_kstr(&w, "to", m->target);
    if (m->thread.n)
        jw_kstr(&w, "thread", m->thread);
    if (m->reply_to.n)
        jw_kstr(&w, "replyTo", m->reply_to);
    jw_kstr(&w, "text", m->text);
    if (m->media) {
        jw_key(&w, "media");
        jw_arr(&w);
        jw_raw(&w, buf_view(&c->files));
        jw_arr_end(&w);
    }
    jw_obj_end(&w);
    buf_put_char(&b, '\n');
    out = mem_dup(buf_view(&b).p, b.n);
    buf_fini(&b);
    if (!out)
        abort();
    return out;
}

static int on_deliver(void *ctx, struct link *from, struct ipc_deliver *m, struct err *e)
{
    struct channel *c = ctx;
    struct item *it = NULL;
    struct buf both = BUF_INIT(1024 * KIB);
    struct view says;
    uint32_t slow;
    bool accept;

    if (from != hub(c)) /* its successor was told that we do not have it */
        return 0;
    if (m->media != (c->files_of == m->delivery_id ? c->file_n : 0))
        return err_set(e, ERR_INVALID, "deliver: %u files, and %u came", m->media, c->file_n);
    buf_put_view(&both, m->text);
    if (m->media)
        buf_put_view(&both, buf_view(&c->names));
    says = buf_view(&both);
    slow = said(says, "slow");
    accept = said(says, "accept") > 0;
    for (size_t i = 0; i < ITEMS_MAX && !it; i++)
        if (!c->items[i].used)
            it = &c->items[i];
    if (!it) {
        buf_fini(&both);
        return err_set(e, ERR_LIMIT, "deliver: more than %d at once", (int)ITEMS_MAX);
    }
    *it = (struct item){.used = true, .line = line_of(c, m)};
    c->file_n = 0;
    c->files_of = 0;
    (void)snprintf(it->client, sizeof(it->client), "%.*s", VIEW_FMT(m->client_id));
    (void)snprintf(it->message_id, sizeof(it->message_id), "fake-%llu-%u",
                   (unsigned long long)m->delivery_id, m->part);
    it->res = (struct ipc_deliver_result){.delivery_id = m->delivery_id,
                                          .attempt = m->attempt,
                                          .part = m->part,
                                          .from = m->from,
                                          .message_id = VIEW_EMPTY,
                                          .error = VIEW_EMPTY};
    if (said(says, "die-before") >= m->attempt) {
        _exit(3);
    } else if (said(says, "die-after") >= m->attempt) {
        platform_accepts(c, it);
        _exit(3);
    } else if (said(says, "hang") >= m->attempt) {
        if (accept)
            platform_accepts(c, it);
        buf_fini(&both);
        return 0;
    } else if (said(says, "permanent")) {
        it->res.outcome = OUTCOME_PERMANENT;
        (void)snprintf(it->error, sizeof(it->error), "fake: chat not found");
    } else if (said(says, "transient") >= m->attempt) {
        it->res.outcome = OUTCOME_TRANSIENT;
        it->res.retry_after_ms = said(says, "after");
        (void)snprintf(it->error, sizeof(it->error), "fake: try later");
    } else if (said(says, "later") >= m->attempt) {
        it->res.outcome = OUTCOME_LATER;
        it->res.retry_after_ms = said(says, "after");
        it->res.all = said(says, "all") > 0;
        (void)snprintf(it->error, sizeof(it->error), "fake: too many");
    } else if (said(says, "unknown") >= m->attempt) {
        it->res.outcome = OUTCOME_UNKNOWN;
        it->accept = accept;
        (void)snprintf(it->error, sizeof(it->error), "fake: no answer");
    } else {
        it->accept = true;
        it->res.message_id = view_str(it->message_id);
    }
    it->res.error = view_str(it->error);
    if (slow)
        it->at_ms = loop_now_ms(c->w.loop) + slow;
    else
        finish(c, it);
    buf_fini(&both);
    return 0;
}

static int on_deliver_ack(void *ctx, struct link *from, struct ipc_deliver_ack *m, struct err *e)
{
    struct channel *c = ctx;

    (void)from;
    (void)e;
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        struct item *it = &c->items[i];

        if (it->used && it->done && it->res.delivery_id == m->delivery_id &&
            it->res.attempt == m->attempt && it->res.part == m->part) {
            mem_free(it->line);
            *it = (struct item){.used = false};
        }
    }
    return 0;
}

/* ---- from the platform ---- */

static int say_file(struct channel *c, struct link *l, const json_t *doc, const json_t *file,
                    uint32_t index, struct err *e)
{
    struct ipc_inbound_media m = {.update_id = json_view(doc, "id"),
                                  .index = index,
                                  .type = json_view(file, "type"),
                                  .name = json_view(file, "name"),
                                  .bytes = -1};
    struct buf b = BUF_INIT(64 * MIB);
    char path[PATH_MAX];
    int r;

    (void)snprintf(path, sizeof(path), "%s/%s", c->folder,
                   json_string_value(json_object_get(file, "path")));
    if ((r = fd_read_file(path, 64 * MIB, &b, e)) == 0 &&
        (r = fd_sealed("file", buf_view(&b), &m.bytes, e)) == 0)
        r = msg_send_inbound_media(l, &m, e);
    buf_fini(&b);
    return r;
}

/* Its files, when the hub has asked for them; else the word that there are some. */
static int say_files(struct channel *c, struct link *l, const json_t *doc, struct err *e)
{
    const json_t *files = json_object_get(doc, "files"), *file;
    json_t *peer = json_object_get(doc, "peer");
    size_t i;
    int r = 0;

    if (json_array_size(files) == 0)
        return 0;
    if (!json_object_get(c->wanted, json_string_value(json_object_get(doc, "id"))))
        return json_object_set_new(peer, "held", json_string("files"));
    json_array_foreach(files, i, file) if (r == 0) r = say_file(c, l, doc, file, (uint32_t)i, e);
    return r < 0 ? r : json_object_set_new(peer, "media", json_true());
}

static bool offer(struct channel *c, struct view line, long end)
{
    struct buf peer = BUF_INIT(16 * KIB);
    struct update *u = NULL;
    struct link *l = hub(c);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    bool sent;

    for (size_t i = 0; i < UPDATES_MAX && !u; i++)
        if (!c->updates[i].used)
            u = &c->updates[i];
    if (!u || !l || json_parse(line, &doc, &e) < 0)
        return false;
    if (say_files(c, l, doc, &e) < 0 || json_dump(json_object_get(doc, "peer"), &peer, &e) < 0)
        log_warn("fake.peer", KV("why", e.text));
    sent = msg_send_inbound(l,
                            &(struct ipc_inbound){.update_id = json_view(doc, "id"),
                                                  .peer = buf_view(&peer),
                                                  .text = json_view(doc, "text")},
                            &e) == 0;
    if (sent) {
        u->used = true;
        u->end = end;
        (void)snprintf(u->id, sizeof(u->id), "%s", json_string_value(json_object_get(doc, "id")));
    }
    buf_fini(&peer);
    json_decref(doc);
    return sent;
}

static void read_updates(struct channel *c)
{
    FILE *f = open_file(c, "updates");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    if (f && fseek(f, c->read_to, SEEK_SET) == 0)
        while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
            if (!offer(c, view_of(line, (size_t)n), c->read_to + n))
                break;
            c->read_to += n;
        }
    if (f)
        (void)fclose(f);
    free(line);
}

/* The platform forgets what lies before the first unacknowledged one; offered again from there. */
static void offer_again(struct channel *c)
{
    memset(c->updates, 0, sizeof(c->updates));
    c->read_to = c->acked_to;
}

static void hook_acked(struct channel *c, struct link *to, const struct ipc_inbound_ack *m);

static int on_inbound_ack(void *ctx, struct link *from, struct ipc_inbound_ack *m, struct err *e)
{
    struct channel *c = ctx;
    struct update *first;
    char path[PATH_MAX], tmp[PATH_MAX + 8], line[300];
    FILE *f;

    (void)e;
    hook_acked(c, from, m);
    if (m->retry_after_ms) {
        offer_again(c);
        c->hold_ms = loop_now_ms(c->w.loop) + m->retry_after_ms;
        return 0;
    }
    (void)snprintf(line, sizeof(line), "%.*s\n", VIEW_FMT(m->update_id));
    append(c, "acks.log", view_str(line));
    for (size_t i = 0; i < UPDATES_MAX; i++)
        if (c->updates[i].used && view_eq(view_str(c->updates[i].id), m->update_id))
            c->updates[i].id[0] = '\0';
    for (;;) { /* in the order of the platform */
        first = NULL;
        for (size_t i = 0; i < UPDATES_MAX; i++)
            if (c->updates[i].used && (!first || c->updates[i].end < first->end))
                first = &c->updates[i];
        if (!first || first->id[0])
            break;
        first->used = false;
        c->acked_to = first->end;
    }
    path_of(c, "offset", path);
    (void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    if ((f = fopen(tmp, "we"))) {
        (void)fprintf(f, "%ld\n", c->acked_to);
        (void)fclose(f);
        (void)rename(tmp, path);
    }
    return 0;
}

static int on_inbound_want(void *ctx, struct link *from, struct ipc_inbound_want *m, struct err *e)
{
    struct channel *c = ctx;
    char id[300];

    (void)from;
    (void)e;
    (void)snprintf(id, sizeof(id), "%.*s", VIEW_FMT(m->update_id));
    append(c, "wants.log", m->update_id);
    if (json_object_set_new(c->wanted, id, json_true()) < 0)
        log_warn("fake.wanted", KV("why", "out of memory"));
    offer_again(c);
    return 0;
}

/* ---- life ---- */

static void on_poll(void *ctx)
{
    struct channel *c = ctx;
    uint64_t now = loop_now_ms(c->w.loop);
    char path[PATH_MAX];
    struct stat st;
    bool down;

    for (size_t i = 0; i < ITEMS_MAX; i++)
        if (c->items[i].used && !c->items[i].done && c->items[i].at_ms && c->items[i].at_ms <= now)
            finish(c, &c->items[i]);
    path_of(c, "down", path);
    down = stat(path, &st) == 0;
    if (down != c->down) {
        c->down = down;
        send_state(c);
    }
    if (!down && hub(c) && now >= c->hold_ms)
        read_updates(c);
    loop_timer_set(&c->poll, POLL_MS);
}

static void on_peer(void *ctx, struct link *l, bool up)
{
    struct channel *c = ctx;

    if (!up || link_peer(l) != ROLE_HUB)
        return;
    memset(c->hooks, 0, sizeof(c->hooks)); /* of a hub that is gone */
    for (size_t i = 0; i < ITEMS_MAX; i++)
        if (c->items[i].used && c->items[i].done)
            send_result(c, &c->items[i]);
    send_state(c);
    offer_again(c);
}

static int configure(struct channel *c, struct err *e)
{
    const char *id = json_string_value(json_at(c->w.conf, "runtime.account"));
    json_t *accounts = json_at(c->w.conf, "channels.fake.accounts"),
           *mine = json_object_get(accounts, id ? id : "");

    c->folder = json_string_value(json_object_get(mine, "folder"));
    if (!c->folder || json_object_size(accounts) != 1) {
        c->w.exit_code = 2;
        return err_set(e, ERR_INVALID, "this account has no folder, or others are told to us");
    }
    if (json_flag(mine, "cannotStart", false))
        return err_set(e, ERR_SYS, "this account was told not to start");
    c->client_ids = json_flag(mine, "clientIds", false);
    c->text_limit = (uint32_t)json_i64(mine, "textLimit", 0);
    c->gap_ms = (uint32_t)json_i64(mine, "chatGapMs", 0);
    c->account_n = (uint32_t)json_i64(mine, "accountPerSecond", 0);
    rand_bytes(&c->boot, sizeof(c->boot));
    c->album = (uint8_t)json_i64(mine, "album", 0);
    c->media_max_mb = (uint32_t)json_i64(mine, "mediaMaxMb", 50);
    buf_init(&c->files, 64 * KIB);
    buf_init(&c->names, 64 * KIB);
    load(c);
    return 0;
}

/* A person's message that the platform brings: answered when it is safe. false: it is none. */
static bool hooked(struct channel *c, struct link *from, const struct ipc_hook *m)
{
    struct buf peer = BUF_INIT(16 * KIB);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view id;
    size_t i = 0;

    if (!m->body.n || json_parse(m->body, &doc, &e) < 0)
        return false;
    id = json_view(doc, "id");
    while (i < HOOKS_MAX && c->hooks[i].req)
        i++;
    if (!id.n || id.n >= sizeof(c->hooks[0].id) || !json_object_get(doc, "peer")) {
        json_decref(doc);
        return false;
    }
    if (i < HOOKS_MAX && json_dump(json_object_get(doc, "peer"), &peer, &e) == 0 &&
        msg_send_inbound(from,
                         &(struct ipc_inbound){.update_id = id,
                                               .peer = buf_view(&peer),
                                               .text = json_view(doc, "text")},
                         &e) == 0) {
        c->hooks[i].req = m->req;
        (void)snprintf(c->hooks[i].id, sizeof(c->hooks[i].id), "%.*s", VIEW_FMT(id));
    } /* else nobody answers, and it is brought again */
    buf_fini(&peer);
    json_decref(doc);
    return true;
}

/* The hub has it, or not now. */
static void hook_acked(struct channel *c, struct link *to, const struct ipc_inbound_ack *m)
{
    struct err e = ERR_INIT;

    for (size_t i = 0; i < HOOKS_MAX; i++) {
        if (!c->hooks[i].req || !view_eq(view_str(c->hooks[i].id), m->update_id))
            continue;
        if (msg_send_hook_answer(to,
                                 &(struct ipc_hook_answer){.req = c->hooks[i].req,
                                                           .status = m->retry_after_ms ? 503 : 200,
                                                           .type = V("text/plain"),
                                                           .body = V("ok")},
                                 &e) < 0)
            log_warn("fake.hook", KV("why", e.text));
        c->hooks[i].req = 0;
    }
}

/* What came is the answer: its signature has to be that of these bytes. "hold" in the path: none.
 */
static int on_hook(void *ctx, struct link *from, struct ipc_hook *m, struct err *e)
{
    struct buf b = BUF_INIT(64 * KIB);
    int r;

    if (memmem(m->path.p, m->path.n, "hold", 4) || hooked(ctx, from, m))
        return 0;
    buf_printf(&b, "%.*s %.*s?%.*s\n", VIEW_FMT(m->method), VIEW_FMT(m->path), VIEW_FMT(m->query));
    buf_put_view(&b, m->headers);
    buf_put_view(&b, m->body);
    r = msg_send_hook_answer(from,
                             &(struct ipc_hook_answer){.req = m->req,
                                                       .status = m->body.n ? 200 : 403,
                                                       .type = V("text/html"),
                                                       .body = buf_view(&b)},
                             e);
    buf_fini(&b);
    return r;
}

static const struct ipc_handlers channel_on = {.hook = on_hook,
                                               .deliver_media = on_deliver_media,
                                               .deliver = on_deliver,
                                               .deliver_ack = on_deliver_ack,
                                               .inbound_ack = on_inbound_ack,
                                               .inbound_want = on_inbound_want};

int main(void)
{
    static struct channel c = {.w = WORKER_INIT(CHANNEL)};
    struct err e = ERR_INIT;

    c.w.on_peer = on_peer;
    c.wanted = json_object();
    if (worker_open(&c.w, &channel_on, &e) < 0 || worker_recv_config(&c.w, &e) < 0 ||
        configure(&c, &e) < 0)
        goto fail;
    loop_timer_init(&c.poll, c.w.loop, on_poll, &c);
    loop_timer_set(&c.poll, POLL_MS);
    if (worker_ready(&c.w, &e) < 0 || worker_run(&c.w, &e) < 0)
        goto fail;
    goto out;
fail:
    worker_fail(&c.w, &e);
out:
    for (size_t i = 0; i < ITEMS_MAX; i++)
        mem_free(c.items[i].line);
    if (c.poll.loop)
        loop_timer_fini(&c.poll);
    json_decref(c.known);
    buf_fini(&c.files);
    buf_fini(&c.names);
    worker_fini(&c.w);
    return c.w.exit_code;
}
