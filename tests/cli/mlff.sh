#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mlff-evaluate with a drawn force field: the same bytes whatever computes them, kills, faults by item, mistakes; with
# the shared data also the published numbers.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh"
. "$src/tests/lib/molecules.sh"
per_row=4
shared=$(cd "${ASTERISM_TEST_DATA:-$src/../shared/data}" 2>/dev/null && pwd)
cd "$work" || exit 1

# refused TEXT NAME ARGUMENTS...: exit status 1, the text in the message, no folder
refused() {
    local text=$1 name=$2
    shift 2
    asterism run mlff-evaluate "$@" --out refused
    [ "$rc" = 1 ] && grep -qF -- "$text" "$err" && [ ! -e refused ]
    ok $? "$name"
    rm -rf refused
}

evaluate() { # RUN STATUS NAME ARGUMENTS...
    local run=$1 status=$2 name=$3
    shift 3
    asterism run mlff-evaluate weights=field.h5 --quiet --out "$run" "$@"
    [ "$rc" = "$status" ] || sed 's/^/# /' "$err"
    [ "$rc" = "$status" ]
    ok $? "$name"
}

"$bin/random-forcefield" field.h5 && "$bin/random-forcefield" turned.h5 mixing=isotropic
ok $? "force fields are drawn"
molecules 60 40 1 >input.xyz
molecules 1 700 7 | sed 's/"m7_1"/"large"/' >>input.xyz
printf '1\nProperties=species:S:1:pos:R:3 name="alone"\nO 1 2 3\n' >>input.xyz
printf '2\nLattice="3 0 0 0.5 4 0 0 0 5" pbc="T T T" Properties=species:S:1:pos:R:3 name="crystal"\nC 0 0 0\nO 1.2 0 0\n' >>input.xyz

evaluate one 0 "63 structures" input=input.xyz atomic_energies=true
[ "$(wc -l <one/energies.csv)" = 64 ] && grep -q '^62,alone,1,done,' one/energies.csv
ok $? "energies.csv has a line for each"
[ "$(grep -c '^Properties\|^Lattice' one/evaluated.extxyz)" = 63 ]
ok $? "evaluated.extxyz has all frames"
sum=$(awk -F, 'NR > 1 && $8 != "" { n++ } END { print n }' one/energies.csv)
[ "$sum" = 1 ]
ok $? "stress: of the crystal alone"

evaluate two 0 "small parts" input=input.xyz shard_size=7 atomic_energies=true --cpus 2
evaluate three 0 "small batches, one worker" input=input.xyz batch_atoms=1 shard_size=7 atomic_energies=true --cpus 1
evaluate small 2 "too little memory for the largest" input=input.xyz shard_size=7 filters=exact --cpus 1 --memory 24M
grep -q '^large.*neighbours need [0-9]* bytes, and a task may have [0-9]*$' small/failed_items.tsv
ok $? "it is named, with the bytes it needs"
evaluate four 0 "memory for it and not much more" input=input.xyz shard_size=7 atomic_energies=true --cpus 1 --memory 150M
gzip -c input.xyz >packed.xyz.gz
evaluate five 0 "gzip" input=packed.xyz.gz atomic_energies=true
"$ASTERISM" run mlff-evaluate weights=field.h5 input=- atomic_energies=true --quiet --out six <input.xyz >"$out" 2>"$err"
rc=$?
[ "$rc" = 0 ]
ok $? "standard input"
evaluate seven 0 "what one run wrote as HDF5" input=one/results.h5 atomic_energies=true
same_bytes energies.csv one two three four five six
same_bytes evaluated.extxyz one two three four five six seven
cut -d, -f 1-13 one/energies.csv >want && cut -d, -f 1-13 seven/energies.csv | cmp -s - want
ok $? "HDF5 in, the same energies"
grep -q 'against the energies of the input: "RMSE 0 eV, MAE 0 eV' seven/run.yaml
ok $? "labels that were computed are met exactly"
evaluate f64 0 "in double" input=input.xyz precision=f64
paste -d, one/energies.csv f64/energies.csv | awk -F, 'NR > 1 { d = $5 - $21; if (d < 0) d = -d; s = $21 < 0 ? -$21 : $21; if (d > 5e-5 + 5e-6 * s) bad = 1 } END { exit bad }'
ok $? "single precision near double"

evaluate exact 0 "without tables" input=input.xyz filters=exact
paste -d, one/energies.csv exact/energies.csv | awk -F, 'NR > 1 { d = $5 - $21; if (d < 0) d = -d; s = $21 < 0 ? -$21 : $21; if (d > 5e-5 + 5e-6 * s) bad = 1; if (d) n++ } END { exit bad || !n }'
ok $? "tables: other bits, the same energies"

# a turn about z: a drawn field with its matrices gives other energies, an isotropic one the same
awk 'NF == 4 { printf "%s %.9f %.9f %.9f\n", $1, 0.8 * $2 - 0.6 * $3, 0.6 * $2 + 0.8 * $3, $4; next } { print }' input.xyz | sed '/Lattice/,$d' | sed '$d' >turned.xyz
asterism run mlff-evaluate weights=turned.h5 precision=f64 input=input.xyz --quiet --out straight && asterism run mlff-evaluate weights=turned.h5 precision=f64 input=turned.xyz --quiet --out around
paste -d, straight/energies.csv around/energies.csv | awk -F, 'NR > 1 && NR < 60 { d = $5 - $21; if (d * d > 1e-14) bad = 1; n++ } END { exit bad || n < 50 }'
ok $? "isotropic mixing: a turned molecule has its energy"
evaluate compat 0 "turned, with matrices" input=turned.xyz precision=f64
paste -d, f64/energies.csv compat/energies.csv | awk -F, 'NR > 1 && NR < 60 { d = $5 - $21; if (d * d > 1e-8) n++ } END { exit n < 40 }'
ok $? "matrices: it has another"

# faults by item
cat >faults.xyz <<'END'
3
Properties=species:S:1:pos:R:3 name="good"
O 0 0 0
H 0.96 0 0
H -0.2 0.93 0
2
Properties=species:S:1:pos:R:3 name="element"
Xx 0 0 0
H 1 0 0
2
Properties=species:S:1:pos:R:3 name="nan"
H 0 0 0
H nan 0 0
1
Properties=species:S:1:pos:R:3 name="heavy"
Zn 0 0 0
0
Properties=species:S:1:pos:R:3 name="nothing"
2
Lattice="3 0 0 0 3 0 3 3 0" pbc="T T T" Properties=species:S:1:pos:R:3 name="flat"
H 0 0 0
H 1 0 0
2
Properties=species:S:1:pos:R:3 name="together"
H 1 1 1
H 1 1 1
2
Properties=species:S:1:pos:R:3 name="short"
H 0 0 0
END
evaluate faults 2 "faults of structures are theirs" input=faults.xyz
for pair in "element:Xx" "nan:nan" "heavy:20" "nothing:no atoms" "flat:volume" "short:1 of 2"; do
    grep "^${pair%%:*}.*structure .*'${pair%%:*}'" faults/failed_items.tsv | grep -qF -- "${pair#*:}"
    ok $? "named: ${pair%%:*}"
done
grep -q '^1,good,3,done,' faults/energies.csv && grep -q '^7,together,2,done,' faults/energies.csv
ok $? "the others have energies, two atoms in one place too"

# so many neighbours that no memory holds them: named before there is any, the others done
awk 'BEGIN { print "30000\nProperties=species:S:1:pos:R:3 name=\"heap\""; for (i = 0; i < 30000; i++) print "H 0 0 0"
    print "1\nLattice=\"0.01 0 0 0 0.01 0 0 0 0.01\" pbc=\"T T T\" Properties=species:S:1:pos:R:3 name=\"dense\"\nH 0 0 0" }' >crowded.xyz
head -n 5 faults.xyz >>crowded.xyz
evaluate crowded 2 "a heap of atoms and a crystal of nothing but atoms" input=crowded.xyz --memory 1G
grep "^heap" crowded/failed_items.tsv | grep -q "30000 atoms have more than [0-9]* neighbours" &&
    grep "^dense" crowded/failed_items.tsv | grep -q "1 atoms have more than" && grep -q '^3,good,3,done,' crowded/energies.csv
ok $? "both are named, the third is done"

# a kill in the middle, and on with others
molecules 800 12 3 >many.xyz
evaluate whole 0 "800 structures" input=many.xyz shard_size=20
for k in 1 2 3; do
    "$ASTERISM" run mlff-evaluate weights=field.h5 input=many.xyz shard_size=20 --quiet --out killed --resume --cpus $((1 + k % 2)) >/dev/null 2>&1 &
    pid=$!
    for i in $(seq 600); do
        [ "$(ls killed/shards/evaluate 2>/dev/null | wc -l)" -gt $((8 * k)) ] && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.02
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
done
evaluate killed 0 "resumed after three kills" input=many.xyz shard_size=20 batch_atoms=100 --resume
same_bytes energies.csv whole killed
same_bytes evaluated.extxyz whole killed
cmp -s whole/results.h5 killed/results.h5
ok $? "results.h5 of killed: the bytes of whole"

# mistakes
refused "no_such.h5" "weights that are not there" weights=no_such.h5 input=input.xyz
head -c 4000 field.h5 >cut.h5
refused "cut.h5" "weights that are cut" weights=cut.h5 input=input.xyz
cp input.xyz weights.xyz
refused "weights.xyz" "weights that are a molecule" weights=weights.xyz input=input.xyz
refused "no_such.xyz" "an input that is not there" weights=field.h5 input=no_such.xyz
refused "atoms" "a negative number of atoms" weights=field.h5 input=input.xyz batch_atoms=-1
: >empty.xyz
asterism run mlff-evaluate weights=field.h5 input=empty.xyz --quiet --out empty
[ "$rc" = 1 ] && grep -q empty.xyz "$err"
ok $? "an empty input"
rm -rf empty
printf 'what is this\n' >text.xyz
asterism run mlff-evaluate weights=field.h5 input=text.xyz --quiet --out text
[ "$rc" = 1 ] && grep -q text.xyz "$err"
ok $? "an input that is no structure"
asterism check mlff-evaluate weights=field.h5 input=input.xyz
[ "$rc" = 0 ] && grep -q "2 interactions of width 16" "$out"
ok $? "check says what the force field is"

if [ -d "$shared/mlff/golden" ]; then
    asterism run mlff-evaluate weights="$shared/mlff/weights/original.h5" input="$shared/mlff/molecules.extxyz" precision=f64 --quiet --out published
    awk -F, 'NR > 18 { printf "%.2f ", $5 }' published/energies.csv >got
    [ "$(cat got)" = "-73.21 -106.20 -119.65 -163.14 -57.95 -74.40 -104.11 -110.74 " ]
    ok $? "energies of eight molecules as the specification has them"
    asterism run mlff-evaluate weights="$shared/mlff/weights/original.h5" input="$shared/mlff/train/distill_sample.h5" precision=f64 filters=table intervals=2048 h5=false extxyz=false --quiet --out teacher
    grep 'against the forces of the input' teacher/run.yaml | awk '{ sub(/.*RMSE /, ""); exit !($1 < 1e-6) }'
    ok $? "forces of 1200 molecules: the teacher's labels"
else
    skip "the shared data is not there"
fi
finish
