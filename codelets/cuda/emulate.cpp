// SPDX-License-Identifier: BSD-3-Clause
// The scheduler of emulated launches: threads are fibers that run until they wait for others.
#include "cuda/emulate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

namespace emulate
{

enum { STACK = 64 << 10, MOST_THREADS = 1024, MOST_KERNELS = 256 };

struct thread *now;
struct access here;
uint32_t span;
dim3 block_dim, grid_dim;
uint32_t grid_stamp = 1;
struct page *cached[CACHED];

static struct launch_spec spec;
static enum aster_emulate_order order;
static char error_text[512];
static bool failed; /* the launch that runs */
static void *scheduler_sp;
static char *stacks;
static int64_t n_stacks, n_free;
static int64_t *
    free_stacks; // a thread that is over hands its own, still in the cache, to the next that starts
static const char *kernels[MOST_KERNELS];
static int n_kernels;
static uint32_t next_stamp = 1, next_span = 1;

// ---- fibers
#if defined __x86_64__
extern "C" void aster_emulate_switch(void **save, void *to);
asm(".text\n"
    ".globl aster_emulate_switch\n"
    ".type aster_emulate_switch, @function\n"
    "aster_emulate_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq "
    "%r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size aster_emulate_switch, . - aster_emulate_switch\n"
    ".section .note.GNU-stack, \"\", @progbits\n"
    ".text\n");

static void *fiber_new(char *top, void (*entry)())
{
    void **sp = (void **)((uintptr_t)top / 64 * 64);
    *--sp = nullptr; // the entry never returns; this keeps its stack aligned
    *--sp = (void *)entry;
    for (int k = 0; k < 6; k++)
        *--sp = nullptr;
    return sp;
}
static void fiber_switch(void **save, void *to)
{
    aster_emulate_switch(save, to);
}
#else
#include <ucontext.h>
static void *fiber_new(char *top, void (*entry)())
{
    ucontext_t *u = (ucontext_t *)(top - STACK + 4096);
    getcontext(u);
    u->uc_stack.ss_sp = u + 1;
    u->uc_stack.ss_size = (size_t)(top - (char *)(u + 1));
    u->uc_link = nullptr;
    makecontext(u, entry, 0);
    return u;
}
static void fiber_switch(void **save, void *to)
{
    ucontext_t here;
    *save = &here;
    swapcontext(&here, (ucontext_t *)to);
}
#endif

static void wait_for_others(enum state what, int line)
{
    now->what = what;
    now->line = line;
    fiber_switch(&now->sp, scheduler_sp);
}

static void entry()
{
    spec.body(spec.arg);
    now->in->n_done++;
    now->lanes->exited++;
    wait_for_others(DONE, 0);
}

// ---- what was caught
static const char *place_text(const struct thread *t, char *buf, size_t n)
{
    snprintf(buf, n, "block (%u,%u,%u), thread (%u,%u,%u)", t->in->index.x, t->in->index.y,
             t->in->index.z, t->index.x, t->index.y, t->index.z);
    return buf;
}

static void record(const struct thread *t, const char *fmt, va_list ap)
{
    char place[96];
    failed = true;
    if (error_text[0])
        return;
    const bool wrapped = spec.name[0] == '('; // as a template's name goes through a macro
    const int length = (int)strlen(spec.name) - 2 * wrapped;
    int n = snprintf(error_text, sizeof error_text, "%.*s, %s: ", length, spec.name + wrapped,
                     place_text(t, place, sizeof place));
    vsnprintf(error_text + n, sizeof error_text - (size_t)n, fmt, ap);
}

void caught(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(now, fmt, ap);
    va_end(ap);
    wait_for_others(DONE, 0);
    abort();
}

static void stuck(const struct thread *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void stuck(const struct thread *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(t, fmt, ap);
    va_end(ap);
}

void race(const struct cell &c, enum clash with, const char *what, const char *kind,
          const char *name, int64_t index)
{
    const struct access &a = with == WITH_WRITE ? c.written : c.read;
    const char *who = with == WITH_READ && a.kind != ONE_THREAD ? "among others " : "";
    caught("%s %s%s[%lld], which %sthread %u of block %u %s, and no barrier is between them", what,
           kind, name, (long long)index, who, a.thread, a.block,
           with == WITH_WRITE ? "wrote" : "read");
}

static struct cell *cells_new(int64_t n)
{
    const size_t bytes = (size_t)n * sizeof(struct cell);
    struct cell *c =
        (struct cell *)aligned_alloc(alignof(struct cell), bytes > 0 ? bytes : sizeof *c);
    if (!c)
        abort();
    memset((void *)c, 0, bytes);
    return c;
}

// ---- cells of device memory, made as they are touched
struct page *page_of(uintptr_t number, unsigned size)
{
    static struct page **table;
    static uintptr_t room, used;
    if (2 * used >= room) {
        uintptr_t more = room ? 2 * room : 1024;
        struct page **bigger = (struct page **)calloc(more, sizeof *bigger);
        for (uintptr_t k = 0; k < room; k++)
            if (table[k]) {
                uintptr_t at = table[k]->number * 0x9E3779B97F4A7C15ULL % more;
                while (bigger[at])
                    at = (at + 1) % more;
                bigger[at] = table[k];
            }
        free(table);
        table = bigger;
        room = more;
    }
    uintptr_t at = number * 0x9E3779B97F4A7C15ULL % room;
    while (table[at] && table[at]->number != number)
        at = (at + 1) % room;
    if (!table[at]) {
        table[at] = (struct page *)calloc(1, sizeof **table);
        table[at]->number = number;
        used++;
    }
    struct page *g = table[at];
    if (!g->cells || 1U << g->shift > size) {
        int shift = size >= 8 ? 3 : size >= 4 ? 2 : size >= 2 ? 1 : 0;
        free(g->cells);
        g->shift = shift;
        g->cells = (struct cell *)cells_new(PAGE >> shift);
    }
    return cached[number % CACHED] = g;
}

struct array *array_of(const void *site, const char *name, int64_t n, int64_t size)
{
    struct block *b = now->in;
    for (int k = 0; k < b->n_arrays; k++)
        if (b->array[k].site == site)
            return &b->array[k];
    if (b->n_arrays == MOST_ARRAYS)
        caught("more than %d shared arrays", MOST_ARRAYS);
    struct array *a = &b->array[b->n_arrays++];
    a->site = site;
    a->name = name;
    a->size = size;
    a->n = n < 0 ? b->dynamic_bytes / size : n;
    if (a->n * size > a->room) {
        free(a->p);
        a->room = a->n * size;
        a->p = (char *)malloc((size_t)a->room);
    }
    if (a->n > a->n_cells) {
        free(a->cells);
        a->n_cells = a->n;
        a->cells = (struct cell *)cells_new(a->n);
        free(a->settled);
        a->settled = (uint32_t *)calloc((size_t)a->n, sizeof *a->settled);
        if (!a->settled)
            abort();
    }
    return a;
}

// ---- threads together
void barrier(int line)
{
    now->in->n_waiting++;
    wait_for_others(AT_BARRIER, line);
}

void grid_barrier(int line)
{
    if (!spec.cooperative)
        caught("barrier of the grid in a launch that is not cooperative");
    now->in->n_waiting++;
    wait_for_others(AT_GRID, line);
}

const uint64_t *meet(unsigned mask, uint64_t value, const char *what, int line)
{
    struct warp *w = now->lanes;
    if (mask != 0xffffffffU)
        caught("%s of mask %08x: only whole warps are supported", what, mask);
    if (w->n_lanes != WARP)
        caught("%s in a warp of %d threads: its mask names lanes that do not exist", what,
               w->n_lanes);
    if (w->exited > 0)
        caught("%s: %d lanes of the warp have exited", what, w->exited);
    if (w->arrived > 0 && w->line != line)
        caught("%s at line %d: other lanes of the warp wait at line %d", what, line, w->line);
    w->line = line;
    w->slot[lane()] = value;
    uint32_t mine = w->generation;
    if (++w->arrived < WARP) {
        wait_for_others(AT_WARP, line);
    } else {
        memcpy(w->done[mine % 2], w->slot, sizeof w->slot);
        w->arrived = 0;
        w->generation++;
        struct thread *first = now - lane();
        for (int k = 0; k < WARP; k++)
            first[k].what = READY;
    }
    return w->done[mine % 2];
}

void sync_warp(unsigned mask, int line)
{
    uint32_t before = now->lanes->generation;
    meet(mask, 0, "__syncwarp", line);
    if (now->lanes->epoch <= before) // the first to go on counts for all
        now->lanes->epoch = before + 1;
    here.warp = (uint16_t)now->lanes->epoch;
}

uint64_t lane_value(const uint64_t *values, int from, const char *what)
{
    if (from < 0 || from >= WARP)
        caught("%s from lane %d", what, from);
    return values[from];
}

// ---- launches
static int mixing_step(int n) // without a common divisor with n
{
    return n % 7 ? 7 : n % 11 ? 11 : n % 13 ? 13 : 1;
}

// Who of n takes turn k
static int turn(int k, int n)
{
    if (order == ASTER_EMULATE_DOWN)
        return n - 1 - k;
    if (order == ASTER_EMULATE_UP || n < 2)
        return k;
    return (int)(((int64_t)k * mixing_step(n) + n / 3) % n);
}

// One turn for every thread that can go on; says whether there was any.
static bool block_turns(struct block *b)
{
    bool any = false;
    const int n = b->n_threads, first = turn(0, n), step = turn(1, n) - first;
    for (int k = 0, at = first; k < n && !failed; k++) {
        struct thread *t = &b->threads[at];
        at += step;
        at += at < 0 ? n : at >= n ? -n : 0;
        if (t->what != READY)
            continue;
        any = true;
        if (!t->sp) {
            t->stack = free_stacks[--n_free];
            // apart, or all would meet in the same cache lines
            t->sp = fiber_new(stacks + (t->stack + 1) * STACK - t->stack % 32 * 192, entry);
        }
        now = t;
        span = b->span;
        here = {b->stamp, b->number, (uint16_t)b->epoch, (uint16_t)t->lanes->epoch, t->number, 0};
        fiber_switch(&scheduler_sp, t->sp);
        if (t->what == DONE)
            free_stacks[n_free++] = t->stack;
    }
    return any;
}

// Lets a block go on from a barrier that all of its threads have reached. Grid: only looks.
static bool block_release(struct block *b, enum state what)
{
    if (b->n_waiting < b->n_threads)
        return false;
    for (int k = 1; k < b->n_threads; k++)
        if (b->threads[k].what != b->threads[0].what || b->threads[k].line != b->threads[0].line) {
            stuck(&b->threads[k], "waits at the barrier of line %d, thread 0 at that of line %d",
                  b->threads[k].line, b->threads[0].line);
            return false;
        }
    if (b->threads[0].what != what)
        return false;
    for (int k = 0; what == AT_BARRIER && k < b->n_threads; k++)
        b->threads[k].what = READY;
    if (what == AT_BARRIER) {
        b->n_waiting = 0;
        b->epoch++;
        b->span = ++next_span;
    }
    return true;
}

static bool grid_release(struct block *blocks, int n)
{
    for (int k = 0; k < n; k++)
        if (!block_release(&blocks[k], AT_GRID) ||
            blocks[k].threads[0].line != blocks[0].threads[0].line)
            return false;
    for (int k = 0; k < n; k++) {
        blocks[k].n_waiting = 0;
        blocks[k].epoch++;
        blocks[k].span = ++next_span;
        for (int j = 0; j < blocks[k].n_threads; j++)
            blocks[k].threads[j].what = READY;
    }
    grid_stamp++;
    return true;
}

// Nobody can go on: says of the first who waits for whom.
static void explain(struct block *blocks, int n)
{
    for (int k = 0; k < n && !failed; k++)
        for (int j = 0; j < blocks[k].n_threads && !failed; j++) {
            struct thread *t = &blocks[k].threads[j];
            if (t->what == AT_WARP)
                stuck(t, "waits at line %d for lanes of its warp: %d exited, %d elsewhere", t->line,
                      t->lanes->exited, WARP - t->lanes->arrived - t->lanes->exited);
            else if (t->what == AT_BARRIER)
                stuck(t,
                      "waits at the barrier of line %d for threads of its block: %d exited, %d "
                      "elsewhere",
                      t->line, blocks[k].n_done,
                      blocks[k].n_threads - blocks[k].n_waiting - blocks[k].n_done);
            else if (t->what == AT_GRID)
                stuck(t, "waits at the barrier of the grid, line %d, which not all reach", t->line);
        }
}

static void run(struct block *blocks, int n)
{
    while (!failed) {
        bool any = false;
        int done = 0;
        for (int k = 0; k < n && !failed; k++) {
            struct block *b = &blocks[turn(k, n)];
            any |= block_turns(b);
            if (!failed)
                any |= block_release(b, AT_BARRIER);
            done += b->n_done == b->n_threads;
        }
        if (done == n || failed)
            return;
        if (!any && !grid_release(blocks, n))
            explain(blocks, n);
    }
}

static void stacks_need(int64_t n)
{
    if (n > n_stacks) {
        if (stacks)
            munmap(stacks, (size_t)(n_stacks * STACK));
        void *p = mmap(nullptr, (size_t)(n * STACK), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        free_stacks = (int64_t *)realloc(free_stacks, (size_t)n * sizeof *free_stacks);
        if (p == MAP_FAILED || !free_stacks)
            abort();
        stacks = (char *)p;
        n_stacks = n;
    }
    for (n_free = 0; n_free < n; n_free++)
        free_stacks[n_free] = n - 1 - n_free;
}

static dim3 unfold(int64_t k, dim3 d)
{
    return dim3((unsigned)(k % d.x), (unsigned)(k / d.x % d.y), (unsigned)(k / d.x / d.y));
}

static void block_start(struct block *b, int64_t number)
{
    b->index = unfold(number, spec.grid);
    b->number = (uint32_t)number;
    b->stamp = ++next_stamp;
    b->span = ++next_span;
    b->epoch = 0;
    b->n_waiting = b->n_done = b->n_arrays = 0;
    b->dynamic_bytes = spec.shared_bytes;
    memset(b->warps, 0, sizeof *b->warps * (size_t)((b->n_threads + WARP - 1) / WARP));
    dim3 index(0, 0, 0);
    for (int k = 0; k < b->n_threads; k++) {
        struct thread *t = &b->threads[k];
        t->index = index;
        if (++index.x == spec.block.x) {
            index.x = 0;
            if (++index.y == spec.block.y) {
                index.y = 0;
                index.z++;
            }
        }
        t->number = (uint16_t)k;
        t->what = READY;
        t->in = b;
        t->lanes = &b->warps[k / WARP];
        t->lanes->n_lanes++;
        t->sp = nullptr;
    }
}

static void blocks_need(struct block **blocks, int64_t n)
{
    static struct block *all;
    static int64_t have;
    if (n > have) {
        all = (struct block *)realloc((void *)all, sizeof *all * (size_t)n);
        for (int64_t k = have; k < n; k++) {
            memset((void *)&all[k], 0, sizeof all[k]);
            all[k].threads = (struct thread *)calloc(MOST_THREADS, sizeof(struct thread));
            all[k].warps = (struct warp *)calloc(MOST_THREADS / WARP, sizeof(struct warp));
        }
        have = n;
    }
    *blocks = all;
}

// The part of the name before template arguments, without parentheses around it
static void remember(const char *name)
{
    char plain[96];
    size_t n = 0;
    for (const char *p = name + strspn(name, "( ");
         *p && !strchr("<) ", *p) && n + 1 < sizeof plain; p++)
        plain[n++] = *p;
    plain[n] = '\0';
    for (int k = 0; k < n_kernels; k++)
        if (!strcmp(kernels[k], plain))
            return;
    if (n_kernels < MOST_KERNELS)
        kernels[n_kernels++] = strdup(plain);
}

const char *launch(const struct launch_spec *s, int64_t shared_limit, int sm_count)
{
    int64_t threads = (int64_t)s->block.x * s->block.y * s->block.z,
            blocks = (int64_t)s->grid.x * s->grid.y * s->grid.z;
    if (threads < 1 || threads > MOST_THREADS || blocks < 1 || s->grid.x > 0x7fffffffU ||
        s->grid.y > 65535 || s->grid.z > 65535)
        return "invalid configuration argument";
    if (s->shared_bytes > shared_limit)
        return "invalid argument: too much shared memory";
    if (s->cooperative && blocks > sm_count)
        return "too many blocks in cooperative launch";
    int64_t at_once = s->cooperative ? blocks : 1;
    struct block *b;
    spec = *s;
    block_dim = s->block;
    grid_dim = s->grid;
    failed = false;
    grid_stamp++;
    remember(s->name);
    stacks_need(at_once * threads);
    blocks_need(&b, at_once);
    for (int64_t k = 0; k < blocks && !failed; k += at_once) {
        for (int64_t j = 0; j < at_once; j++) {
            b[j].n_threads = (int)threads;
            block_start(&b[j], at_once > 1 ? j : turn((int)k, (int)blocks));
        }
        run(b, (int)at_once);
    }
    return nullptr;
}

} // namespace emulate

void aster_emulate_order(enum aster_emulate_order o)
{
    emulate::order = o;
}
const char *aster_emulate_error(void)
{
    return emulate::error_text[0] ? emulate::error_text : nullptr;
}
void aster_emulate_forget(void)
{
    emulate::error_text[0] = '\0';
}
int aster_emulate_n_kernels(void)
{
    return emulate::n_kernels;
}
const char *aster_emulate_kernel(int k)
{
    return emulate::kernels[k];
}
