#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mlff-md with drawn force fields: the same bytes whatever computes them, kills, what must hold of every ensemble,
# faults by copy, mistakes.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh"
. "$src/tests/lib/molecules.sh"
fewest=2
cd "$work" || exit 1
cpus=1

simulate() { # RUN STATUS NAME ARGUMENTS..., with $cpus workers
    local run=$1 status=$2 name=$3
    shift 3
    asterism run mlff-md weights=field.h5 --quiet --cpus "$cpus" --out "$run" "$@"
    [ "$rc" = "$status" ] || sed 's/^/# /' "$err"
    [ "$rc" = "$status" ]
    ok $? "$name"
}

# same NAME FIRST SECOND: every result of two runs, to the byte
same() {
    local bad=0
    for file in thermo.csv trajectory.extxyz trajectory.h5 final.extxyz copies.csv copies.json failed_items.tsv exchange.csv; do
        [ -e "$2/$file" ] || [ -e "$3/$file" ] || continue
        cmp "$2/$file" "$3/$file" >"$out" || bad=1
    done
    ok $bad "$1"
}

# refused TEXT NAME ARGUMENTS...: exit status 1, the text and the place in the file in the message, no folder
refused() {
    local text=$1 name=$2
    shift 2
    asterism run mlff-md weights=field.h5 input=input.xyz "$@" --out refused
    [ "$rc" = 1 ] && grep -qF -- "$text" "$err" && grep -q "mlff-md.yaml:[0-9]*:[0-9]*: " "$err" && [ ! -e refused ]
    ok $? "$name"
    rm -rf refused
}

# column FILE NAME: the values of a column of a CSV, a line each
column() {
    awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i; next } { print $k }' "$1"
}

"$bin/random-forcefield" field.h5 cutoff=7 seed=3
ok $? "a force field is drawn"
molecules 6 12 1 >input.xyz
molecules 1 60 7 | sed 's/"m7_1"/"large"/' >>input.xyz
printf '4\nLattice="6 0 0 0.5 7 0 0 0 8" pbc="T T T" Properties=species:S:1:pos:R:3 name="crystal"\nC 0 0 0\nO 1.2 0 0\nN 3 3 3\nH 3 4 3\n' >>input.xyz

# ---- the same bytes, whoever computes them
common="steps=10 log_interval=1 frame_interval=5 checkpoint=4 temperature=100"
simulate one 0 "8 structures, two copies of each" input=input.xyz $common replicas=2
[ "$(wc -l <one/thermo.csv)" = $((16 * 11 + 1)) ] && [ "$(grep -c pbc= one/trajectory.extxyz)" = $((16 * 3)) ] &&
    [ "$(wc -l <one/copies.csv)" = 17 ] && [ "$(grep -c pbc= one/final.extxyz)" = 16 ]
ok $? "a line for each step and copy, frames at their interval, steps 0 and 10 among them"
[ -s one/total_energy.svg ] && grep -q 'ns/day' one/run.yaml && grep -q 'ns/day of each copy' one/report.html
ok $? "plots and speed are in the report"
cpus=2
simulate two 0 "every molecule a task, two workers" input=input.xyz $common replicas=2 batch_atoms=1
cpus=1
same "the same bytes" one two
simulate tight 0 "with little memory for what is written" input=input.xyz $common replicas=2 --memory 48M
same "the same bytes" one tight
head -n "$(grep -n 'name="m1_2"' input.xyz | cut -d: -f1)" input.xyz | head -n -2 >alone.xyz
simulate alone 0 "the first molecule alone, three copies" input=alone.xyz $common replicas=3
head -n 23 one/thermo.csv >want && head -n 23 alone/thermo.csv | cmp -s - want
ok $? "its copies move as they do in company"

exchange="replicas=3 ensemble=exchange highest_temperature=400 exchange_interval=10 friction=0.02 checkpoint=25 temperature=100"
molecules 3 9 4 >few.xyz
simulate whole 0 "an exchange, not interrupted" input=few.xyz $exchange steps=100
for k in 1 2; do
    "$ASTERISM" run mlff-md weights=field.h5 input=few.xyz $exchange steps=100 --quiet --out killed --resume --cpus $k batch_atoms=$((13 * k)) >/dev/null 2>&1 &
    pid=$!
    for i in $(seq 3000); do
        parts=()
        [ -e killed/shards/dynamics/manifest.tsv ] && mapfile -t parts <killed/shards/dynamics/manifest.tsv
        [ ${#parts[@]} -gt $((9 * k)) ] && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.01
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
done
if [ -e killed/thermo.csv ]; then
    skip "the run was over before it could be killed"
else
    [ -s killed/shards/dynamics/manifest.tsv ]
    ok $? "killed twice on the way"
fi
simulate killed 0 "and on" input=few.xyz $exchange steps=100 --resume
same "the same bytes after kills" whole killed

# many structures share a unit; stopped in order, each unit goes on from where it was
awk 'BEGIN { for (m = 0; m < 300; m++) printf "2\nProperties=species:S:1:pos:R:3\nO 0 0 0\nH %.3f 0 0\n", 0.9 + m % 7 * 0.02 }' >pairs.xyz
pairs="input=pairs.xyz ensemble=exchange temperatures=100,200 friction=0.02 exchange_interval=4 steps=60 timestep=0.2 log_interval=20 frame_interval=30 checkpoint=1000"
simulate through 0 "an exchange of 300 structures" $pairs
for delay in 0.3 1 3; do # until there were some steps; before the last one nothing is committed but by being stopped
    "$ASTERISM" run mlff-md weights=field.h5 $pairs --quiet --resume --out stopped --cpus 2 >/dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q '^state: "running"' stopped/run.yaml 2>/dev/null; do
        sleep 0.005
    done
    sleep $delay
    kill -INT $pid 2>/dev/null
    wait $pid
    [ ! -s stopped/shards/dynamics/manifest.tsv ] || break
done
if [ -e stopped/thermo.csv ]; then
    skip "the run was over before it could be stopped"
else
    grep -q '^state: "stopped"' stopped/run.yaml && [ -s stopped/shards/dynamics/manifest.tsv ]
    ok $? "stopped by a signal, and committed on the way"
fi
simulate stopped 0 "and resumed" $pairs --resume
same "the same bytes" through stopped

asterism run mlff-md weights=field.h5 input=few.xyz $exchange steps=120 --out whole --resume
[ "$rc" = 1 ] && grep -q 'begun with steps=100' "$err"
ok $? "more steps are another run; the message says so"
simulate further 0 "which begins where this one ended" input=whole/final.extxyz steps=10 velocities=file log_interval=10
[ "$(awk -F, '$2 == 100 { print $5 }' whole/thermo.csv | cut -c 1-13)" = "$(awk -F, '$2 == 0 { print $5 }' further/thermo.csv | cut -c 1-13)" ]
ok $? "with the velocities that it had"

printf '1\nProperties=species:S:1:pos:R:3 name="atom"\nO 0 0 0\n' >atom.xyz
noisy="ensemble=langevin friction=1 steps=50 log_interval=50"
simulate noise1 0 "an atom that is pushed about" input=atom.xyz $noisy
simulate noise2 0 "and on from there" input=noise1/final.extxyz velocities=file $noisy
awk -F, '$2 == 50 { e[++n] = $5 } END { d = e[1] - e[2]; exit !(n == 2 && d * d > 1e-6 * e[1] * e[1]) }' noise1/thermo.csv noise2/thermo.csv
ok $? "it is not pushed in the same way again"

# ---- exchange: 9 attempts in turns, each copy at a temperature of its own
awk -F, 'NR > 1 && $6 != "" { n++; if ($4 != 9 + 3 * n || $5 > $4 || $5 < 1) bad = 1 } END { exit bad || n != 2 }' whole/exchange.csv
ok $? "pairs take turns, some are accepted"
awk -F, 'NR > 1 { key = int(($1 - 1) / 3) " " $2; seen[key " " $10]++; n[key]++ } END { for (k in seen) if (seen[k] != 1) bad = 1
    for (k in n) if (n[k] != 3) bad = 1; exit bad }' whole/thermo.csv
ok $? "at every step each temperature has one copy"
column whole/thermo.csv target_K | sort -un | tr '\n' ' ' | grep -qx '100 200 400 '
ok $? "temperatures in equal ratios"

# ---- constant energy: errors go with the square of the step; momentum stays; time can be turned
cat >water.xyz <<'END'
6
Properties=species:S:1:pos:R:3 name="six"
O 0 0 0
H 0.96 0 0
H -0.2 0.93 0
C 0.1 0.2 1.9
N 1.6 1.5 0.2
O -1.5 -0.3 1.1
END
simulate step1 0 "a step of 2 fs" input=water.xyz precision=f64 timestep=2 steps=40 log_interval=1 temperature=80 remove_rotation=false seed=3
simulate step2 0 "a step of 1 fs" input=water.xyz precision=f64 timestep=1 steps=80 log_interval=2 temperature=80 remove_rotation=false seed=3
echo "$(column step1/copies.csv energy_range) $(column step2/copies.csv energy_range)" | awk '{ exit !($1 > 3.5 * $2 && $1 < 4.5 * $2 && $2 > 0) }'
ok $? "energy swings by a quarter: $(column step1/copies.csv energy_range) and $(column step2/copies.csv energy_range) eV"
awk 'length($1) < 3 && NF == 10 { for (a = 0; a < 3; a++) p[a] += $(8 + a); n++ } END { for (a = 0; a < 3; a++) if (p[a] * p[a] > 1e-20) bad = 1; exit bad || n != 6 }' step2/final.extxyz
ok $? "the momentum stays 0"
awk 'length($1) < 3 && NF == 10 { print $1, $2, $3, $4, $5, $6, $7, -$8, -$9, -$10; next } { print }' OFMT=%.17g CONVFMT=%.17g step2/final.extxyz >back.xyz
simulate back 0 "backwards" input=back.xyz precision=f64 timestep=1 steps=80 velocities=file
paste -d' ' water.xyz back/final.extxyz | awk 'NF == 14 { for (a = 2; a < 5; a++) { d = $a - $(a + 4); if (d * d > 1e-18) bad = 1 } n++ } END { exit bad || n != 6 }'
ok $? "it comes back to where it began"
[ "$(column step1/copies.csv verdict)" = passed ] && [ "$(column one/copies.csv verdict | sort -u | wc -l)" = 1 ]
ok $? "energy counts as kept"

# ---- constant temperature: kinetic energies of 3 atoms have the mean and the spread of a gamma distribution
awk 'BEGIN { for (m = 0; m < 60; m++) printf "3\nProperties=species:S:1:pos:R:3\nO 0 0 0\nH 0.96 0 0\nC -0.2 1.3 0\n" }' >many.xyz
simulate warm 0 "a thermostat from rest" input=many.xyz ensemble=langevin friction=0.1 temperature=250 velocities=zero steps=150 log_interval=50 frame_interval=0 seed=3
awk -F, 'NR > 1 && $2 >= 100 { n++; s += $7; q += $7 * $7 } END { mean = s / n; spread = (q / n - mean * mean) / (250 * 250) * 9 / 2
    e = (mean / 250 - 1) / sqrt(2 / 9 / n); f = (spread - 1) / sqrt((2 + 6 / 4.5) / n)
    printf "%.1f K, %.2f sigma off; spread %.3f, %.2f sigma off", mean, e, spread, f; exit !(n == 120 && e * e < 16 && f * f < 16) }' warm/thermo.csv >said
ok $? "250 K: $(cat said)"

# ---- constant pressure: a gas of 4 atoms has the mean volume 5 kT / P and a spread of its fifth root
awk 'BEGIN { for (m = 0; m < 32; m++) printf "4\nLattice=\"100 0 0 0 100 0 0 0 100\" pbc=\"T T T\" Properties=species:S:1:pos:R:3\nO 10 10 10\nN 60 10 10\nC 10 60 10\nO 60 60 60\n" }' >gas.xyz
simulate gas 0 "a gas under pressure" input=gas.xyz ensemble=npt friction=0.1 pressure=2.0709e-5 compressibility=48288 barostat_time=100 steps=800 log_interval=200 frame_interval=0 batch_atoms=1000
awk -F, 'NR > 1 && $2 >= 400 { n++; s += $9; q += $9 * $9 } END { want = 5 * 8.617330337e-5 * 300 / (2.0709e-5 * 0.006241509)
    e = (s / n / want - 1) / sqrt(1.6 / 5 / n); f = (q / n - s * s / n / n) / (want * want / 5)
    printf "%.4g A^3 of %.4g, %.2f sigma off; spread %.2f", s / n, want, e, f; exit !(n == 96 && e * e < 16 && f > 0.5 && f < 1.7) }' gas/thermo.csv >said
ok $? "its volume: $(cat said)"
# ---- faults by copy
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
1
Properties=species:S:1:pos:R:3 name="heavy"
Zn 0 0 0
2
Properties=species:S:1:pos:R:3 name="together"
H 1 1 1
H 1 1 1.0000001
2
Properties=species:S:1:pos:R:3:momenta:R:3 name="fast"
H 0 0 0 1000 0 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3:velocities:R:3 name="word"
H 0 0 0 1 x 0
H 1 0 0 0 0 0
END
simulate faults 2 "faults are those of copies" input=faults.xyz steps=20 replicas=2 timestep=0.2
for pair in "element:Xx" "heavy:20" "together:step 0: atoms 2 and 1 are 1e-07 A apart" "fast:step 1: atom 1 moves by" "word:the velocity along y is 'x'"; do
    [ "$(grep "${pair%%:*}" faults/failed_items.tsv | grep -cF -- "${pair#*:}")" = 2 ]
    ok $? "named: ${pair%%:*}"
done
[ "$(column faults/copies.csv state | grep -c done)" = 2 ] && [ "$(grep -c pbc= faults/final.extxyz)" = 2 ]
ok $? "the others come to the end"
(cat alone.xyz && printf '1\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T T" Properties=species:S:1:pos:R:3 name="still"\nO 0 0 0\n') >unfit.xyz
simulate unfit 1 "what an ensemble cannot take" input=unfit.xyz ensemble=npt velocities=file steps=10
grep '^m1.*is not periodic' unfit/failed_items.tsv >"$out" && grep -q '^still.*has no velocities' unfit/failed_items.tsv
ok $? "is said of each structure"

# ---- mistakes
refused "temperatures: names one" "an exchange of one temperature" ensemble=exchange temperatures=300
refused "replicas: is 1" "an exchange of one copy" ensemble=exchange highest_temperature=500
refused "temperatures: exchange needs them" "an exchange without temperatures" ensemble=exchange
refused "are not above 0 and rising" "temperatures that fall" ensemble=exchange temperatures=300,200
refused "is not the number of temperatures" "other replicas than temperatures" ensemble=exchange temperatures=300,400 replicas=3
refused "goes without temperatures" "temperatures named twice" ensemble=exchange temperatures=300,400 highest_temperature=500
refused "exchange_interval: is not below steps" "no exchange within the run" ensemble=exchange temperatures=300,400 steps=100
refused "temperatures: is for ensemble exchange" "temperatures without an exchange" temperatures=300,400
refused "highest_temperature: is for" "a highest temperature without an exchange" highest_temperature=400
refused "friction: is 0" "a thermostat without friction" ensemble=langevin friction=0
refused "timestep: is 0" "a step of nothing" timestep=0
refused "compressibility: is 0" "a cell that cannot change" ensemble=npt compressibility=0
refused "barostat_time: is shorter" "a cell that jumps" ensemble=npt barostat_time=0.1
refused "remove_rotation is true" "rotation without momentum" remove_momentum=false
asterism check mlff-md weights=field.h5 input=input.xyz ensemble=exchange temperatures=300,400,500
[ "$rc" = 0 ] && grep -q 'exchange, 1000 steps of 0.5 fs, 3 of each structure; K: 300, 400, 500' "$out"
ok $? "check says what will be simulated"
finish
