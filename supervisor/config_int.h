/* supervisor/config_int.h - what the config_*.c files share; nobody else includes it. */
#ifndef CONFIG_INT_H
#define CONFIG_INT_H

#include "config.h"
#include "config_keys.h"

struct config {
    struct conf conf;
    json_t *source; /* as the file has it */
    json_t *shown;  /* with defaults and overrides, before ${NAME} and references: for config.get */
    json_t *doc;    /* with everything; what slices are cut from */
    struct buf raw; /* the file's text */
    char *path;     /* owned */
    bool exists;
};

/* One pass over a document: where it is, what it found. */
struct config_walk {
    const struct config_source *src;
    struct config_report *report;
    struct view text;   /* for places; may be empty */
    const char *origin; /* of a value that is not from the file, or NULL */
    json_t *doc;
    struct config_path path;
    bool echo; /* the value may be repeated in a message: it is neither secret nor substituted */
};

void config_error(struct config_walk *w, const char *fmt, ...) PRINTF(2, 3);
void config_warn(struct config_walk *w, const char *fmt, ...) PRINTF(2, 3);
/* The same about the key at a dotted path of plain names. */
void config_error_at(struct config_walk *w, const char *path, const char *fmt, ...) PRINTF(3, 4);
void config_warn_at(struct config_walk *w, const char *path, const char *fmt, ...) PRINTF(3, 4);

/* Variable of the environment, then of the document's env; NULL when unset or empty. */
const char *config_env(const struct config_walk *w, const char *name);

/* config_env.c: replace ${NAME} in *text. *out = NULL when nothing is to be replaced. */
int config_expand(struct config_walk *w, const json_t *text, json_t **out) MUST_USE;
/* The text a {source, id} names. Mistakes go to the report and give ERR_INVALID. */
int config_secret_ref(struct config_walk *w, const json_t *ref, json_t **out) MUST_USE;

/* config_value.c: a value that is no map against its row; *out = what replaces it, or NULL. */
int config_value(struct config_walk *w, const struct config_key *k, json_t *v,
                 json_t **out) MUST_USE;
/* Text against the kind of an `of` column; the sentence says what is wrong, NULL when nothing. */
const char *config_text_fault(const char *of, struct view v);
/* A loopback address, as text. */
bool config_loopback(struct view host);

/* config_walk.c: the whole document. Changes w->doc in place: ${NAME}, references, 1.0 to 1.
 * ERR_NOMEM only: mistakes are in the report. */
int config_walk_doc(struct config_walk *w) MUST_USE;
/* An override's text as the value of a plain path, checked, into w->doc; *out = also the caller's
 * reference. */
int config_override(struct config_walk *w, const char *path, struct view text,
                    json_t **out) MUST_USE;

/* config_fill.c: one shape for what may be written in several (model: "a/b", agents.entries), then
 * the defaults. */
int config_normalize(json_t *doc, struct err *e) MUST_USE;
int config_defaults(json_t *doc, struct err *e) MUST_USE;
int config_conf_fill(struct conf *conf, const json_t *doc, struct err *e) MUST_USE;
void config_conf_fini(struct conf *conf);

/* config_channels.c: their secrets, from files and the environment into w->doc. */
void config_channels(struct config_walk *w);

/* config_rules.c: what concerns more than one key. */
void config_rules(struct config_walk *w);

#endif
