/* SPDX-License-Identifier: BSD-3-Clause */
/* Where pipelines and their default files are looked for: here, beside the pipeline, in the data
 * folders. */
#include "pipeline/internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FOLDERS = 6, MAKEFILE_LIMIT = 4 << 20, MOST_NAMES = 256 };

struct folders {
    int n;
    char *at[MOST_FOLDERS];
};

static void folders_free(struct folders *f)
{
    while (f->n)
        aster_free(&f->at[--f->n]);
}

static int add_folder(struct aster_ctx *ctx, struct folders *f, const char *path, size_t n)
{
    if (f->n == MOST_FOLDERS)
        return 0;
    ASTER_TRY(aster_strndup(ctx, path, n, &f->at[f->n]));
    f->n++;
    return 0;
}

/* The folder of that name; nothing when it is not there. */
static int add_real_folder(struct aster_ctx *ctx, struct folders *f, const char *path)
{
    char real[PATH_MAX];
    return realpath(path, real) ? add_folder(ctx, f, real, strlen(real)) : 0;
}

/* A program in its build folder finds the source folder in the Makefile beside it. */
static int add_source_folder(struct aster_ctx *ctx, struct folders *f, const char *build)
{
    static const char key[] = "\nabs_top_srcdir = ";
    char *makefile, *status, *text = NULL;
    int64_t n;
    ASTER_TRY(aster_path_join(ctx, build, "config.status", &status));
    bool is_build = aster_file_exists(status);
    aster_free(&status);
    if (!is_build)
        return 0;
    ASTER_TRY(aster_path_join(ctx, build, "Makefile", &makefile));
    int rc = aster_file_read(ctx, makefile, MAKEFILE_LIMIT, &text, &n);
    aster_free(&makefile);
    char *found = rc == 0 ? strstr(text, key) : NULL;
    if (found) {
        found += sizeof key - 1;
        found[strcspn(found, "\n")] = '\0';
        rc = add_real_folder(ctx, f, found);
    }
    if (rc == 0)
        rc = add_folder(ctx, f, build, strlen(build));
    aster_free(&text);
    return rc;
}

/* Source and build folder of a program not yet installed, the data folder beside a program that was
 * installed or moved, the one that it was built for. */
static int data_folders(struct aster_ctx *ctx, struct folders *f)
{
    static const char moved[] = "/../share/asterism";
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - sizeof moved);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
        ASTER_TRY(add_source_folder(ctx, f, self));
    }
    if (slash) {
        memcpy(slash, moved, sizeof moved);
        ASTER_TRY(add_real_folder(ctx, f, self));
    }
    return add_folder(ctx, f, ASTER_DATADIR, strlen(ASTER_DATADIR));
}

int aster_find_data(struct aster_ctx *ctx, char **out)
{
    struct folders f = {0};
    *out = NULL;
    int rc = data_folders(ctx, &f);
    if (rc == 0)
        rc = aster_strdup(ctx, f.at[0], out);
    folders_free(&f);
    return rc;
}

/* *out is NULL when nothing is there. */
static int try_in(struct aster_ctx *ctx, const char *folder, const char *name, char **out,
                  struct aster_str *looked)
{
    char *path;
    struct stat st;
    bool here = !strcmp(folder, ".");
    *out = NULL;
    if (here)
        ASTER_TRY(aster_strdup(ctx, name, &path));
    else
        ASTER_TRY(aster_path_join(ctx, folder, name, &path));
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        *out = path;
        return 0;
    }
    if (looked)
        aster_str_printf(looked, "%s%s", looked->len ? ", " : "", path);
    aster_free(&path);
    return 0;
}

static int look(struct aster_ctx *ctx, const struct folders *f, const char *name, char **out,
                struct aster_str *looked)
{
    *out = NULL;
    for (int i = 0; i < f->n && !*out; i++) {
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= !strcmp(f->at[i], f->at[k]);
        if (!again)
            ASTER_TRY(try_in(ctx, f->at[i], name, out, looked));
    }
    return 0;
}

int aster_find_file(struct aster_ctx *ctx, const char *folder, const char *name, char **path_out,
                    struct aster_str *looked)
{
    struct folders f = {0};
    *path_out = NULL;
    int rc = add_folder(ctx, &f, ".", 1);
    if (name[0] != '/') {
        if (rc == 0)
            rc = add_folder(ctx, &f, folder, strlen(folder));
        if (rc == 0)
            rc = data_folders(ctx, &f);
    }
    if (rc == 0)
        rc = look(ctx, &f, name, path_out, looked);
    folders_free(&f);
    return rc;
}

/* ---- pipelines by name ---- */

struct names {
    int n;
    char *at[MOST_NAMES];
};

static int add_names(struct aster_ctx *ctx, const char *folder, struct names *names)
{
    char *path;
    int rc = 0;
    ASTER_TRY(aster_path_join(ctx, folder, "pipelines", &path));
    DIR *d = opendir(path);
    aster_free(&path);
    if (!d)
        return 0;
    for (struct dirent *e; rc == 0 && names->n < MOST_NAMES && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n > 5 && !strcmp(e->d_name + n - 5, ".yaml")) {
            rc = aster_strndup(ctx, e->d_name, n - 5, &names->at[names->n]);
            names->n += rc == 0;
        }
    }
    closedir(d);
    return rc;
}

static void names_free(struct names *names)
{
    while (names->n)
        aster_free(&names->at[--names->n]);
}

static int all_names(struct aster_ctx *ctx, const struct folders *f, struct names *names)
{
    for (int i = 0; i < f->n; i++)
        ASTER_TRY(add_names(ctx, f->at[i], names));
    return 0;
}

static int not_found(struct aster_ctx *ctx, const struct folders *f, const char *name,
                     const char *looked)
{
    struct names names = {0};
    char hint[128] = "";
    int rc = all_names(ctx, f, &names);
    if (rc == 0) {
        aster_hint(name, (const char *const *)names.at, names.n, hint, sizeof hint);
        rc = aster_fail(ctx, ASTER_EIO, "no pipeline '%s'; looked for %s%s", name, looked, hint);
    }
    names_free(&names);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int aster_list_pipelines(struct aster_ctx *ctx, int *n, char ***out)
{
    struct folders f = {0};
    struct names names = {0};
    int rc;
    *n = 0;
    *out = NULL;
    ASTER_GOTO(add_folder(ctx, &f, ".", 1), done);
    ASTER_GOTO(data_folders(ctx, &f), done);
    ASTER_GOTO(all_names(ctx, &f, &names), done);
    ASTER_GOTO(aster_alloc(ctx, names.n, sizeof **out, out), done);
    qsort(names.at, (size_t)names.n, sizeof *names.at, by_name);
    for (int i = 0; i < names.n; i++)
        if (*n == 0 || strcmp((*out)[*n - 1], names.at[i])) {
            (*out)[(*n)++] = names.at[i];
            names.at[i] = NULL;
        }
done:
    names_free(&names);
    folders_free(&f);
    return rc;
}

int aster_find_pipeline(struct aster_ctx *ctx, const char *name, char **path_out)
{
    struct folders f = {0};
    struct aster_str looked = {0}, in_folder = {0};
    bool has_ending = strlen(name) > 5 && !strcmp(name + strlen(name) - 5, ".yaml");
    int rc = try_in(ctx, ".", name, path_out, &looked);
    if (rc == 0 && !*path_out && !strchr(name, '/')) {
        rc = add_folder(ctx, &f, ".", 1);
        if (rc == 0)
            rc = data_folders(ctx, &f);
        aster_str_printf(&in_folder, "pipelines/%s%s", name, has_ending ? "" : ".yaml");
        if (rc == 0)
            rc = aster_str_ok(ctx, &in_folder);
        if (rc == 0)
            rc = look(ctx, &f, in_folder.s, path_out, &looked);
    }
    if (rc == 0 && !*path_out)
        rc = not_found(ctx, &f, name, aster_str_get(&looked));
    aster_str_free(&looked);
    aster_str_free(&in_folder);
    folders_free(&f);
    return rc;
}
