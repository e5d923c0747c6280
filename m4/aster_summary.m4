dnl SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([ASTER_SUMMARY], [
cat <<SUMMARY

asterism $PACKAGE_VERSION is configured:

  StarPU        $aster_starpu_major.$aster_starpu_minor.$aster_starpu_release  ($aster_starpu_maxcpus CPU workers, $aster_starpu_maxcuda CUDA devices, $aster_starpu_nmaxbufs buffers per task at most)$(test -z "$aster_too_small" || printf '\n                too small: %s' "$aster_too_small")
  hwloc         $($PKG_CONFIG --modversion hwloc)
  HDF5          $($PKG_CONFIG --modversion hdf5 2>/dev/null || $PKG_CONFIG --modversion hdf5-serial)
  libyaml       $($PKG_CONFIG --modversion yaml-0.1)
  OpenBLAS      $($PKG_CONFIG --modversion $with_blas)
  oneDNN        found
  CPU kernels   x86-64, avx2, avx512, avx512bf16 (chosen at start)
  CUDA          $(if test $aster_cuda = yes; then echo "$aster_cuda_version for$aster_cuda_archs"; else echo "not built: CPU workers only ($aster_cuda_why)"; fi)
  simulation    $(if test $aster_starpu_simgrid = yes; then echo "this is the simulating program: it computes nothing, asterism-sim"; else echo "not here: a second build makes asterism-sim (scripts/build-starpu --simgrid, then --with-starpu=DIR)"; fi)
  sanitizers    $enable_sanitize
  debug         $enable_debug

  make, make check, make install; make help lists the rest.
SUMMARY
])
