dnl SPDX-License-Identifier: BSD-3-Clause
dnl StarPU 1.4 (>= 1.4.10) or 1.3 (>= 1.3.10); what it was built with is probed, not assumed.
AC_DEFUN([ASTER_CHECK_STARPU], [
AC_ARG_WITH([starpu], AS_HELP_STRING([--with-starpu=DIR], [StarPU installed under DIR]))
AS_IF([test "x$with_starpu" != x && test "x$with_starpu" != xyes],
      [export PKG_CONFIG_PATH="$with_starpu/lib/pkgconfig:$with_starpu/lib64/pkgconfig:$PKG_CONFIG_PATH"])
PKG_CHECK_MODULES([STARPU], [starpu-1.4 >= 1.4.10], [],
    [PKG_CHECK_MODULES([STARPU], [starpu-1.3 >= 1.3.10], [],
        [AC_MSG_ERROR([StarPU 1.4 (from 1.4.10) or 1.3.10 was not found by pkg-config.
It schedules every computation. Debian: apt-get install libstarpu-dev; elsewhere --with-starpu=DIR.])])])
aster_save_CPPFLAGS="$CPPFLAGS"; CPPFLAGS="$CPPFLAGS $STARPU_CFLAGS"
AC_COMPUTE_INT([aster_starpu_major], [STARPU_MAJOR_VERSION], [#include <starpu.h>])
AC_COMPUTE_INT([aster_starpu_minor], [STARPU_MINOR_VERSION], [#include <starpu.h>])
AC_COMPUTE_INT([aster_starpu_release], [STARPU_RELEASE_VERSION], [#include <starpu.h>])
AC_COMPUTE_INT([aster_starpu_nmaxbufs], [STARPU_NMAXBUFS], [#include <starpu.h>])
AC_COMPUTE_INT([aster_starpu_maxcpus], [STARPU_MAXCPUS], [#include <starpu.h>])
AC_COMPUTE_INT([aster_starpu_maxcuda], [STARPU_MAXCUDADEVS], [#include <starpu.h>], [aster_starpu_maxcuda=0])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <starpu.h>
#ifndef STARPU_USE_CUDA
#error no
#endif]])], [aster_starpu_cuda=yes], [aster_starpu_cuda=no])
CPPFLAGS="$aster_save_CPPFLAGS"
AS_IF([test "$aster_starpu_nmaxbufs" -lt 8], [AC_MSG_ERROR([this StarPU allows $aster_starpu_nmaxbufs buffers per task; 8 are needed])])
])
