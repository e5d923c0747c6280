#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The pipeline mlff-md against a golden simulation: every step of every copy, and that a wrong step is noticed.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
shared mlff/golden mlff/weights
md=$shared_data/mlff/golden/md.h5
tool=$(cd "$builddir" && pwd)/tests/md-trajectory
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
# simulate RUN ARGUMENTS...
simulate() {
    run=$1
    shift
    "$ASTERISM" run mlff-md weights="$shared_data/mlff/weights/original.h5" input=start.xyz velocities=file filters=exact \
        steps=40 log_interval=1 frame_interval=1 checkpoint=17 --cpus 1 --quiet --out "$run" "$@" >out 2>&1
}
"$tool" write "$md" start.xyz
report $? "the beginning of the golden simulation as extxyz"
simulate ours precision=f64 batch_atoms=20
report $? "40 steps of it"
line=$("$tool" compare "$md" ours/trajectory.h5 ours/thermo.csv)
report $? "$line"
simulate slower precision=f32 timestep=0.49
"$tool" compare "$md" slower/trajectory.h5 slower/thermo.csv >out 2>&1
test $? -eq 1
report $? "a step that is 2% shorter is noticed"
finish
