#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Simulated machines obey laws: the same twice, half as fast on half the machine, never more than N times as fast on N workers.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
sim=${ASTERISM_SIM-}
[ -n "$sim" ] || sim=$(dirname "$ASTERISM")/asterism-sim
if [ ! -x "$sim" ]; then
    skip "no simulating program: neither ASTERISM_SIM nor $(basename "$sim") beside asterism"
    finish
    exit 0
fi
ASTERISM=$sim
cd "$work" || exit 1
machines=$src/data/machines
model="rcl-train cnn_channels=16,8 cnn_kernel_sizes=5,3 max_length=256 batch_size=64 shards=8"

# simulate FOLDER ARGS...; value KEY of the last one
simulate() {
    local folder=$1 bn=bn=local
    shift
    case $* in *bn=*) bn= ;; esac
    # shellcheck disable=SC2086
    asterism simulate $model $bn --steps 3 --warmup 1 --quiet --out "$folder" "$@"
}
value() { sed -n "s/^$1	//p" "$out"; }
compare() { # A OP B NAME, as numbers
    awk "BEGIN { exit !($1 $2 $3) }"
    ok $? "$4 ($1 $2 $3)"
}

simulate one --machine "$machines/h200x8-nvlink.yaml" --gpus 1 --cpus 2
expect 0 "one simulated GPU"
one=$(value samples_per_sec)
grep -v '^peak_mb' "$out" >first
[ "$(value complete)" = 1 ] && [ "$(value modelled)" = 1.000000 ]
ok $? "the result is complete, and says that nothing of it was measured"
simulate again --machine "$machines/h200x8-nvlink.yaml" --gpus 1 --cpus 2
grep -v '^peak_mb' "$out" | cmp -s - first
ok $? "the same bytes the second time"
for n in 2 4 8; do
    simulate "gpus$n" --machine "$machines/h200x8-nvlink.yaml" --gpus $n --cpus $n
    compare "$(value samples_per_sec)" '<=' "$n.001 * $one" "$n GPUs are at most $n times as fast"
    compare "$(value busy)" '<=' 1.000001 "and busy at most all of the time"
done

# shards are dealt to the GPUs, which the scheduler alone would not do with so short tasks
simulate dealt --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --cpus 8 --trace bn=sync
[ "$(awk '$2 == "train" { print $1 }' dealt/trace.tsv | sort -u | wc -l)" = 8 ]
ok $? "every GPU has tasks of shards"
simulate free --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --cpus 8 --trace bn=sync --free-placement
[ "$(awk '$2 == "train" { print $1 }' free/trace.tsv | sort -u | wc -l)" -ge 1 ]
ok $? "with --free-placement the scheduler decides"

# two machines of CPU cores, one with half of everything
printf 'asterism: 1\nmachine: whole\ncpu: {cores: 8, gflops_f32: 20, gflops_f64: 10, bandwidth_gbs: 40, memory_gb: 64}\n' >whole.yaml
printf 'asterism: 1\nmachine: half\ncpu: {cores: 8, gflops_f32: 10, gflops_f64: 5, bandwidth_gbs: 20, memory_gb: 64}\n' >half.yaml
simulate whole1 --machine whole.yaml --cpus 1
whole=$(value samples_per_sec)
compare "$(value busy)" '>' 0.98 "one worker has nothing to wait for"
simulate half1 --machine half.yaml --cpus 1
compare "$(value samples_per_sec)" '<' "0.51 * $whole" "half the machine is half as fast"
compare "$(value samples_per_sec)" '>' "0.49 * $whole" "and not slower"
simulate whole4 --machine whole.yaml --cpus 4
compare "$(value samples_per_sec)" '<=' "4.001 * $whole" "four cores are at most four times as fast"
compare "$(value samples_per_sec)" '>' "3 * $whole" "and at least three times"

# measured times instead of the roofline: every task of half its time
awk 'BEGIN { OFS = "\t"; print "# asterism times 1"; print "# machine", "elsewhere"; print "device", "footprint", "mean_us", "n", "task"
             print "cpu", "0000000000000001", "10.0", 3, "train" }' >other.tsv
simulate times --machine whole.yaml --cpus 1 --times other.tsv
[ "$(value times_from)" = elsewhere ] && [ "$(value modelled)" = 1.000000 ]
ok $? "times of tasks that do not occur change nothing, and it says where they are from"
compare "$(value samples_per_sec)" '==' "$whole" "the rate neither"
sed 's/^cpu/tpu/' other.tsv >bad.tsv
simulate bad --machine whole.yaml --cpus 1 --times bad.tsv
expect 1 "a file of times with a mistake"
has "$err" "bad.tsv:4:" "its place is given"

# what does not fit
simulate many --machine "$machines/workstation-2gpu.yaml" --gpus 3
expect 1 "more GPUs than the machine has"
has "$err" "workstation-2gpu has 2 GPUs" "the message says how many"
simulate cores --machine whole.yaml --cpus 9
expect 1 "more cores than the machine has"
for f in "$machines"/*.yaml; do
    gpus=$(grep -c '^gpu:' "$f")
    simulate "all_$(basename "$f")" --machine "$f" --gpus "$gpus" --cpus 2
    expect 0 "$(basename "$f")"
done
asterism run rcl-train
expect 1 "the simulating program computes nothing"
has "$err" "simulating program" "and says so"
finish
