/* store/store_open.c - the environment: opened, locked, checked, grown, closed; errors translated.
 */
#include "store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "rand.h"

static const char *const db_names[DB_COUNT] = {
    [DB_SYS] = "sys",
    [DB_META] = "meta",
    [DB_SESSION] = "session",
    [DB_SESSION_KEY] = "session.key",
    [DB_SESSION_TIME] = "session.time",
    [DB_SESSION_NAME] = "session.name",
    [DB_MESSAGE] = "message",
    [DB_MESSAGE_ID] = "message.id",
    [DB_RUN] = "run",
    [DB_RUN_ID] = "run.id",
    [DB_RUN_OPEN] = "run.open",
    [DB_RUN_DONE] = "run.done",
    [DB_DEVICE] = "device",
    [DB_GRAVE] = "grave",
    [DB_DELIVERY] = "delivery",
    [DB_DELIVERY_KEY] = "delivery.key",
    [DB_DELIVERY_STATE] = "delivery.state",
    [DB_DELIVERY_OPEN] = "delivery.open",
    [DB_DELIVERY_HELD] = "delivery.held",
    [DB_DELIVERY_DONE] = "delivery.done",
    [DB_INBOUND] = "inbound",
    [DB_INBOUND_KEY] = "inbound.key",
};

int store_err(struct store *s, int rc, const char *what, struct err *e)
{
    switch (rc) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return err_set(e, ERR_AGAIN, "store: %s: no room on the disk", what);
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return err_set(e, ERR_AGAIN, "store: %s: full (%zu bytes are the limit)", what,
                       rc == MDB_MAP_FULL ? s->o.map_max_bytes : s->o.batch_max_bytes);
    case ENOMEM:
        return err_set(e, ERR_NOMEM, "store: %s: out of memory", what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return err_set(e, ERR_CORRUPT, "store: %s: %s", what, mdb_strerror(rc));
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return err_set(e, ERR_INVALID, "store: %s: not a store of ours (%s)", what,
                       mdb_strerror(rc));
    case MDB_PANIC:
        s->dead = true;
        return err_set(e, ERR_CLOSED, "store: %s: the disk failed earlier; reopen it", what);
    default:
        return err_set(e, ERR_SYS, "store: %s: %s", what, mdb_strerror(rc));
    }
}

/* The folder's entry of a new file has to survive as well. */
int store_sync_folder(const char *path, struct err *e)
{
    char *copy = mem_dup(path, strlen(path));
    int fd, r = 0;

    if (!copy)
        return err_set(e, ERR_NOMEM, "out of memory");
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        r = err_sys(e, "store: folder of %s", path);
    fd_close(&fd);
    mem_free(copy);
    return r;
}

/* One owner: our counters live in memory. LMDB's own lock file would allow several. The descriptor
 * that carries the lock cannot write: LMDB's two (pages; the meta page, flushed with its write) and
 * the log's are the only ones that can, and none of the three can be spared without mapping the
 * file writable, where a stray pointer would reach the database. */
static int take_lock(struct store *s, const char *path, struct err *e)
{
    struct stat st;

    s->lock_fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return err_sys(e, "store: %s", path);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_set(e, ERR_CONFLICT, "store: %s: another process has it open", path)
                   : err_sys(e, "store: %s: lock", path);
    if (fstat(s->lock_fd, &st) < 0)
        return err_sys(e, "store: %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "store: %s: not a regular file", path);
    if ((st.st_mode & 07777) != 0600 && fchmod(s->lock_fd, 0600) < 0)
        return err_sys(e, "store: %s: mode", path);
    return st.st_size == 0 ? store_sync_folder(path, e) : 0;
}

/* A commit flushes twice: the pages, then the meta page that makes them count. MDB_NOMETASYNC would
 * leave out the second and with it the last commit when the power goes; a flush of our own in its
 * place costs the same (measured: 6.8 and 7.1 ms), so there is nothing to gain. NORDAHEAD: rows are
 * read at random. NOTLS: the snapshot belongs to the store, not to a thread. NOLOCK: this process
 * is the only one (take_lock), and a snapshot never lives while changes are made. */
static int env_open(struct store *s, const char *path, struct err *e)
{
    int rc;

    if ((rc = mdb_env_create(&s->env)) == 0 && (rc = mdb_env_set_maxdbs(s->env, DB_COUNT)) == 0 &&
        (rc = mdb_env_set_mapsize(s->env, s->o.map_bytes)) == 0)
        rc =
            mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS | MDB_NOLOCK, 0600);
    if (rc == 0)
        rc = mdb_env_get_fd(s->env, &s->fd);
    return rc ? store_err(s, rc, path, e) : 0;
}

/* A file cut short would be a SIGBUS later. */
static int check_size(struct store *s, struct err *e)
{
    MDB_envinfo info;
    MDB_stat ms;
    struct stat st;
    uint64_t want;
    int rc;

    if ((rc = mdb_env_info(s->env, &info)) || (rc = mdb_env_stat(s->env, &ms)))
        return store_err(s, rc, "size", e);
    if (fstat(s->fd, &st) < 0)
        return err_sys(e, "store: size");
    s->page = ms.ms_psize;
    s->file_bytes = (size_t)st.st_size;
    want = ((uint64_t)info.me_last_pgno + 1) * s->page;
    if ((uint64_t)st.st_size < want)
        return err_set(e, ERR_CORRUPT, "store: file cut short: %llu bytes, needs %llu",
                       (unsigned long long)st.st_size, (unsigned long long)want);
    return 0;
}

static int sys_get(struct store *s, const char *name, uint64_t *out, struct err *e)
{
    struct key k;
    MDB_val v;
    int r = store_get(s, s->wtxn, DB_SYS, key_text(&k, view_str(name)), name, &v, e);

    if (r == 0 && v.mv_size != 8)
        return err_set(e, ERR_CORRUPT, "store: %s: %zu bytes", name, v.mv_size);
    if (r == 0)
        *out = key_get_u64(v.mv_data);
    return r;
}

int store_sys_put(struct store *s, const char *name, uint64_t value)
{
    struct key k, v;

    return mdb_put(s->wtxn, s->db[DB_SYS], key_text(&k, view_str(name)), key_u64(&v, value), 0);
}

static int load_schema(struct store *s, struct err *e)
{
    uint64_t schema = 0;
    MDB_stat st;
    int rc, r;

    if ((rc = mdb_stat(s->wtxn, s->db[DB_SYS], &st)))
        return store_err(s, rc, "schema", e);
    if (st.ms_entries == 0) { /* new */
        s->now = (struct counters){1, 1};
        if ((rc = store_sys_put(s, "schema", STORE_SCHEMA)) ||
            (rc = store_sys_put(s, "next.sid", 1)) || (rc = store_sys_put(s, "next.job", 1)))
            return store_err(s, rc, "schema", e);
        return 0;
    }
    if ((r = sys_get(s, "schema", &schema, e)) < 0)
        return err_set(e, ERR_INVALID, "store: not a store of ours (no schema record)");
    if (schema > STORE_SCHEMA)
        return err_set(e, ERR_INVALID,
                       "store: made by a newer program (schema %llu, this one knows %d); "
                       "update, or start with another state directory",
                       (unsigned long long)schema, STORE_SCHEMA);
    if (schema < STORE_SCHEMA && (r = store_migrate(s, schema, e)) < 0)
        return r;
    if ((r = sys_get(s, "next.sid", &s->now.next_sid, e)) < 0 ||
        (r = sys_get(s, "next.job", &s->now.next_job, e)) < 0)
        return err_set(e, ERR_CORRUPT, "store: a counter is missing");
    return 0;
}

static int open_tables(struct store *s, struct err *e)
{
    int rc, r;

    if ((rc = mdb_txn_begin(s->env, NULL, 0, &s->wtxn)))
        return store_err(s, rc, "open", e);
    for (int i = 0; i < DB_COUNT; i++)
        if ((rc = mdb_dbi_open(s->wtxn, db_names[i], MDB_CREATE, &s->db[i])))
            return rc == MDB_INCOMPATIBLE ? store_err(s, MDB_INVALID, "open", e)
                                          : store_err(s, rc, "open", e);
    if ((r = load_schema(s, e)) < 0 || (r = store_check_quick(s, e)) < 0)
        return r;
    if ((r = sys_get(s, "log.epoch", &s->epoch, e)) ==
        ERR_NOT_FOUND) { /* new, or from before there was a log */
        *e = (struct err)ERR_INIT;
        s->epoch =
            rand_u64() >> 16; /* a log that was left behind by another store is not of this epoch */
        r = (rc = store_sys_put(s, "log.epoch", s->epoch)) ? store_err(s, rc, "open", e) : 0;
    }
    if (r < 0)
        return r;
    rc = mdb_txn_commit(TAKE(s->wtxn)); /* writes nothing when nothing changed */
    s->committed = s->now;
    return rc ? store_err(s, rc, "open", e) : 0;
}

int store_open(struct store **out, const char *path, const struct store_opts *o, struct err *e)
{
    struct store *s = NULL;
    int r;

    if ((r = mem_new(&s, sizeof(*s), e)) < 0)
        return r;
    s->lock_fd = s->fd = s->log_fd = -1;
    (void)pthread_mutex_init(&s->map_lock, NULL);
    if (o)
        s->o = *o;
    if (!s->o.map_bytes)
        s->o.map_bytes = 256 * MIB;
    if (!s->o.map_max_bytes)
        s->o.map_max_bytes = 64 * 1024 * MIB;
    if (!s->o.batch_max_bytes)
        s->o.batch_max_bytes = 64 * MIB;
    if (!s->o.prealloc_bytes)
        s->o.prealloc_bytes = MIB;
    buf_init(&s->batch, s->o.batch_max_bytes);
    if ((r = take_lock(s, path, e)) < 0 || (r = env_open(s, path, e)) < 0 ||
        (r = check_size(s, e)) < 0 || (r = open_tables(s, e)) < 0 ||
        (r = store_log_open(s, path, e)) < 0 || (r = store_log_replay(s, e)) < 0) {
        store_close(&s);
        return r;
    }
    *out = s;
    return 0;
}

void store_close(struct store **sp)
{
    struct store *s = *sp;

    if (!s)
        return;
    if (s->env && !s->dead &&
        s->logged) { /* the next start has nothing to do; when it fails, the log is there */
        struct err e = ERR_INIT;

        store_rollback(s);
        if (!s->dead && store_checkpoint(s, &e) < 0)
            s->dead = true;
    }
    if (s->env && !s->dead && s->log_fd >= 0 && !s->logged && !s->unsettled)
        store_log_clean(s);
    if (s->wtxn)
        mdb_txn_abort(s->wtxn);
    if (s->rtxn)
        mdb_txn_abort(s->rtxn);
    if (s->env)
        mdb_env_close(s->env);
    fd_close(&s->lock_fd); /* fd was LMDB's */
    fd_close(&s->log_fd);
    buf_fini(&s->batch);
    (void)pthread_mutex_destroy(&s->map_lock);
    mem_free(s);
    *sp = NULL;
}

int store_grow(struct store *s, struct err *e)
{
    MDB_envinfo info;
    size_t want;
    int rc;

    if ((rc = mdb_env_info(s->env, &info)))
        return store_err(s, rc, "grow", e);
    if (info.me_mapsize >= s->o.map_max_bytes)
        return store_err(s, MDB_MAP_FULL, "grow", e);
    want = info.me_mapsize > s->o.map_max_bytes / 2 ? s->o.map_max_bytes : info.me_mapsize * 2;
    if (pthread_mutex_trylock(&s->map_lock))
        return err_set(e, ERR_AGAIN, "store: can not grow while a backup is under way");
    if (s->rtxn) /* the map moves: no transaction may be left */
        mdb_txn_abort(TAKE(s->rtxn));
    s->rtxn_live = false;
    rc = mdb_env_set_mapsize(s->env, want);
    (void)pthread_mutex_unlock(&s->map_lock);
    return rc ? store_err(s, rc, "grow", e) : 0;
}

bool store_usable(const struct store *s)
{
    return !s->dead;
}

static unsigned long long entries(MDB_txn *t, MDB_dbi db)
{
    MDB_stat st;

    return mdb_stat(t, db, &st) == 0 ? st.ms_entries : 0;
}

int store_stats(struct store *s, struct store_stats *out, struct err *e)
{
    struct store_stats st = s->st;
    MDB_envinfo info;
    MDB_txn *t;
    int r, rc;

    if ((r = store_read(s, &t, e)) < 0)
        return r;
    if ((rc = mdb_env_info(s->env, &info)))
        return store_err(s, rc, "stats", e);
    st.sessions = entries(t, s->db[DB_SESSION]);
    st.messages = entries(t, s->db[DB_MESSAGE]);
    st.runs = entries(t, s->db[DB_RUN]);
    st.runs_open = entries(t, s->db[DB_RUN_OPEN]);
    st.file_bytes = s->file_bytes;
    st.used_bytes = (info.me_last_pgno + 1) * s->page;
    st.map_bytes = info.me_mapsize;
    *out = st;
    return 0;
}
