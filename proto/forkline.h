/*
 * proto/forkline.h - the line between the supervisor and a fork server: fd 3 there, SOCK_SEQPACKET.
 *   ready, once:   4 bytes, 0
 *   request:       the title that ps shows; descriptors: the line of the copy, and its cgroup.procs
 *                  if it has one
 *   answer:        4 bytes, its pid, or an errno below 0
 * The end of the line is the server's end.
 */
#ifndef FORKLINE_H
#define FORKLINE_H

/* Its only argument begins so; what follows is room for the titles of copies. */
#define FORKLINE_ARG "--fork-server"
enum { FORKLINE_TITLE_MAX = 200 };

#endif
