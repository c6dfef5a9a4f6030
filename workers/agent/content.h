/*
 * workers/agent/content.h - what a job's messages hold, whatever the provider: content is a text,
 * or a list of parts {type: "text", text} and {type: "image", data, mimeType}; other parts
 * (thinking of other models, say) are passed over.
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
/* Text, or an image that is not empty. */
bool content_any(const json_t *content);
bool content_has_image(const json_t *content);
/* Its text, parts joined by LF. */
void content_text(const json_t *content, struct buf *out);
/* Part i: its text and VIEW_EMPTY, or its data with the image's type; false behind the last one. A
 * content that is one text has one part. */
struct content_part {
    struct view text, image, mime;
};
bool content_part(const json_t *content, size_t i, struct content_part *out);

#endif
