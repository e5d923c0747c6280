dnl SPDX-License-Identifier: BSD-3-Clause
dnl StarPU 1.4 (>= 1.4.10) or 1.3 (>= 1.3.10); what it was built with is probed, not assumed.

dnl One constant of starpu.h; its CUDA headers may be needed to read it, and one that simulates renames main.
AC_DEFUN([ASTER_STARPU_CONSTANT], [AC_COMPUTE_INT([$1], [$2], [#include <starpu.h>
#undef main], [$1=0])])

dnl The folder of --with-starpu: pkg-config looks there and nowhere else for StarPU, programs find the library at run time.
AC_DEFUN([ASTER_STARPU_FOLDER], [
AC_ARG_WITH([starpu], AS_HELP_STRING([--with-starpu=DIR], [StarPU installed under DIR, such as scripts/build-starpu prints]))
aster_starpu_rpath=
AS_CASE([$with_starpu],
    [no], [AC_MSG_ERROR([--without-starpu: StarPU schedules every computation and cannot be left out])],
    [''|yes], [with_starpu=],
    [aster_starpu_pc=
     for aster_d in lib lib64 "lib/$(uname -m)-linux-gnu"; do
         AS_IF([test -d "$with_starpu/$aster_d/pkgconfig"],
               [aster_starpu_pc="$aster_starpu_pc$(cd "$with_starpu/$aster_d/pkgconfig" && pwd):"
                aster_starpu_rpath="$aster_starpu_rpath -Wl,-rpath,$(cd "$with_starpu/$aster_d" && pwd)"])
     done
     AS_IF([ls "$with_starpu"/lib*/pkgconfig/starpu-1.[[34]].pc "$with_starpu"/lib/*/pkgconfig/starpu-1.[[34]].pc 2>/dev/null | grep -q .], [],
           [AC_MSG_ERROR([--with-starpu=$with_starpu: no lib/pkgconfig/starpu-1.4.pc under it. Build one: scripts/build-starpu --help])])
     export PKG_CONFIG_PATH="$aster_starpu_pc$PKG_CONFIG_PATH"])
])

dnl StarPU's limits against what this machine has; more workers than a limit would silently stay idle.
AC_DEFUN([ASTER_STARPU_LIMITS], [
AC_ARG_ENABLE([fewer-workers], AS_HELP_STRING([--enable-fewer-workers], [take a StarPU whose limits are below this machine: some cores or GPUs stay idle]),
    [], [enable_fewer_workers=no])
AS_IF([test "$aster_starpu_nmaxbufs" -lt 8], [AC_MSG_ERROR([this StarPU allows $aster_starpu_nmaxbufs buffers per task; 8 are needed (--enable-maxbuffers of its configure)])])
aster_cpus_here="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
aster_gpus_here="$(ls /proc/driver/nvidia/gpus 2>/dev/null | wc -l)"
AS_IF([test $aster_starpu_cuda = no], [aster_gpus_here=0])
aster_too_small=
AS_IF([test "$aster_starpu_maxcpus" -lt "$aster_cpus_here"],
      [aster_too_small="it was built for at most $aster_starpu_maxcpus CPU workers, this machine has $aster_cpus_here CPUs"])
AS_IF([test "$aster_starpu_maxcuda" -lt "$aster_gpus_here"],
      [aster_too_small="${aster_too_small:+$aster_too_small; }it was built for at most $aster_starpu_maxcuda GPUs, this machine has $aster_gpus_here"])
AS_IF([test $aster_starpu_cuda = yes], [aster_starpu_kind=cuda], [aster_starpu_kind=cpu])
AS_IF([test -n "$aster_too_small" && test "$enable_fewer_workers" = no && test $aster_starpu_simgrid = no], [AC_MSG_ERROR([this StarPU is too small for this machine: $aster_too_small.
Build a larger one and give it to configure:  ./configure --with-starpu="\$(scripts/build-starpu --$aster_starpu_kind)"
or say --enable-fewer-workers to leave the rest of the machine idle.])])
])

AC_DEFUN([ASTER_CHECK_STARPU], [
ASTER_STARPU_FOLDER
PKG_CHECK_MODULES([STARPU], [starpu-1.4 >= 1.4.10], [],
    [PKG_CHECK_MODULES([STARPU], [starpu-1.3 >= 1.3.10], [],
        [AC_MSG_ERROR([StarPU 1.4 (from 1.4.10) or 1.3.10 was not found by pkg-config.
It schedules every computation. Debian: apt-get install libstarpu-dev; elsewhere scripts/build-starpu and --with-starpu=DIR.])])])
AC_MSG_CHECKING([whether this StarPU has CUDA])
aster_starpu_conf="$(for aster_f in $(echo "$STARPU_CFLAGS" | tr ' ' '\n' | sed -n 's/^-I//p') /usr/include; do ls "$aster_f/starpu_config.h" 2>/dev/null; done | head -n 1)"
AS_IF([test -z "$aster_starpu_conf"], [AC_MSG_ERROR([starpu_config.h is in none of the folders that pkg-config names ($STARPU_CFLAGS)])])
AS_IF([grep -q "^#define STARPU_USE_CUDA 1" "$aster_starpu_conf"], [aster_starpu_cuda=yes], [aster_starpu_cuda=no])
AS_IF([grep -q "^#define STARPU_SIMGRID 1" "$aster_starpu_conf"], [aster_starpu_simgrid=yes], [aster_starpu_simgrid=no])
AC_MSG_RESULT([$aster_starpu_cuda])
])

dnl After ASTER_CHECK_CUDA: starpu.h of a StarPU with CUDA includes CUDA's headers.
AC_DEFUN([ASTER_PROBE_STARPU], [
STARPU_CFLAGS="$(echo "$STARPU_CFLAGS" | sed 's/-I *\//-isystem \//g')"
STARPU_LIBS="$aster_starpu_rpath $STARPU_LIBS"
aster_save_CPPFLAGS="$CPPFLAGS"; CPPFLAGS="$CPPFLAGS $STARPU_CFLAGS $CUDA_CPPFLAGS"
ASTER_STARPU_CONSTANT([aster_starpu_major], [STARPU_MAJOR_VERSION])
ASTER_STARPU_CONSTANT([aster_starpu_minor], [STARPU_MINOR_VERSION])
ASTER_STARPU_CONSTANT([aster_starpu_release], [STARPU_RELEASE_VERSION])
ASTER_STARPU_CONSTANT([aster_starpu_nmaxbufs], [STARPU_NMAXBUFS])
ASTER_STARPU_CONSTANT([aster_starpu_maxcpus], [STARPU_MAXCPUS])
ASTER_STARPU_CONSTANT([aster_starpu_maxcuda], [STARPU_MAXCUDADEVS])
CPPFLAGS="$aster_save_CPPFLAGS"
AS_IF([test "$aster_starpu_major" = 0], [AC_MSG_ERROR([starpu.h does not compile (see config.log)])])
AM_CONDITIONAL([SIMULATE], [test $aster_starpu_simgrid = yes])
AS_IF([test $aster_starpu_simgrid = yes], [STARPU_CFLAGS="$STARPU_CFLAGS -DASTER_SIM=1"])
ASTER_STARPU_LIMITS
])
