dnl SPDX-License-Identifier: BSD-3-Clause
dnl CUDA: on by itself when nvcc and a StarPU with CUDA are there; --with-cuda makes a missing part an error.

AC_DEFUN([ASTER_FIND_NVCC], [
aster_nvcc=
AS_CASE([$with_cuda],
    [auto|yes|no],
        [AC_PATH_PROG([aster_nvcc_path], [nvcc])
         dnl nvcc may be a link or a script that starts it: it says itself where it lies
         AS_IF([test -n "$aster_nvcc_path"],
             [aster_top=$("$aster_nvcc_path" --dryrun -x cu -c /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')
              AS_IF([test -n "$aster_top" && test -d "$aster_top"], [], [aster_top=$(dirname "$(realpath "$aster_nvcc_path")")/..])
              aster_top=$(realpath "$aster_top")])
         for aster_d in "$aster_top" "$CUDA_HOME" "$CUDA_PATH" /usr/local/cuda; do
             AS_IF([test -z "$aster_nvcc" && test -n "$aster_d" && test -x "$aster_d/bin/nvcc"], [aster_cuda_dir="$aster_d"; aster_nvcc="$aster_d/bin/nvcc"])
         done],
    [aster_cuda_dir="$with_cuda"; aster_nvcc="$with_cuda/bin/nvcc"
     AS_IF([test -x "$aster_nvcc"], [], [AC_MSG_ERROR([--with-cuda=$with_cuda: there is no $aster_nvcc; DIR is the folder of the CUDA toolkit that holds bin/nvcc])])])
])

dnl The architectures of GPU code that this nvcc knows among those asked for, and its intermediate code for newer ones.
AC_DEFUN([ASTER_CUDA_ARCHITECTURES], [
AC_ARG_WITH([cuda-arch], AS_HELP_STRING([--with-cuda-arch=LIST], [GPU architectures to compile for (default "80 90 100": A100, H100/H200, B200; the last one also as PTX for newer GPUs)]),
    [], [with_cuda_arch="80 90 100"])
AC_MSG_CHECKING([which of sm_$(echo $with_cuda_arch | sed 's/ / sm_/g') $aster_nvcc compiles for])
aster_known=" $("$aster_nvcc" --list-gpu-arch 2>/dev/null | sed 's/compute_//' | tr '\n' ' ')"
aster_cuda_archs= aster_gencode= aster_last=
for aster_a in $with_cuda_arch; do
    AS_CASE(["$aster_known"], [*" $aster_a "*],
        [aster_cuda_archs="$aster_cuda_archs sm_$aster_a"; aster_gencode="$aster_gencode -gencode arch=compute_$aster_a,code=sm_$aster_a"; aster_last=$aster_a])
done
AC_MSG_RESULT([${aster_cuda_archs:-none}])
AS_IF([test -n "$aster_last"], [aster_gencode="$aster_gencode -gencode arch=compute_$aster_last,code=compute_$aster_last"; aster_cuda_archs="$aster_cuda_archs PTX"])
])

dnl A file of GPU code goes through nvcc and the host compiler that it picks.
AC_DEFUN([ASTER_TRY_NVCC], [
AC_MSG_CHECKING([whether $aster_nvcc compiles])
cat >conftest.cu <<CUDA
__global__ void fill(float *x) { x[[threadIdx.x]] = 1; }
CUDA
AS_IF([$aster_nvcc $aster_gencode -std=c++17 -c conftest.cu -o conftest.o >&AS_MESSAGE_LOG_FD 2>&1],
      [AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no]); aster_cuda_why="nvcc cannot compile (see config.log)"])
rm -f conftest.cu conftest.o
])

AC_DEFUN([ASTER_CHECK_CUDA], [
AC_ARG_WITH([cuda], AS_HELP_STRING([--with-cuda@<:@=DIR@:>@], [GPU workers: yes, no, or the toolkit's folder (default: when nvcc and a StarPU with CUDA are there)]), [], [with_cuda=auto])
aster_cuda_why= aster_cuda_dir= aster_cuda_archs=
ASTER_FIND_NVCC
AS_IF([test -n "$aster_nvcc"],
      [aster_cuda_version="$("$aster_nvcc" --version | sed -n 's/.*release \(@<:@0-9.@:>@*\).*/\1/p')"
       aster_cuda_lib="$aster_cuda_dir/lib64"; AS_IF([test -d "$aster_cuda_lib"], [], [aster_cuda_lib="$aster_cuda_dir/lib"])])
AS_IF([test "$with_cuda" = no], [aster_cuda_why="left out by --without-cuda"],
      [test $aster_starpu_simgrid = yes], [aster_cuda_why="this StarPU simulates; no kernel runs"],
      [test $aster_starpu_cuda = no], [aster_cuda_why="this StarPU has no CUDA; build one: scripts/build-starpu --cuda, then --with-starpu=DIR"],
      [test -z "$aster_nvcc"], [aster_cuda_why="nvcc was not found in PATH, CUDA_HOME or /usr/local/cuda; install the CUDA toolkit, or give --with-cuda=DIR"],
      [ASTER_CUDA_ARCHITECTURES
       AS_IF([test -z "$aster_last"], [aster_cuda_why="nvcc $aster_cuda_version compiles for none of: $with_cuda_arch"], [ASTER_TRY_NVCC])])
AS_IF([test -z "$aster_cuda_why"], [aster_cuda=yes], [aster_cuda=no])
AS_IF([test $aster_cuda = no], [AS_CASE([$with_cuda], [auto|no], [], [AC_MSG_ERROR([--with-cuda=$with_cuda: $aster_cuda_why])])])
AS_IF([test $aster_starpu_cuda = yes && test -z "$aster_nvcc"],
      [AC_MSG_ERROR([this StarPU was built with CUDA and its header needs CUDA's: install the CUDA toolkit or give --with-cuda=DIR; or use another StarPU])])
CUDA_CPPFLAGS= CUDA_LIBS=
AS_IF([test $aster_starpu_cuda = yes], [CUDA_CPPFLAGS="-isystem $aster_cuda_dir/include -DDISABLE_CUSPARSE_DEPRECATED"
    CUDA_LIBS="-L$aster_cuda_lib -Wl,-rpath,$aster_cuda_lib -Wl,-rpath-link,$aster_cuda_lib"
    dnl without a driver libcuda is only there as a stub, good for linking
    AS_IF([ldconfig -p 2>/dev/null | grep -q 'libcuda\.so'], [], [test -d "$aster_cuda_lib/stubs"], [CUDA_LIBS="$CUDA_LIBS -L$aster_cuda_lib/stubs -Wl,-rpath-link,$aster_cuda_lib/stubs"])])
AS_IF([test $aster_cuda = yes], [CUDA_CPPFLAGS="$CUDA_CPPFLAGS -DASTER_HAVE_CUDA=1"; CUDA_LIBS="$CUDA_LIBS -lcudart -lstdc++"])
AC_SUBST([NVCC], [$aster_nvcc])
AC_SUBST([NVCCFLAGS], ["$aster_gencode -std=c++17 -O3 --expt-relaxed-constexpr -Xcompiler -fPIC,-fvisibility=hidden"])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_LIBS])
AM_CONDITIONAL([HAVE_CUDA], [test $aster_cuda = yes])
])
