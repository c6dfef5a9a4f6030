/*
 * workers/agent/content.h - what a job's messages hold, whatever the provider: content is a text,
 * or a list of parts {type: "text", text}, {type: "image", data, mimeType} and {type: "document",
 * data, mimeType, name}; other parts (thinking of other models, say) are passed over. Parts of type
 * "media" have become one of these before a provider sees them (media.h).
 */
#ifndef CONTENT_H
#define CONTENT_H

#include "json.h"

enum content_role {
    CONTENT_USER,
    CONTENT_ASSISTANT,
    CONTENT_SYSTEM,
    CONTENT_RESULT, /* of a tool call: tools.h */
    CONTENT_ROLE_COUNT
};

/* Role and content of a message, checked.  Errors: ERR_INVALID. */
int content_open(const json_t *msg, enum content_role *role, const json_t **content,
                 struct err *e) MUST_USE;
/* "user", "assistant", "system". */
const char *content_role_name(enum content_role role);
/* Text, or an image or document that is not empty. */
bool content_any(const json_t *content);
/* More than text. */
bool content_has_files(const json_t *content);
/* Its text, parts joined by LF. */
void content_text(const json_t *content, struct buf *out);
/* Part i: its text, or the data (base64) of an image or a document with its type; false behind the
 * last one. A content that is one text has one part. */
struct content_part {
    struct view text, image, document, mime, name;
};
bool content_part(const json_t *content, size_t i, struct content_part *out);

#endif
