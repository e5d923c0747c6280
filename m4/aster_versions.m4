dnl SPDX-License-Identifier: BSD-3-Clause
dnl What this build was made with, for `asterism info' and --version.
AC_DEFUN([ASTER_BUILT], [AC_DEFINE_UNQUOTED([ASTER_BUILT_][$1], ["$2"], [version that the program was built with])])
AC_DEFUN([ASTER_VERSIONS], [
ASTER_BUILT([FLAGS], [$aster_opt])
ASTER_BUILT([STARPU], [$aster_starpu_major.$aster_starpu_minor.$aster_starpu_release])
ASTER_BUILT([HWLOC], [$($PKG_CONFIG --modversion hwloc)])
ASTER_BUILT([HDF5], [$($PKG_CONFIG --modversion hdf5 2>/dev/null || $PKG_CONFIG --modversion hdf5-serial)])
ASTER_BUILT([YAML], [$($PKG_CONFIG --modversion yaml-0.1)])
ASTER_BUILT([ZLIB], [$($PKG_CONFIG --modversion zlib)])
ASTER_BUILT([BLAS], [$($PKG_CONFIG --modversion $with_blas)])
AC_COMPUTE_INT([aster_dnnl_major], [DNNL_VERSION_MAJOR], [#include <oneapi/dnnl/dnnl_version.h>], [aster_dnnl_major=0])
AC_COMPUTE_INT([aster_dnnl_minor], [DNNL_VERSION_MINOR], [#include <oneapi/dnnl/dnnl_version.h>], [aster_dnnl_minor=0])
ASTER_BUILT([DNNL], [$aster_dnnl_major.$aster_dnnl_minor])
AC_DEFINE_UNQUOTED([ASTER_STARPU_BUFFERS], [$aster_starpu_nmaxbufs], [buffers of a StarPU task at most])
AC_DEFINE_UNQUOTED([ASTER_STARPU_CPUS], [$aster_starpu_maxcpus], [CPU workers of this StarPU at most])
AC_DEFINE_UNQUOTED([ASTER_STARPU_GPUS], [$aster_starpu_maxcuda], [CUDA devices of this StarPU at most])
AS_IF([test $aster_cuda = yes],
    [ASTER_BUILT([CUDA], [$aster_cuda_version for$aster_cuda_archs])],
    [ASTER_BUILT([CUDA], [not built: $aster_cuda_why])])
])
