/*
 * workers/hub/event.h - events to clients: scoped and serialised once, one message per front.
 *     struct jw *w = event_begin(h, "chat"); jw_obj(w); ...; jw_obj_end(w); event_end(h, AUD_READ,
 * EVENT_SEQ); event_begin opens {"type":"event","event":"chat","payload": and hands over the writer
 * for the payload value.
 */
#ifndef EVENT_H
#define EVENT_H

#include "conn.h"
#include "hub.h"
#include "jw.h"

/* Does any connection listen? What nobody hears is not worth writing. */
bool event_wanted(struct hub *h, unsigned audience);
bool event_session_wanted(struct hub *h, struct view session_key);

struct jw *event_begin(struct hub *h, const char *name);
/* Member stateVersion behind the payload, for presence and health. */
void event_state_version(struct hub *h);
/* To every connection whose audience has one of the bits. flags: EVENT_DROPPABLE, EVENT_SEQ. */
void event_end(struct hub *h, unsigned audience, unsigned flags);
/* To those connections only. */
void event_end_to(struct hub *h, struct conn *const *to, unsigned count, unsigned flags);
/* An event of a run, audience AUD_RUNS or, when it is different in protocol 3, AUD_RUNS_4 and
 * AUD_RUNS_3: to every reader, but for those with cap session-scoped-events only when they
 * subscribed to the session's messages or made the run (owner: its connection's uuid). */
void event_end_run(struct hub *h, struct view session_key, const char *owner, unsigned audience,
                   unsigned flags);
bool event_run_wanted(struct hub *h, struct view session_key, const char *owner);
/* To subscribers of one session's messages. */
void event_end_session(struct hub *h, struct view session_key, unsigned flags);

#endif
