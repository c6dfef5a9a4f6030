/*
 * common/jw.h - writes JSON text straight into a buffer: commas and escaping are its business,
 * documents are not. Errors are the buffer's (sticky): write everything, then buf_check once.
 */
#ifndef JW_H
#define JW_H

#include "buf.h"

enum { JW_DEPTH_MAX = 32 };

struct jw {
    struct buf *b; /* borrowed */
    unsigned depth;
    uint32_t has_item; /* bit per level: a comma is due */
    bool after_key;
};

#define JW_INIT(buffer)                                                                            \
    {                                                                                              \
        .b = (buffer)                                                                              \
    }

void jw_obj(struct jw *w);     /* { */
void jw_obj_end(struct jw *w); /* } */
void jw_arr(struct jw *w);     /* [ */
void jw_arr_end(struct jw *w); /* ] */
/* A key that is a literal of ours: not escaped. */
void jw_key(struct jw *w, const char *key);
void jw_key_view(struct jw *w, struct view key); /* escaped */
/* A string value; bytes that are not valid UTF-8 become U+FFFD, lone surrogates cannot arise. */
void jw_str(struct jw *w, struct view v);
void jw_cstr(struct jw *w, const char *s);
/* A string value in parts: open, any number of jw_escape into the buffer, close. */
void jw_str_open(struct jw *w);
void jw_str_close(struct jw *w);
void jw_u64(struct jw *w, uint64_t v);
void jw_i64(struct jw *w, int64_t v);
void jw_dbl(struct jw *w, double v);
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
/* A value that is JSON text already. */
void jw_raw(struct jw *w, struct view json);

/* key and value in one call */
void jw_kstr(struct jw *w, const char *key, struct view v);
void jw_kcstr(struct jw *w, const char *key, const char *s);
void jw_ku64(struct jw *w, const char *key, uint64_t v);
void jw_ki64(struct jw *w, const char *key, int64_t v);
void jw_kbool(struct jw *w, const char *key, bool v);
void jw_kraw(struct jw *w, const char *key, struct view json);

/* The escaped form without quotes, as jw_str writes it. */
void jw_escape(struct buf *b, struct view v);
/* Is the escaped form the same? Text with anything beyond ASCII is said to be different. */
bool jw_is_plain(struct view v);

#endif
