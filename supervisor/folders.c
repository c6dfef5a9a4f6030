#include "folders.h"

#include "fd.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char first_page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Canvas</title>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }\n"
    "  main { max-width: 34rem; margin: 18vh auto; padding: 0 1.5rem; }\n"
    "  code { font-family: ui-monospace, monospace; }\n"
    "</style>\n"
    "<main>\n"
    "  <h1>This is the canvas</h1>\n"
    "  <p>What lies in this page's folder is shown here and on paired devices. Replace\n"
    "     <code>index.html</code>, or put files and folders beside it: an open page loads itself\n"
    "     anew when one of them changes.</p>\n"
    "  <p id=\"state\">Waiting for a device.</p>\n"
    "</main>\n"
    "<script>\n"
    "  if (window.openclawSendUserAction)\n"
    "    document.getElementById(\"state\").textContent = \"This device can answer from here.\";\n"
    "</script>\n"
    "</html>\n";

/* Everybody may look into it: the process that reads it has a user of its own. */
static int make(const char *path)
{
    char part[PATH_MAX];

    if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
        return -1;
    for (char *s = part + 1;; s++) {
        char c = *s;

        if (c && c != '/')
            continue;
        *s = 0;
        if (mkdir(part, 0755) == 0 ? chmod(part, 0755) < 0 : errno != EEXIST)
            return -1; /* whatever our umask is */
        *s = c;
        if (!c)
            return 0;
    }
}

static void put_first_page(int dir)
{
    int fd = openat(dir, "index.html", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t n = sizeof(first_page) - 1;

    if (fd < 0)
        return; /* there is one, or there cannot be one */
    if (fchmod(fd, 0644) < 0 || write(fd, first_page, n) != (ssize_t)n)
        log_warn("canvas.page_unwritten", KV("why", strerror(errno)));
    fd_close(&fd);
}

static int send_one(struct link *files, uint8_t which, const char *path, bool create, struct err *e)
{
    struct ipc_folder m = {.which = which, .dir = -1};
    int r;

    if (!create || make(path) == 0)
        m.dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (m.dir < 0) {
        log_error("canvas.no_folder", KV("folder", path), KV("why", strerror(errno)));
        return 0;
    }
    if (create)
        put_first_page(m.dir);
    if ((r = msg_send_folder(files, &m, e)) < 0)
        fd_close(&m.dir);
    return r;
}

int folders_send(const struct conf *conf, const char *state_dir, struct link *files, struct err *e)
{
    const char *root = conf->canvas_root, *a2ui = conf->canvas_a2ui_root;
    char path[PATH_MAX];
    int r = 0;

    if (!root || !*root) {
        if ((size_t)snprintf(path, sizeof(path), "%s/canvas", state_dir) >= sizeof(path))
            return err_set(e, ERR_LIMIT, "state folder: path too long");
        root = path;
    }
    if ((r = send_one(files, FOLDER_CANVAS, root, true, e)) < 0)
        return r;
    return a2ui && *a2ui ? send_one(files, FOLDER_A2UI, a2ui, false, e) : 0;
}
