dnl SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([ASTER_CHECK_LIBS], [
PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.0], [], [AC_MSG_ERROR([hwloc (machine topology) is missing. Debian: apt-get install libhwloc-dev])])
PKG_CHECK_MODULES([YAML], [yaml-0.1 >= 0.2], [], [AC_MSG_ERROR([libyaml (pipeline files) is missing. Debian: apt-get install libyaml-dev])])
PKG_CHECK_MODULES([ZLIB], [zlib], [], [AC_MSG_ERROR([zlib (gzip input, npz) is missing. Debian: apt-get install zlib1g-dev])])
PKG_CHECK_MODULES([HDF5], [hdf5 >= 1.10], [], [
    PKG_CHECK_MODULES([HDF5], [hdf5-serial >= 1.10], [], [AC_MSG_ERROR([HDF5 (results, checkpoints) is missing. Debian: apt-get install libhdf5-dev])])])
AC_ARG_WITH([blas], AS_HELP_STRING([--with-blas=MODULE], [pkg-config module of an OpenBLAS with threads (default openblas)]), [], [with_blas=openblas])
PKG_CHECK_MODULES([BLAS], [$with_blas], [], [AC_MSG_ERROR([$with_blas (matrix products) is missing. Debian: apt-get install libopenblas-pthread-dev])])
aster_save_LIBS="$LIBS"; LIBS="$LIBS $BLAS_LIBS"
AC_CHECK_FUNC([openblas_get_parallel], [], [AC_MSG_ERROR([$with_blas is not OpenBLAS: openblas_get_parallel is missing])])
LIBS="$aster_save_LIBS"
AC_CHECK_HEADER([oneapi/dnnl/dnnl.h], [], [AC_MSG_ERROR([oneDNN's header is missing. Debian: apt-get install libdnnl-dev])])
AC_CHECK_LIB([dnnl], [dnnl_sgemm], [DNNL_LIBS=-ldnnl], [AC_MSG_ERROR([oneDNN's library is missing. Debian: apt-get install libdnnl-dev])])
AC_SUBST([DNNL_LIBS])
])
