#include "jkeys.h"

#include "mem.h"

enum { TABLE_MIN = 128 };

void jkeys_init(struct jkeys *k, const char *text)
{
    k->text = text;
    k->top = k->objects = k->used = k->cap = 0;
    k->table = NULL;
}

void jkeys_fini(struct jkeys *k)
{
    mem_free(k->table);
    k->table = NULL;
}

static struct view key_view(const struct jkeys *k, const struct jkey *key)
{
    return view_of(k->text + key->off, key->n);
}

static struct jkey *slot_of(struct jkey *table, uint32_t cap, uint32_t hash)
{
    return &table[hash & (cap - 1)];
}

static struct jkey *slot_after(struct jkey *table, uint32_t cap, struct jkey *slot)
{
    return slot + 1 == table + cap ? table : slot + 1;
}

/* Keep at least half of the table free. */
static int grow(struct jkeys *k, struct err *e)
{
    uint32_t cap = k->cap ? k->cap * 2 : TABLE_MIN;
    struct jkey *table;

    if (k->used < k->cap / 2)
        return 0;
    table = mem_calloc(cap, sizeof(*table));
    if (!table)
        return err_set(e, ERR_NOMEM, "out of memory for %u JSON keys", k->used);
    if (!k->table)
        jstr_key_init(&k->seed);
    for (uint32_t i = 0; i < k->cap; i++) {
        struct jkey *slot;

        if (!k->table[i].object)
            continue;
        slot = slot_of(table, cap, k->table[i].hash);
        while (slot->object)
            slot = slot_after(table, cap, slot);
        *slot = k->table[i];
    }
    mem_free(k->table);
    k->table = table;
    k->cap = cap;
    return 0;
}

static int table_add(struct jkeys *k, uint32_t object, struct view key, struct err *e)
{
    uint32_t hash;
    struct jkey *slot;
    int r = grow(k, e);

    if (r < 0)
        return r;
    /* salted: the same key in thousands of objects must not make one long run of slots */
    hash = jstr_hash(&k->seed, object, key);
    slot = slot_of(k->table, k->cap, hash);
    for (; slot->object; slot = slot_after(k->table, k->cap, slot))
        if (slot->hash == hash && slot->object == object && jstr_eq(key_view(k, slot), key))
            return ERR_CONFLICT;
    *slot = (struct jkey){
        .off = (uint32_t)(key.p - k->text), .n = (uint32_t)key.n, .hash = hash, .object = object};
    k->used++;
    return 0;
}

/* From here on o's keys are in the table. */
static int move_to_table(struct jkeys *k, struct jkeys_object *o, struct err *e)
{
    o->id = ++k->objects;
    for (uint32_t i = o->first; i < k->top; i++) {
        int r = table_add(k, o->id, key_view(k, &k->stack[i]), e);

        if (r < 0)
            return r;
    }
    return 0;
}

int jkeys_add(struct jkeys *k, struct jkeys_object *o, struct view key, bool escaped, struct err *e)
{
    int r;

    /* comparing escapes again and again would cost a stranger little and us much: hash them */
    if (!o->id && (escaped || k->top - o->first == JKEYS_DIRECT_MAX) &&
        (r = move_to_table(k, o, e)) < 0)
        return r;
    if (o->id)
        return table_add(k, o->id, key, e);
    for (uint32_t i = o->first; i < k->top; i++)
        if (view_eq(key_view(k, &k->stack[i]), key))
            return ERR_CONFLICT;
    k->stack[k->top++] = (struct jkey){.off = (uint32_t)(key.p - k->text), .n = (uint32_t)key.n};
    return 0;
}
