/* tests/fuzz/replay.c - runs a fuzz target over every file of a folder; fails when the folder is
 * missing or empty. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 1 << 20 };

int main(int argc, char **argv)
{
    struct dirent *de;
    unsigned count = 0;
    DIR *d = argc > 1 ? opendir(argv[1]) : NULL;

    if (!d) {
        fprintf(stderr, "usage: replay CORPUS_FOLDER\n");
        return 2;
    }
    while ((de = readdir(d))) {
        char path[4096];
        uint8_t *in;
        size_t n;
        FILE *f;

        if (de->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], de->d_name);
        f = fopen(path, "rb");
        in = malloc(INPUT_MAX);
        if (!f || !in) {
            perror(path);
            return 2;
        }
        n = fread(in, 1, INPUT_MAX, f);
        fclose(f);
        uint8_t *exact =
            malloc(n ? n : 1); /* exact size, so that the sanitizer sees one byte too far */
        if (!exact)
            return 2;
        for (size_t i = 0; i < n; i++)
            exact[i] = in[i];
        (void)LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        free(in);
        count++;
    }
    closedir(d);
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
