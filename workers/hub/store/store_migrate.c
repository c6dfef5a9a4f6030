/* store/store_migrate.c - what an older schema needs to become this one. */
#include "store_int.h"

/* Schema 2 has a table of devices, schema 3 those of deliveries: opening made them. */
static int add_tables(struct store *s, struct err *e)
{
    (void)s;
    (void)e;
    return 0;
}

/* Schema 4 finds sessions by id and label. */
static int add_names(struct store *s, struct err *e)
{
    struct store_rec rec;
    MDB_cursor *c;
    MDB_val k, v;
    int r = 0, rc;

    if ((rc = mdb_drop(s->wtxn, s->db[DB_SESSION_NAME], 0)) ||
        (rc = mdb_cursor_open(s->wtxn, s->db[DB_SESSION], &c)))
        return store_err(s, rc, "names", e);
    for (rc = mdb_cursor_get(c, &k, &v, MDB_FIRST); rc == 0 && r == 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
        if ((r = store_row(&v, REC_session_put, &rec, e)) == 0 &&
            (rc = store_put_names(s, &rec.session_put)))
            break;
    mdb_cursor_close(c);
    if (r < 0)
        return r;
    return rc == MDB_NOTFOUND ? 0 : store_err(s, rc, "names", e);
}

/* step[i] leads from schema i + 1 to i + 2, inside s->wtxn. */
typedef int store_step(struct store *s, struct err *e);
static store_step *const steps[STORE_SCHEMA] = {add_tables, add_tables, add_names};

int store_migrate(struct store *s, uint64_t from, struct err *e)
{
    int r, rc;

    for (uint64_t v = from; v < STORE_SCHEMA; v++) {
        if (v == 0 || !steps[v - 1])
            return err_set(e, ERR_INVALID, "store: schema %llu is not known",
                           (unsigned long long)v);
        if ((r = steps[v - 1](s, e)) < 0)
            return err_wrap(e, "store: from schema %llu", (unsigned long long)v);
    }
    rc = store_sys_put(s, "schema", STORE_SCHEMA);
    return rc ? store_err(s, rc, "schema", e) : 0;
}
