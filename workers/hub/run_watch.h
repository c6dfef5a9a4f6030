/*
 * workers/hub/run_watch.h - somebody who follows one run's text as it comes, outside of the events
 * of WebSockets. Whoever watches hears of the run's end exactly once, unless he stops before.
 */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

struct run;
struct run_watch;

/* on_text and on_reset may be NULL. */
struct run_watch_ops {
    void (*on_text)(struct run_watch *w, struct run *r);  /* r->said has grown */
    void (*on_reset)(struct run_watch *w, struct run *r); /* some of it counts no more */
    void (*on_end)(struct run_watch *w, struct run *r);   /* r->result says how; w may be freed */
};

struct run_watch {
    const struct run_watch_ops *ops;
    struct run *run; /* NULL: none */
    struct run_watch *next;
};

void run_watch(struct run *r, struct run_watch *w);
void run_unwatch(struct run_watch *w);

/* -- from where runs are changed -- */
void run_watch_text(struct run *r);
void run_watch_reset(struct run *r);
void run_watch_end(struct run *r);

#endif
