dnl SPDX-License-Identifier: BSD-3-Clause
dnl Flags for each instruction set that kernels are compiled for; which one runs is decided at start.
AC_DEFUN([ASTER_CHECK_CPU], [
AC_DEFUN([ASTER_FLAG], [AC_MSG_CHECKING([whether $CC takes $][2])
  aster_save="$CFLAGS"; CFLAGS="$CFLAGS $][2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); $][1=yes], [AC_MSG_RESULT([no]); $][1=no])
  CFLAGS="$aster_save"])
AS_CASE([$host_cpu$(uname -m)], [*x86_64*], [], [AC_MSG_WARN([only x86-64 was tried; the plain kernels are used])])
AC_SUBST([ISA_AVX2_CFLAGS], ["-march=haswell -mtune=haswell"])
AC_SUBST([ISA_AVX512_CFLAGS], ["-march=skylake-avx512 -mprefer-vector-width=512"])
AC_SUBST([ISA_AVX512BF16_CFLAGS], ["-march=cooperlake -mprefer-vector-width=512"])
])
