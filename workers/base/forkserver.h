/*
 * workers/base/forkserver.h - a program that many workers run (one for each account of a platform)
 * is started once, loads its libraries, and from then on is only copied: a copy shares relocated
 * code, tables and warmed-up libraries with its siblings instead of having 1 MB of its own, and
 * needs neither exec nor dynamic linking. The copy is a child of the supervisor, not of this
 * process, and goes on as if it had been started by exec.
 *
 * Its line: proto/forkline.h. Trusts the supervisor; reads nothing else.
 */
#ifndef FORKSERVER_H
#define FORKSERVER_H

#include <stdbool.h>

/* Was this process started to be copied? */
bool forkserver_asked(int argc, char **argv);
/* Serves; returns only in a copy, whose fd 3 is the line of its own. Call after everything that
 * copies should share is loaded, with one thread, no files open and nothing secret in memory. */
void forkserver_run(int argc, char **argv);

#endif
