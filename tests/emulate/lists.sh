#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Evaluations and dynamics with neighbours found on an emulated GPU: the bytes of runs without one.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1
[ -x "$bin/asterism-lists" ]
ok $? "the program with an emulated GPU is built"
host=$ASTERISM
"$bin/random-forcefield" field.h5 cutoff=5 seed=4
ok $? "a force field is drawn"
awk 'BEGIN {
    srand(5)
    split("H C N O", symbol, " ")
    for (m = 1; m <= 14; m++) {
        atoms = m == 5 ? 230 : 1 + int(rand() * 12)
        cell = m == 5 ? "Lattice=\"20 0 0 1 21 0 0 0 22\" pbc=\"T T T\" " : m % 3 == 0 ? "Lattice=\"6 0 0 0.5 7 0 0 0 8\" pbc=\"T T F\" " : ""
        printf "%d\n%sProperties=species:S:1:pos:R:3 name=\"m%d\"\n", atoms, cell, m
        for (i = 0; i < atoms; i++)
            printf "%s %.6f %.6f %.6f\n", symbol[1 + int(rand() * 4)], 1.4 * (i % 7) + rand() * 0.3,
                1.4 * (int(i / 7) % 7) + rand() * 0.3, 1.4 * int(i / 49) + rand() * 0.3
    }
    printf "2\nLattice=\"0 0 0 1 5 0 0 0 8\" pbc=\"T T T\" Properties=species:S:1:pos:R:3 name=\"flat\"\nH 0 0 0\nH 1 0 0\n"
}' >input.xyz

# run PROGRAM RUN PIPELINE ARGUMENTS...: by this program, with one structure that fails
run() {
    ASTERISM=$1
    asterism run "$src/pipelines/$3.yaml" weights=field.h5 input=input.xyz --quiet --cpus 1 --out "$2" "${@:4}"
    [ "$rc" = 2 ] || sed 's/^/# /' "$err"
    [ "$rc" = 2 ]
    ok $? "$3 by ${1##*/}"
}

# same FIRST SECOND FILE...: of two runs
same() {
    local bad=0 file
    for file in "${@:3}"; do
        [ -s "$1/$file" ] && cmp "$1/$file" "$2/$file" || bad=1
    done
    ok $bad "$1 and $2: the same bytes"
}

run "$host" evaluated mlff-evaluate
run "$bin/asterism-lists" evaluated-gpu mlff-evaluate
grep -q 'emulated kernels: [1-9].*nothing was caught' "$err"
ok $? "kernels of neighbours ran, and nothing was caught"
same evaluated evaluated-gpu energies.csv evaluated.extxyz failed_items.tsv
run "$host" moved mlff-md steps=4 log_interval=1 frame_interval=2 checkpoint=3 temperature=100
run "$bin/asterism-lists" moved-gpu mlff-md steps=4 log_interval=1 frame_interval=2 checkpoint=3 temperature=100
grep -q 'emulated kernels: [1-9].*nothing was caught' "$err"
ok $? "kernels of neighbours ran, and nothing was caught"
same moved moved-gpu thermo.csv trajectory.extxyz final.extxyz copies.csv failed_items.tsv
finish
