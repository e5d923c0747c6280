/* SPDX-License-Identifier: BSD-3-Clause */
/* Files to and from host arrays. Every length in a file is distrusted; every message names file and
 * line or item. */
#ifndef ASTER_IO_H
#define ASTER_IO_H

#include "base/base.h"

/* ---- lines of a plain or gzip file, or of stdin ("-"); CR before LF is dropped; the last line may
 * lack its LF ---- */
struct aster_lines;
ASTER_CHECKED int aster_lines_open(struct aster_ctx *ctx, const char *path,
                                   struct aster_lines **out);
/* 1: a line (0-terminated, valid until the next call), 0: end. A NUL byte, a line over 1 GiB, a
 * damaged gzip or bytes behind it: error. */
ASTER_CHECKED int aster_lines_next(struct aster_lines *l, char **text, size_t *n);
int64_t aster_lines_number(const struct aster_lines *l); /* of the line last returned, from 1 */
const char *aster_lines_path(const struct aster_lines *l);
void aster_lines_close(struct aster_lines **l);

/* ---- FASTA ---- */
struct aster_fasta_record { /* owned by the reader until the next call */
    const char *header;     /* without '>' */
    const char *id;         /* header up to white space; may be "" */
    const char *seq; /* joined lines, inner blanks and tabs at line ends stripped, case kept */
    int64_t length;
    int64_t line;     /* of the '>' */
    int64_t index;    /* from 0 */
    int64_t n_marked; /* letters that aster_fasta_expect said to count */
};
struct aster_fasta;
ASTER_CHECKED int aster_fasta_open(struct aster_ctx *ctx, const char *path,
                                   struct aster_fasta **out);
/* 1, 0 at the end. Text before the first '>', a byte that is not printable ASCII in a sequence:
 * error naming the line. */
ASTER_CHECKED int aster_fasta_next(struct aster_fasta *f, struct aster_fasta_record *out);
/* Characters so far that are neither letters nor stops or gaps (* - .): n of them, where the first
 * was. They are kept. */
struct aster_fasta_odd {
    int64_t n, line, column;
    char first;
};
const struct aster_fasta_odd *aster_fasta_odd(const struct aster_fasta *f);
/* From now on odd is of the record last returned, of bytes that are none of letters and marked (all
 * capitals; small ones go with them), and no byte is refused. marked are counted. */
void aster_fasta_expect(struct aster_fasta *f, const char *letters, const char *marked);
void aster_fasta_close(struct aster_fasta **f);
void aster_fasta_write(struct aster_str *out, const char *header, const char *seq, int64_t n,
                       int width);

/* ---- CSV (RFC 4180: quotes, doubled quotes, line breaks inside quotes), header line, UTF-8,
 * optional BOM ---- */
struct aster_csv;
ASTER_CHECKED int aster_csv_open(struct aster_ctx *ctx, const char *path, struct aster_csv **out);
int aster_csv_n_columns(const struct aster_csv *c);
const char *aster_csv_column_name(const struct aster_csv *c, int i);
int aster_csv_find(const struct aster_csv *c, const char *name); /* -1 if absent */
/* 1: fields[0..n_columns-1] valid until the next call; 0 end. A row with another number of fields,
 * an open quote, not UTF-8: error. */
ASTER_CHECKED int aster_csv_next(struct aster_csv *c, const char *const **fields);
int64_t aster_csv_line(const struct aster_csv *c); /* first line of the row last returned */
void aster_csv_close(struct aster_csv **c);
void aster_csv_field(struct aster_str *out, const char *text, bool first); /* quoted when needed */

/* ---- JSON ---- */
enum aster_json_type {
    ASTER_JSON_NULL,
    ASTER_JSON_BOOL,
    ASTER_JSON_NUMBER,
    ASTER_JSON_STRING,
    ASTER_JSON_ARRAY,
    ASTER_JSON_OBJECT
};
struct aster_json { /* a tree; children of arrays and objects are a linked list in file order */
    enum aster_json_type type;
    bool boolean;
    double number;
    bool is_int; /* written without point or exponent and fits */
    int64_t integer;
    char *string; /* UTF-8; escapes resolved */
    char *key;    /* when inside an object */
    int line;
    struct aster_json *child, *next;
};
/* where: the file's name for messages. Duplicate keys, bad UTF-8, nesting over 64, anything after
 * the value: error with line. */
ASTER_CHECKED int aster_json_parse(struct aster_ctx *ctx, const char *where, const char *text,
                                   size_t n, struct aster_json **out);
ASTER_CHECKED int aster_json_read(struct aster_ctx *ctx, const char *path, struct aster_json **out);
void aster_json_free(struct aster_json **j);
const struct aster_json *aster_json_get(const struct aster_json *object,
                                        const char *key); /* NULL if absent */
int64_t aster_json_count(const struct aster_json *j);
void aster_json_quote(struct aster_str *out, const char *text);
void aster_json_number(
    struct aster_str *out,
    double x); /* shortest that reads back; NaN, Infinity as Python writes them */

/* ---- HDF5 (one lock inside; errors of the library are turned into our messages) ---- */
struct aster_h5; /* an open file */
ASTER_CHECKED int aster_h5_open(struct aster_ctx *ctx, const char *path,
                                struct aster_h5 **out); /* to read */
/* Writes to path.tmp; aster_h5_commit makes it path. Closing without commit removes it. */
ASTER_CHECKED int aster_h5_create(struct aster_ctx *ctx, const char *path, struct aster_h5 **out);
ASTER_CHECKED int aster_h5_commit(struct aster_h5 **f);
void aster_h5_close(struct aster_h5 **f);
bool aster_h5_has(const struct aster_h5 *f, const char *name);
/* Names of the members of a group, sorted; free with aster_h5_names_free. */
ASTER_CHECKED int aster_h5_list(struct aster_h5 *f, const char *group, char ***names, int64_t *n);
void aster_h5_names_free(char ***names, int64_t n);
struct aster_h5_shape {
    int rank;
    int64_t dim[8];
    enum aster_dtype dtype;
    bool is_string;
    int64_t string_size;
    int64_t n;
};
ASTER_CHECKED int aster_h5_shape(struct aster_h5 *f, const char *name, struct aster_h5_shape *out);
/* Whole dataset converted to dtype; n elements expected (-1: any), allocated for the caller. A
 * value that an integer type cannot hold is an error. ASTER_BF16 is kept as unsigned 16-bit
 * integers. */
ASTER_CHECKED int aster_h5_read(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n,
                                void *out_pointer);
/* Rows first .. first+count-1 of the first axis into a buffer of the caller. */
ASTER_CHECKED int aster_h5_read_rows(struct aster_h5 *f, const char *name, enum aster_dtype t,
                                     int64_t first, int64_t count, void *out);
/* Of a dataset with one axis: count strings from row first on. */
ASTER_CHECKED int aster_h5_read_string_rows(struct aster_h5 *f, const char *name, int64_t first,
                                            int64_t count, char ***out);
/* Strings, fixed-length or variable: *out is an array of n owned strings. */
ASTER_CHECKED int aster_h5_read_strings(struct aster_h5 *f, const char *name, char ***out,
                                        int64_t *n);
ASTER_CHECKED int aster_h5_write(struct aster_h5 *f, const char *name, enum aster_dtype t, int rank,
                                 const int64_t *dim, const void *data); /* groups are made */
/* The bytes in one piece and without a checksum, so that a reader can map them. */
ASTER_CHECKED int aster_h5_write_plain(struct aster_h5 *f, const char *name, enum aster_dtype t,
                                       int rank, const int64_t *dim, const void *data);
ASTER_CHECKED int aster_h5_write_strings(struct aster_h5 *f, const char *name, int64_t n,
                                         const char *const *s);
struct aster_h5_column { /* a dataset of one or two axes, as it is in memory */
    const char *name;
    enum aster_dtype type;
    int rank;
    int64_t dim[2];
    const void *data;
};
ASTER_CHECKED int aster_h5_write_columns(struct aster_h5 *f, size_t n,
                                         const struct aster_h5_column *c);
/* An appendable dataset: rows of row_n elements, chunked; with row_n 1 it has one axis. */
ASTER_CHECKED int aster_h5_append(struct aster_h5 *f, const char *name, enum aster_dtype t,
                                  int64_t n_rows, int64_t row_n, const void *data);
/* Rows of any shape: dim are the sizes of the rank axes behind the first. */
ASTER_CHECKED int aster_h5_append_shaped(struct aster_h5 *f, const char *name, enum aster_dtype t,
                                         int64_t n_rows, int rank, const int64_t *dim,
                                         const void *data);
/* Truth values as h5py writes them; data is 0 or 1. */
ASTER_CHECKED int aster_h5_append_flags(struct aster_h5 *f, const char *name, int64_t n_rows,
                                        int64_t row_n, const uint8_t *data);
ASTER_CHECKED int aster_h5_append_strings(struct aster_h5 *f, const char *name, int64_t n,
                                          const char *const *s); /* one axis */
ASTER_CHECKED int aster_h5_attr_set_i64(struct aster_h5 *f, const char *object, const char *name,
                                        int64_t v);
ASTER_CHECKED int aster_h5_attr_set_f64(struct aster_h5 *f, const char *object, const char *name,
                                        double v);
ASTER_CHECKED int aster_h5_attr_set_str(struct aster_h5 *f, const char *object, const char *name,
                                        const char *v);
bool aster_h5_attr_has(const struct aster_h5 *f, const char *object, const char *name);
ASTER_CHECKED int aster_h5_attr_i64(struct aster_h5 *f, const char *object, const char *name,
                                    int64_t *v);
ASTER_CHECKED int aster_h5_attr_f64(struct aster_h5 *f, const char *object, const char *name,
                                    double *v);
ASTER_CHECKED int aster_h5_attr_f64s(struct aster_h5 *f, const char *object, const char *name,
                                     int64_t n, double *v);
ASTER_CHECKED int aster_h5_attr_str(struct aster_h5 *f, const char *object, const char *name,
                                    char **v);

/* ---- safetensors: one file; the mapping stays open ---- */
/* dtype as the format writes it (F32, BF16, F16, I64, BOOL ...). data is not always aligned to the
 * elements: copy, or read bytes. */
struct aster_st_tensor {
    char *name;
    char dtype[8];
    int rank;
    int64_t dim[8];
    int64_t n;
    const void *data;
};
struct aster_st;
ASTER_CHECKED int aster_st_open(struct aster_ctx *ctx, const char *path, struct aster_st **out);
int64_t aster_st_count(const struct aster_st *s);
const struct aster_st_tensor *aster_st_tensor(const struct aster_st *s, int64_t i);
const struct aster_st_tensor *aster_st_find(const struct aster_st *s, const char *name);
const char *aster_st_metadata(const struct aster_st *s, const char *key); /* NULL if absent */
void aster_st_close(struct aster_st **s);
struct aster_st_out {
    const char *name;
    enum aster_dtype dtype;
    int rank;
    int64_t dim[8];
    const void *data;
};
ASTER_CHECKED int aster_st_write(struct aster_ctx *ctx, const char *path, int64_t n,
                                 const struct aster_st_out *tensors, int n_meta,
                                 const char *const *meta_keys, const char *const *meta_values);
/* One tensor in memory at a time: load makes the data of the k-th. */
struct aster_st_load {
    int (*load)(void *arg, int64_t k, void *to);
    void *arg;
};
ASTER_CHECKED int aster_st_write_each(struct aster_ctx *ctx, const char *path, int64_t n,
                                      const struct aster_st_out *tensors, int n_meta,
                                      const char *const *meta_keys, const char *const *meta_values,
                                      const struct aster_st_load *load);

/* ---- npz (zip of .npy, stored or deflated) and npy; stored members are mapped, deflated ones
 * streamed by rows ------------------------------------- Arrays are named without their .npy; the
 * array of a .npy file has the file's own name without it. Read the rows of a deflated array in
 * order: going back unpacks it again from its start. shape.dtype is the nearest of ours (f2: f32,
 * bool: u8); read_rows converts, and refuses a value that the type asked for cannot hold. A CRC-32
 * that differs is noticed once a member was read from its first row to its last. */
struct aster_npz;
struct aster_npy_shape {
    int rank;
    int64_t dim[8];
    enum aster_dtype dtype;
    bool is_text;
    int64_t text_chars;
    int64_t n;
};
ASTER_CHECKED int aster_npz_open(struct aster_ctx *ctx, const char *path, struct aster_npz **out);
bool aster_npz_has(const struct aster_npz *z, const char *name);
ASTER_CHECKED int aster_npz_shape(struct aster_npz *z, const char *name,
                                  struct aster_npy_shape *out);
/* count rows of the first axis, from row first on (rank 0: one row of one element), into a buffer
 * of the caller. */
ASTER_CHECKED int aster_npz_read_rows(struct aster_npz *z, const char *name, enum aster_dtype t,
                                      int64_t first, int64_t count, void *out);
ASTER_CHECKED int aster_npz_read_strings(struct aster_npz *z, const char *name, char ***out,
                                         int64_t *n); /* 'U' and 'S' arrays */
void aster_npz_close(struct aster_npz **z);

/* Writing one: arrays one after the other, stored. To path.tmp; aster_npz_commit makes it path,
 * closing without commit removes it. */
struct aster_npz_out;
ASTER_CHECKED int aster_npz_create(struct aster_ctx *ctx, const char *path,
                                   struct aster_npz_out **out);
/* Begins an array of f32 or i64; the elements that follow in aster_npz_add, in row-major order, are
 * as many as it has. ASTER_ELIMIT when the file would pass 4 GiB. */
ASTER_CHECKED int aster_npz_begin(struct aster_npz_out *z, const char *name, enum aster_dtype t,
                                  int rank, const int64_t *dim);
/* Begins an array of n texts of at most so many code points. */
ASTER_CHECKED int aster_npz_begin_texts(struct aster_npz_out *z, const char *name, int64_t n,
                                        int64_t code_points);
ASTER_CHECKED int aster_npz_add(struct aster_npz_out *z, int64_t n, const void *elements);
ASTER_CHECKED int aster_npz_add_text(struct aster_npz_out *z, const char *text);
ASTER_CHECKED int aster_npz_commit(struct aster_npz_out **z);
void aster_npz_discard(struct aster_npz_out **z);
/* Code points of a text; a byte that is no UTF-8 counts as one, and is written as U+FFFD. */
int64_t aster_npz_text_length(const char *text);
void aster_strings_free(char ***s, int64_t n);

/* ---- TensorBoard event files ---- */
struct aster_events;
/* dir/events.out.tfevents.<seconds>.<host>.<pid>.0 */
ASTER_CHECKED int aster_events_open(struct aster_ctx *ctx, const char *dir,
                                    struct aster_events **out);
ASTER_CHECKED int aster_events_scalar(struct aster_events *e, const char *tag, int64_t step,
                                      float value);
ASTER_CHECKED int aster_events_flush(struct aster_events *e);
void aster_events_close(struct aster_events **e);

#endif
