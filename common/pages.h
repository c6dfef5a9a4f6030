/*
 * common/pages.h - give memory back that only the start of a process needed: code and constants
 * that were touched while libraries were loaded and set up, and free heap. Measured: an agent with
 * libcurl loaded falls from 5.6 MB PSS (8.4 alone on a machine) to 1.7; what is needed again comes
 * back from the page cache by itself, some 16 pages per fault.
 */
#ifndef PAGES_H
#define PAGES_H

/* Safe at any time; costs a few milliseconds. Only pages that can be read again from their file are
 * dropped: none that is or ever was writable. */
void pages_release(void);

#endif
