/*
 * workers/agent/media.h - files that a job's messages name: turned into what the model that is
 * asked can read, or into words where it cannot.
 */
#ifndef AGENT_MEDIA_H
#define AGENT_MEDIA_H

#include "provider.h"

/* Every part {type: "media", ...} of job.messages becomes an image, a document or text, with the
 * bytes of job.media. most: bytes of an image in base64, 0: any.  Errors: ERR_NOMEM. */
int media_resolve(json_t *job, const struct model_spec *m, size_t most, struct err *e) MUST_USE;
/* What a model reads. input: its "input" as configured, or NULL. */
enum { MEDIA_GIVEN = 1, MEDIA_IMAGES = 2, MEDIA_DOCUMENTS = 4 };
unsigned media_input(const json_t *input);
/* images and documents of *m. A model whose input is not configured is believed to see images: the
 * provider says so when it does not. PDF goes to whoever is known to take it. */
void media_abilities(struct model_spec *m, unsigned input, const struct provider_ops *ops);
/* "photo.png (image/png, 640 x 480, 34.2 KB)": how people and models are told of one. */
void media_describe(const json_t *part, struct buf *out);

#endif
