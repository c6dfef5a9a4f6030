#include "pages.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

static int release(struct dl_phdr_info *info, size_t size, void *ctx)
{
    ElfW(Addr) page = (ElfW(Addr))sysconf(_SC_PAGESIZE);

    (void)size;
    (void)ctx;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
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
