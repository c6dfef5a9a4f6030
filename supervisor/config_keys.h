/*
 * supervisor/config_keys.h - the rows of conf/keys.def as a table, and which row a place in a
 * document belongs to.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "config.h"
#include "config_path.h"

enum config_type {
    CT_BOOL,
    CT_U16,
    CT_U32,
    CT_U64,
    CT_MS,
    CT_NUM,
    CT_STR,
    CT_ENUM,
    CT_URL,
    CT_SECRET,
    CT_STRLIST,
    CT_MODELREF,
    CT_MAP,
    CT_LIST,
    CT_ANY,
};

enum config_flag {
    K_SECRET = 1,
    K_NO_RPC = 2,
    K_LATER = 4,
    K_QUIET = 8,
    K_GONE = 16,
    K_BOUND = 32
};

#define CONFIG_NO_FIELD ((size_t)-1)

struct config_key {
    const char *path; /* with * and [] */
    enum config_type type;
    const char *def; /* as JSON, or NULL */
    uint64_t min, max;
    const char *of;
    enum config_reload reload;
    unsigned roles, flags;
    const char *help;
    size_t field; /* offset in struct conf, or CONFIG_NO_FIELD */
};

extern const struct config_key config_keys[];
size_t config_key_count(void);

/* All of these keep in p what they found, for the next question. */
/* The row of this place, a literal name before a wildcard; NULL when there is none.
 * agents.entries.X counts as agents.list[]. */
const struct config_key *config_key_find(struct config_path *p);
/* The row of this place or of the nearest place above it. */
const struct config_key *config_key_over(struct config_path *p);
/* Whether rows lie below this place, and whether as elements of a list. */
bool config_key_below(struct config_path *p, bool *ret_list);
/* Whether a row of this role lies at or below this place. */
bool config_key_seen(struct config_path *p, unsigned role_bit);
/* The known key that an unknown one may be a slip of; false when none is near. */
bool config_key_nearest(struct config_path *p, char out[CONFIG_PATH_TEXT_MAX]);
/* Edits from one name to the other, capitals and swaps of neighbours not counting much. */
unsigned config_name_distance(struct view a, struct view b);
/* The next name of an ENUM's choices; false at the end. */
bool config_choice(const char **list, struct view *out);

#endif
