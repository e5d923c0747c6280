/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-virnucpro FOLDER: chunks, frames, ids, counts, calls and formats against files of
 * reference results; one line per file. */
#include "golden/virnucpro_check.h"

#include <dirent.h>
#include <stdlib.h>

static bool ends(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && !strcmp(name + n - m, ending);
}

/* A number before end, with these letters before it: "x_chunked60" has 60 behind "_chunked". 0: not
 * so. n: length of what is before the letters. */
static int64_t size_in(const char *name, size_t end, const char *letters, size_t *n)
{
    size_t digits = end, m = strlen(letters);
    char text[20];
    int64_t size = 0;
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    if (digits == end || end - digits >= sizeof text || digits <= m ||
        strncmp(name + digits - m, letters, m) != 0)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)(end - digits), name + digits);
    *n = digits - m;
    return aster_parse_i64(text, &size) == 0 ? size : 0;
}

enum which { CHUNKS, DNA, PROTEIN };

/* What a file of this name has to hold, from which input and with which size of chunks (0: records
 * are not cut). */
static bool understand(struct vnp *v, const char *folder, const char *name, struct aster_str *input,
                       int64_t *size, enum which *which)
{
    static const char *const endings[3] = {".fa", "_nucleotide.fa", "_protein.faa"};
    size_t n, end;
    *which = ends(name, endings[DNA]) ? DNA : ends(name, endings[PROTEIN]) ? PROTEIN : CHUNKS;
    if (!ends(name, endings[*which]))
        return false;
    end = strlen(name) - strlen(endings[*which]);
    input->len = 0;
    *size = size_in(name, end, *which == CHUNKS ? "_chunked" : "_c", &n);
    if (*size > 0) {
        aster_str_printf(input, "%.*s.fa", (int)n, name);
        return true;
    }
    if (*which == CHUNKS)
        return false;
    if (end > 11 && !strncmp(name + end - 11, "_identified", 11)) {
        *size = 500;
        aster_str_printf(input, "%.*s.fa", (int)end - 11, name);
        return true;
    }
    char *path = NULL;
    aster_str_printf(input, "%.*s_input.fa", (int)end, name);
    bool there = aster_path_join(v->ctx, folder, aster_str_get(input), &path) == 0 &&
                 aster_file_exists(path);
    aster_free(&path);
    return there;
}

static int check_fasta(struct vnp *v, const char *path, const char *input, int64_t size,
                       enum which which)
{
    struct vnp_run r = {.texts = true};
    char *from = NULL;
    int rc = vnp_find(v, input, &from);
    if (rc == 0)
        rc = vnp_run_file(v, from, size, &r);
    if (rc == 0)
        vnp_compare(v, path, "", which == CHUNKS ? &r.chunks : which == DNA ? &r.dna : &r.protein);
    aster_free(&from);
    vnp_run_free(&r);
    return rc;
}

static void check_file(struct vnp *v, const char *folder, const char *name)
{
    struct aster_str input = {0};
    char *path = NULL;
    int64_t size;
    enum which which;
    if (aster_path_join(v->ctx, folder, name, &path) < 0) {
        vnp_say_failed(v, name);
        return;
    }
    if (!strcmp(name, "chunk_bounds.tsv"))
        vnp_check_chunk_bounds(v, path);
    else if (!strcmp(name, "workload_counts.tsv"))
        vnp_check_counts(v, path);
    else if (!strcmp(name, "esm2_token_ids.tsv"))
        vnp_check_tokens(v, path, true);
    else if (!strcmp(name, "dnaberts_token_ids.tsv"))
        vnp_check_tokens(v, path, false);
    else if (!strcmp(name, "golden_scores.tsv"))
        vnp_check_scores(v, path);
    else if (!strcmp(name, "golden_features.safetensors"))
        vnp_check_features(v, path);
    else if (understand(v, folder, name, &input, &size, &which) &&
             check_fasta(v, path, aster_str_get(&input), size, which) < 0)
        vnp_say_failed(v, name);
    aster_str_free(&input);
    aster_free(&path);
}

static int no_dots(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* The names in a folder in order; -1 when it cannot be read. */
static int each_name(struct vnp *v, const char *folder,
                     void (*visit)(struct vnp *v, const char *folder, const char *name))
{
    struct dirent **list = NULL;
    int n = scandir(folder, &list, no_dots, alphasort);
    for (int k = 0; k < n; k++) {
        visit(v, folder, list[k]->d_name);
        free(list[k]);
    }
    free(list);
    return n;
}

static void check_pipeline(struct vnp *v, const char *folder, const char *name)
{
    static const char *const kinds[] = {"vanilla", "refactored"};
    for (int k = 0; k < 2; k++) {
        struct aster_str path = {0}, where = {0};
        aster_str_printf(&where, "%s/%s", name, kinds[k]);
        aster_str_printf(&path, "%s/%s", folder, aster_str_get(&where));
        if (aster_file_exists(aster_str_get(&path)))
            vnp_check_tables(v, aster_str_get(&path), aster_str_get(&where), k == 1);
        aster_str_free(&path);
        aster_str_free(&where);
    }
}

/* The folder above; "." has "..". */
static int root_of(struct vnp *v)
{
    size_t n = strlen(v->folder);
    while (n > 1 && v->folder[n - 1] == '/')
        v->folder[--n] = '\0';
    return aster_path_join(v->ctx, v->folder, "..", &v->root);
}

static int check_all(struct vnp *v)
{
    static const char *const beside[] = {"fasta", "expected_pipeline"};
    ASTER_TRY(root_of(v));
    if (each_name(v, v->folder, check_file) < 0)
        return aster_fail(v->ctx, ASTER_EIO, "%s: is no folder that can be read", v->folder);
    if (v->n_lines == 0)
        return aster_fail(v->ctx, ASTER_EFORMAT, "%s: has no file of reference results", v->folder);
    for (int k = 0; k < 2; k++) {
        char *path = NULL;
        ASTER_TRY(aster_path_join(v->ctx, v->root, beside[k], &path));
        if (aster_file_exists(path))
            (void)each_name(v, path, k ? check_pipeline : check_file);
        aster_free(&path);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct vnp v = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: golden-virnucpro FOLDER\n"
                        "  FOLDER   reference results; inputs, token tables and final tables are "
                        "looked for in the folder above\n");
        return 1;
    }
    if (aster_ctx_new(&v.ctx) < 0)
        return 1;
    int rc = aster_strdup(v.ctx, argv[1], &v.folder);
    if (rc == 0)
        rc = check_all(&v);
    if (rc < 0)
        vnp_say_failed(&v, aster_path_base(argv[1]));
    printf("%lld of %lld agree\n", (long long)(v.n_lines - v.n_failed), (long long)v.n_lines);
    aster_bpe_room_free(&v.room);
    aster_bpe_close(&v.bpe);
    aster_free(&v.folder);
    aster_free(&v.root);
    aster_ctx_free(&v.ctx);
    return v.n_failed > 0;
}
