/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the emulation of CUDA catches what it says it does, and lets the right version of
 * each kernel pass. */
#include "cuda/kernel.h"
extern "C" {
#include "gpu/gpu.h"
}
#include "lib/tap.h"

enum { N = 64 };
static int cells[4096];
static float reals[4096];

static view<int> ints(int64_t n)
{
    return view_new<int>(cells, n, "ints");
}

/* ---- barriers and shared memory */
template <bool WITH_BARRIER>
__global__ void reverse(view<int> y)
{
    ASTER_SHARED(int, line, N);
    line[threadIdx.x] = (int)threadIdx.x;
    if (WITH_BARRIER)
        __syncthreads();
    y[threadIdx.x] = line[N - 1 - threadIdx.x];
}
template <bool WITH_BARRIER>
__global__ void write_after_read(view<int> y)
{
    ASTER_SHARED(int, line, N);
    line[threadIdx.x] = (int)threadIdx.x;
    __syncthreads();
    const int v = line[N - 1 - threadIdx.x];
    if (WITH_BARRIER)
        __syncthreads();
    line[threadIdx.x] = v;
    y[threadIdx.x] = line[threadIdx.x];
}
template <int SHIFT>
__global__ void shared_index(view<int> y)
{
    ASTER_SHARED(int, line, N);
    line[(int)threadIdx.x + SHIFT] = 1;
    y[threadIdx.x] = line[(int)threadIdx.x + SHIFT];
}
template <int LAST>
__global__ void unwritten(view<int> y)
{
    ASTER_SHARED(int, line, N);
    if (threadIdx.x < LAST)
        line[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = line[threadIdx.x];
}
__global__ void dynamic_shared(view<int> y, int reach)
{
    ASTER_SHARED_DYNAMIC(int, line);
    const shared<int> upper = line + N;
    upper[threadIdx.x] = (int)threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = upper[(threadIdx.x + reach) % (N + reach)];
}
template <bool DIVERGENT>
__global__ void leave_early(view<int> y)
{
    if (DIVERGENT && threadIdx.x >= N / 2)
        return;
    __syncthreads();
    y[threadIdx.x] = 1;
}
template <bool DIVERGENT>
__global__ void two_barriers(view<int> y)
{
    if (DIVERGENT && threadIdx.x % 2)
        __syncthreads();
    else
        __syncthreads();
    y[threadIdx.x] = 1;
}

/* ---- device memory */
__global__ void global_index(view<int> y, int shift)
{
    y[(int)threadIdx.x + shift] = 1;
}
__global__ void read_index(view<const int> x, view<int> y, int shift)
{
    y[threadIdx.x] = x[(int)threadIdx.x + shift];
}
__global__ void same_cell(view<int> y, bool same)
{
    if (threadIdx.x == 0)
        y[same ? 0 : blockIdx.x] = 1;
}
template <bool WITH_BARRIER>
__global__ void neighbour_block(view<int> y, view<int> z)
{
    y[thread_of_grid()] = 1;
    if (WITH_BARRIER)
        grid_sync();
    z[thread_of_grid()] = y[(thread_of_grid() + N) % threads_of_grid()];
}
__global__ void some_reach(view<int> y)
{
    if (blockIdx.x > 0)
        grid_sync();
    y[thread_of_grid()] = 1;
}
__global__ void pairs(view<float> x, int shift)
{
    pack<float, 4> p = load_pack<4>(x, (int64_t)threadIdx.x * 4 + shift);
    p.v[0] += 1;
    store_pack<4>(x, (int64_t)threadIdx.x * 4 + shift, p);
}

/* ---- warps */
template <bool WITH_BARRIER, int OTHER>
__global__ void through_warp(view<int> y)
{
    ASTER_SHARED(int, line, N);
    line[threadIdx.x] = (int)threadIdx.x;
    if (WITH_BARRIER)
        __syncwarp();
    y[threadIdx.x] = line[threadIdx.x ^ OTHER];
}
__global__ void add_up(view<int> y)
{
    const int sum = warp_sum((int)threadIdx.x);
    const int down = __shfl_down_sync(0xffffffffU, (int)threadIdx.x, 1),
              first = __shfl_sync(0xffffffffU, sum, 0);
    y[threadIdx.x] = first + down;
}
__global__ void lanes_gone(view<int> y, unsigned from)
{
    if (threadIdx.x >= from)
        return;
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffU, (int)threadIdx.x, 1);
}
__global__ void lanes_apart(view<int> y, bool apart)
{
    int v;
    if (apart && threadIdx.x % 2)
        v = __shfl_xor_sync(0xffffffffU, 1, 1);
    else
        v = __shfl_xor_sync(0xffffffffU, 1, 1);
    y[threadIdx.x] = v;
}
__global__ void part_of_warp(view<int> y)
{
    y[threadIdx.x] = __shfl_xor_sync(0xffffU, 1, 1);
}
__global__ void votes(view<int> y)
{
    y[threadIdx.x] = __popc(__ballot_sync(0xffffffffU, threadIdx.x % 3 == 0));
}

/* ---- atomics */
__global__ void count_ints(view<int> y)
{
    atomic_add(y, 0, 2);
}
__global__ void count_reals(view<float> y)
{
    atomic_add(y, 0, 0.5F);
}
__global__ void count_shared(view<int> y)
{
    ASTER_SHARED(int, sum, 1);
    if (threadIdx.x == 0)
        sum[0] = 0;
    __syncthreads();
    atomic_add(sum, 0, 1);
    __syncthreads();
    y[threadIdx.x] = sum[0];
}
__global__ void plain_and_atomic(view<int> y)
{
    if (threadIdx.x == 0)
        y[0] = 1;
    else
        atomic_exchange(y, 0, 2);
}

/* In every order of threads: passes, or is caught with these words */
static int attempt;
static bool as_expected(const char *what, const char *const *words, int n_words)
{
    const char *error = gpu_error();
    bool good = n_words == 0 ? !error : error != NULL;
    for (int k = 0; good && k < n_words; k++)
        good = strstr(error, words[k]) != NULL;
    if (!good || attempt % 3 == 2)
        tap_ok(good, "%s%s%s", what, n_words ? " is caught" : " passes",
               good ? "" : "; but not in every order");
    if (!good || (n_words && attempt % 3 == 2))
        tap_note("%s", error ? error : "nothing was caught");
    return good;
}
#define IN_ALL_ORDERS for (attempt = 0; gpu_begin(attempt), attempt < 3; attempt++)
#define PASSES(what)  as_expected(what, NULL, 0)
#define CAUGHT(what, ...)                                                                          \
    do {                                                                                           \
        static const char *const words[] = {__VA_ARGS__};                                          \
        as_expected(what, words, (int)(sizeof words / sizeof *words));                             \
    } while (0)

static void shared_memory(struct aster_device *d)
{
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((reverse<true>), dim3(3), N, 0, d, view_new<int>(cells, N, "ints"));
        CAUGHT("what two blocks write", "reverse", "ints[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((reverse<true>), dim3(1), N, 0, d, ints(N));
        PASSES("reversal with a barrier");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((reverse<false>), dim3(1), N, 0, d, ints(N));
        CAUGHT("a missing barrier", "reverse", "block (0,0,0), thread (", "shared line[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((write_after_read<true>), dim3(1), N, 0, d, ints(N));
        PASSES("writing behind a barrier what others have read");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((write_after_read<false>), dim3(1), N, 0, d, ints(N));
        CAUGHT("writing what others may not have read", "write_after_read", "no barrier",
               "shared line[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((shared_index<0>), dim3(1), N, 0, d, ints(N));
        PASSES("the right index");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((shared_index<1>), dim3(1), N, 0, d, ints(N));
        CAUGHT("an index behind a shared array", "shared_index", "thread (63,0,0)", "line[64]",
               "64 elements");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((shared_index<-1>), dim3(1), N, 0, d, ints(N));
        CAUGHT("an index before a shared array", "thread (0,0,0)", "line[-1]");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((unwritten<N>), dim3(1), N, 0, d, ints(N));
        PASSES("reading what was written");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((unwritten<N - 1>), dim3(1), N, 0, d, ints(N));
        CAUGHT("reading shared memory that nobody wrote", "unwritten", "thread (63,0,0)",
               "line[63]", "nobody has written");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(dynamic_shared, dim3(1), N, 2 * N * sizeof(int), d, ints(N), 0);
        PASSES("dynamic shared memory");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(dynamic_shared, dim3(1), N, 2 * N * sizeof(int), d, ints(N), 1);
        CAUGHT("an index behind dynamic shared memory", "dynamic_shared", "line[128]");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((leave_early<false>), dim3(2), N, 0, d, view_new<int>(cells, N, "ints"));
        CAUGHT("two blocks on one array", "leave_early", "ints[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((leave_early<true>), dim3(1), N, 0, d, ints(N));
        CAUGHT("a barrier that half of the threads do not reach", "leave_early", "32 exited");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((two_barriers<true>), dim3(1), N, 0, d, ints(N));
        CAUGHT("threads at different barriers", "two_barriers", "waits at the barrier of line");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((two_barriers<false>), dim3(1), N, 0, d, ints(N));
        PASSES("threads at one barrier");
    }
}

static void device_memory(struct aster_device *d)
{
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(global_index, dim3(1), N, 0, d, ints(N), 0);
        ASTER_LAUNCH(read_index, dim3(1), N, 0, d, ints(N), view_new<int>(cells + N, N, "y"), 0);
        PASSES("indices inside of tensors");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(global_index, dim3(1), N, 0, d, ints(N), 1);
        CAUGHT("an index behind a tensor", "global_index", "thread (63,0,0)", "write of ints[64]");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(read_index, dim3(1), N, 0, d, ints(N), view_new<int>(cells + N, N, "y"), -1);
        CAUGHT("an index before a tensor", "read_index", "thread (0,0,0)", "read of ints[-1]");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(same_cell, dim3(5), N, 0, d, ints(N), true);
        CAUGHT("blocks that write the same element", "same_cell", "ints[0]", "of block");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(same_cell, dim3(5), N, 0, d, ints(N), false);
        PASSES("blocks that write their own elements");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH_TOGETHER((neighbour_block<true>), dim3(4), N, 0, d, ints(4 * N),
                              view_new<int>(cells + 4 * N, 4 * N, "z"));
        PASSES("reading another block's result behind a barrier of the grid");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH_TOGETHER((neighbour_block<false>), dim3(4), N, 0, d, ints(4 * N),
                              view_new<int>(cells + 4 * N, 4 * N, "z"));
        CAUGHT("reading another block's result at once", "neighbour_block", "ints[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((neighbour_block<true>), dim3(4), N, 0, d, ints(4 * N),
                     view_new<int>(cells + 4 * N, 4 * N, "z"));
        CAUGHT("a barrier of the grid in a common launch", "neighbour_block", "not cooperative");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH_TOGETHER(some_reach, dim3(4), N, 0, d, ints(4 * N));
        CAUGHT("a barrier of the grid that one block does not reach", "some_reach",
               "barrier of the grid");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(pairs, dim3(1), N, 0, d, view_new<float>(reals, 4 * N, "reals"), 0);
        PASSES("aligned vectors");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(pairs, dim3(1), N, 0, d, view_new<float>(reals, 4 * N + 4, "reals"), 1);
        CAUGHT("a vector that is not aligned", "pairs", "16 bytes at reals[", "not aligned");
    }
}

static void warps(struct aster_device *d)
{
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((through_warp<true, 1>), dim3(1), N, 0, d, ints(N));
        PASSES("an exchange within a warp behind __syncwarp");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((through_warp<false, 1>), dim3(1), N, 0, d, ints(N));
        CAUGHT("an exchange within a warp at once", "through_warp", "shared line[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH((through_warp<true, 32>), dim3(1), N, 0, d, ints(N));
        CAUGHT("an exchange between warps behind __syncwarp", "through_warp", "line[");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(add_up, dim3(1), N, 0, d, ints(N));
        PASSES("shuffles");
    }
    bool right = true;
    for (int k = 0; k < N; k++)
        right = right && cells[k] == (k < 32 ? 496 : 1520) + (k % 32 == 31 ? k : k + 1);
    tap_ok(right, "shuffles bring the values of the right lanes");
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(lanes_gone, dim3(1), N, 0, d, ints(N), 32);
        PASSES("a shuffle after another warp has exited");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(lanes_gone, dim3(1), N, 0, d, ints(N), 40);
        CAUGHT("a shuffle with lanes that have exited", "lanes_gone", "exited");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(lanes_gone, dim3(1), 40, 0, d, ints(N), 40);
        CAUGHT("a shuffle in a warp of eight threads", "lanes_gone", "8 threads");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(lanes_apart, dim3(1), N, 0, d, ints(N), true);
        CAUGHT("lanes at different shuffles", "lanes_apart", "line");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(lanes_apart, dim3(1), N, 0, d, ints(N), false);
        PASSES("lanes at one shuffle");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(part_of_warp, dim3(1), N, 0, d, ints(N));
        CAUGHT("a mask that leaves lanes out", "part_of_warp", "0000ffff");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(votes, dim3(1), N, 0, d, ints(N));
        PASSES("a ballot");
    }
    tap_ok(cells[0] == 11 && cells[N - 1] == 11, "ballots count: %d and %d", cells[0],
           cells[N - 1]);
}

static void atomics(struct aster_device *d)
{
    IN_ALL_ORDERS
    {
        cells[0] = 0;
        ASTER_LAUNCH(count_ints, dim3(7), N, 0, d, ints(N));
        PASSES("atomic addition of integers");
        tap_ok(cells[0] == 7 * N * 2, "their sum is %d", cells[0]);
    }
    IN_ALL_ORDERS
    {
        reals[0] = 0;
        ASTER_LAUNCH(count_reals, dim3(7), N, 0, d, view_new<float>(reals, N, "reals"));
        PASSES("atomic addition of floats");
        tap_ok(reals[0] == 7 * N * 0.5F, "their sum is %g", (double)reals[0]);
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(count_shared, dim3(1), N, 0, d, ints(N));
        PASSES("atomic addition in shared memory");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(plain_and_atomic, dim3(1), N, 0, d, ints(N));
        CAUGHT("a plain write beside an atomic one", "plain_and_atomic", "ints[0]");
    }
}

static void launches(struct aster_device *d)
{
    d->op = "selftest";
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(votes, dim3(1), 2048, 0, d, ints(N));
        CAUGHT("a launch of 2048 threads", "selftest, kernel votes", "invalid configuration");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(votes, dim3(0), N, 0, d, ints(N));
        CAUGHT("a launch of no blocks", "selftest, kernel votes", "invalid configuration");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH(dynamic_shared, dim3(1), N, (size_t)d->shared_limit + 4, d, ints(N), 0);
        CAUGHT("too much shared memory", "selftest, kernel dynamic_shared", "shared memory");
    }
    IN_ALL_ORDERS
    {
        ASTER_LAUNCH_TOGETHER(some_reach, dim3((unsigned)d->sm_count + 1), N, 0, d, ints(4096));
        CAUGHT("more blocks together than the card holds", "selftest, kernel some_reach",
               "too many blocks");
    }
    gpu_begin(0);
    aster_device_fail(d, "one", "first");
    aster_device_fail(d, "two", "second");
    tap_ok(strstr(d->error, "first") && !strstr(d->error, "second"), "the first failure stays: %s",
           d->error);
}

int main(void)
{
    struct aster_device *d = gpu_device();
    shared_memory(d);
    device_memory(d);
    warps(d);
    atomics(d);
    launches(d);
    return tap_done();
}
