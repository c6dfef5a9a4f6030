/*
 * supervisor/cgroup.h - a memory limit by the kernel for each worker, where the service manager or
 * container has delegated a cgroup (version 2) with the memory controller to us: one child group
 * per slot of the fleet, emptied and removed with its process. Everywhere else nothing here does
 * anything, and the watch of recycle.c is what holds workers to their memory.
 */
#ifndef CGROUP_H
#define CGROUP_H

#include "view.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroups {
    bool on;
    char base[PATH_MAX]; /* our own group's folder */
};

/* Find our group, move ourselves into its child "supervisor" (a group that has children may hold no
 * process), and pass the memory controller on. Not delegated, or others live in it: off, and *why
 * says so. Before the first fork. */
void cgroups_init(struct cgroups *g, const char **why);
/* The same on a folder that is known: the path of the hierarchy's mount and our place in it. */
void cgroups_init_at(struct cgroups *g, const char *mount, struct view place, const char **why);
/* A group for the worker of this slot, with a soft limit where the kernel slows it down and a hard
 * one where it ends it. The descriptor to which the child writes "0" to be in it, or -1. */
int cgroup_make(const struct cgroups *g, unsigned slot, uint64_t soft, uint64_t hard);
/* How often the kernel ended something in it for its memory. */
uint32_t cgroup_kills(const struct cgroups *g, unsigned slot);
/* Whether the process is in this slot's group, and the hard limit is this: as the kernel says. */
bool cgroup_holds(const struct cgroups *g, unsigned slot, pid_t pid, uint64_t hard);
/* Its process is gone. */
void cgroup_remove(const struct cgroups *g, unsigned slot);
/* Go back to where we came from, so that the next start finds its group as we found it. */
void cgroups_fini(struct cgroups *g);

/* -- for the tests -- */
/* Our place in the unified hierarchy, from the text of /proc/self/cgroup; p is NULL without one. */
struct view cgroup_place(struct view text);
/* A number of a file of "name number" lines, 0 without it. */
uint64_t cgroup_count(struct view text, const char *name);

#endif
