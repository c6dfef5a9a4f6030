/*
 * channels/base/render.h - Markdown as a platform writes it. Parsed by md4c (CommonMark, tables,
 * strikethrough; raw HTML is text), written for one dialect. Pure. Models write the text, so it is
 * hostile: whatever comes in, HTML that goes out is well formed and of Telegram's subset, links
 * lead to http, https, mailto, tel or tg only.
 */
#ifndef RENDER_H
#define RENDER_H

#include "channel.h"

/* Append the text in this dialect. DIALECT_MARKDOWN and DIALECT_DISCORD: as it is.
 * Errors: ERR_NOMEM, ERR_LIMIT out is full, ERR_INVALID it nests too deeply. */
int render(enum channel_dialect d, struct view markdown, struct buf *out, struct err *e) MUST_USE;
/* Append the text as it stands, with what the dialect would read as its own marks escaped where it
 * can be. */
void render_verbatim(enum channel_dialect d, struct view text, struct buf *out);
/* How much of a message's limit the text takes: for DIALECT_HTML what is left when tags and
 * entities are read (that is what the platform counts), else all of it. */
size_t render_cost(enum channel_dialect d, enum channel_unit unit, struct view text);

#endif
