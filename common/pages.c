#include "pages.h"

#include <link.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEADERS_MAX = 32 }; /* segments of one library; a dozen are usual */

static int release(struct dl_phdr_info *info, size_t size, void *ctx)
{
    ElfW(Addr) page = (ElfW(Addr))sysconf(_SC_PAGESIZE);
    ElfW(Phdr) table[HEADERS_MAX];
    unsigned count;

    (void)size;
    (void)ctx;
    /* the table itself lies in what is about to be dropped: reading it there would bring 16 pages
       of every library back */
    count = info->dlpi_phnum < HEADERS_MAX ? info->dlpi_phnum : HEADERS_MAX;
    memcpy(table, info->dlpi_phdr, count * sizeof(*table));
    for (unsigned i = 0; i < count; i++) {
        const ElfW(Phdr) *ph = &table[i];
        ElfW(Addr) from = info->dlpi_addr + ph->p_vaddr, to = from + ph->p_memsz;
        void *at;

        /* relocated constants lie in writable segments: dropping those would lose them */
        if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W))
            continue;
        from -= from % page;
        to -= to % page; /* a shared last page belongs to the next segment, too */
        at = (void *)from;
        if (to > from)
            (void)madvise(at, to - from, MADV_DONTNEED);
    }
    return 0;
}

void pages_release(void)
{
    (void)dl_iterate_phdr(release, 0);
    (void)malloc_trim(0);
}
