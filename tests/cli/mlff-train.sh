#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mlff-train on labels that a drawn force field gives: the loss falls, the same bits whatever computes them and after
# kills, what it writes is read by others, schedules, faults by item, batches without a finite loss, mistakes.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh"
. "$src/tests/lib/molecules.sh"
cd "$work" || exit 1

model="hidden_dim=8 num_interactions=2 num_rbf=6 cutoff=4 max_z=20 warmup_steps=10 learning_rate=0.02 angular_weight=0.1"
tiny="$model batch_size=4 shards=2 epochs=4 save_top_k=2"
train() { # RUN STATUS NAME ARGUMENTS...
    local run=$1 status=$2 name=$3
    shift 3
    asterism run mlff-train --quiet --out "$run" "$@"
    [ "$rc" = "$status" ] || sed 's/^/# /' "$err"
    [ "$rc" = "$status" ]
    ok $? "$name"
}

# column RUN N: of history.csv, a line for each epoch
column() {
    awk -F, -v n="$2" 'NR > 1 { print $n }' "$1/history.csv"
}

# same_history RUN...: all columns but the seconds
same_history() {
    cut -d, -f 1-14,16 "$1/history.csv" >want_history
    for run in "${@:2}"; do
        cut -d, -f 1-14,16 "$run/history.csv" | cmp -s - want_history
        ok $? "history of $run: that of $1"
    done
}

refused() { # TEXT NAME ARGUMENTS...
    local text=$1 name=$2
    shift 2
    asterism run mlff-train "$@" --quiet --cpus 1 --out refused
    [ "$rc" = 1 ] && grep -qF -- "$text" "$err"
    local good=$?
    [ $good = 0 ] || sed 's/^/# /' "$err"
    ok $good "$name"
    rm -rf refused
}

"$bin/random-forcefield" teacher.h5 && molecules 40 7 1 >input.xyz &&
    asterism run mlff-evaluate weights=teacher.h5 input=input.xyz filters=exact precision=f64 --quiet --cpus 1 --out labels
[ "$rc" = 0 ]
ok $? "a drawn force field labels 40 molecules"
data="data=labels/evaluated.extxyz"

# learning
train one 0 "four epochs" $data $tiny --cpus 1
column one 3 | awk '{ if (NR == 1) first = $1; last = $1 } END { exit !(NR == 4 && last < first / 2) }'
ok $? "the validation loss falls to less than half"
column one 2 | awk '{ if (NR == 1) first = $1; last = $1 } END { exit !(last < first / 2) }'
ok $? "and the training loss"
[ "$(ls one/model_epoch_*.h5 | wc -l)" = 2 ] && [ -s one/final_model.h5 ] && [ -s one/training_history.json ] && ls one/tensorboard/events* >/dev/null
ok $? "the files of a training are there, two of the best epochs"
for picture in loss_curves.svg metric_curves.svg force_errors.svg report.html; do
    [ -s "one/$picture" ]
    ok $? "$picture"
done
gzip -c labels/evaluated.extxyz >labels.xyz.gz
train two 0 "another scheduler, a packed file" data=labels.xyz.gz $tiny --cpus 1 --scheduler eager
same_bytes best_model.h5 one two
same_bytes final_model.h5 one two
same_history one two

# what it wrote is a force field like any other
asterism run mlff-evaluate weights=one/best_model.h5 input=labels/results.h5 filters=exact --quiet --cpus 1 --out check
[ "$rc" = 0 ] && awk -F, 'NR == FNR { if (FNR > 1) energy[$2] = $5; next } FNR > 1 { d = $4 - energy[$1]; if (d * d > 1e-10 || !($1 in energy)) bad = 1; n++ } END { exit bad || n != 4 }' check/energies.csv one/validation.csv
ok $? "mlff-evaluate with best_model.h5 gives the energies of validation.csv"
train h5 0 "from a data set, whose forces are in single precision" data=labels/results.h5 $model batch_size=4 epochs=1 shards=2 --cpus 1
paste -d, one/history.csv h5/history.csv | awk -F, 'NR == 2 { d = $2 - $18; if (d < 0) d = -d; bad = !(d < 1e-4 * $2) } END { exit bad }'
ok $? "the same training"
train warm 0 "from the teacher's own weights" $data init_weights=teacher.h5 epochs=1 learning_rate=0 weight_decay=0 scheduler=none precision=f64 --cpus 1
column warm 6 | awk '{ exit !($1 < 1e-12) }'
ok $? "there is nothing left to learn"

# a pipeline of one's own: structures to validate on, and the trained field at once
cat >own.yaml <<'END'
asterism: 1
pipeline: own
parameters: {}
stages:
  data: {stage: read-structures, files: [labels/evaluated.extxyz]}
  apart: {stage: read-structures, files: [labels/results.h5]}
  train: {stage: train-forcefield, data: data, validation: apart, epochs: 1, hidden_dim: 4, num_interactions: 1, max_z: 20, batch_size: 16}
  evaluate: {stage: evaluate-structures, forcefield: train, input: apart, filters: exact}
END
asterism run own.yaml --quiet --cpus 1 --out own
[ "$rc" = 0 ] && [ "$(grep -c ',val,' own/split.csv)" = 40 ] && [ "$(grep -c ',train,' own/split.csv)" = 40 ]
ok $? "all of one file train, all of the other validate"
awk -F, 'NR == FNR { if (FNR > 1) energy[$2] = $5; next } FNR > 1 { d = $4 - energy[$1]; if (d * d > 1e-10 || !($1 in energy)) bad = 1; n++ } END { exit bad || n != 40 }' own/energies.csv own/validation.csv
ok $? "and the next stage gives the same energies"

# kill_twice RUN ARGUMENTS...: in the middle, and on with others
kill_twice() {
    local run=$1
    shift
    for k in 1 2; do
        "$ASTERISM" run mlff-train "$@" checkpoint_steps=1 --quiet --out "$run" --resume --cpus $((1 + k % 2)) >/dev/null 2>&1 &
        pid=$!
        for i in $(seq 600); do
            [ "$(cat "$run/history.csv" 2>/dev/null | wc -l)" -gt "$k" ] && break
            kill -0 $pid 2>/dev/null || break
            sleep 0.01
        done
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
    done
    train "$run" 0 "resumed after two kills" "$@" checkpoint_steps=1 --resume --cpus 1
}
kill_twice killed $data $tiny
same_bytes best_model.h5 one killed
same_bytes final_model.h5 one killed
same_history one killed

# near FIRST SECOND COLUMN...: numbers of two histories agree to nine digits
near() {
    local first=$1 second=$2
    for n in "${@:3}"; do
        paste <(column "$first" "$n") <(column "$second" "$n") | awk '{ d = $1 - $2; if (d * d > 1e-18 * $1 * $1) bad = 1 } END { exit bad || NR < 2 }' || return 1
    done
}

# several batches of a step: of molecules of one size their mean is one batch of all; the last step has one batch
fewest=6
molecules 22 6 5 >alike.xyz
fewest=1
asterism run mlff-evaluate weights=teacher.h5 input=alike.xyz filters=exact precision=f64 --quiet --cpus 1 --out alike
parts="data=alike/evaluated.extxyz $model train_ratio=0.95 epochs=2 shards=2 precision=f64"
train whole 0 "steps of eight" $parts batch_size=8 --cpus 1
train pieces 0 "steps of four and four" $parts batch_size=4 accumulate=2 --cpus 1
near whole pieces 2 3 14
ok $? "the same training"
steps="$data $model batch_size=3 accumulate=4 shards=2 epochs=4"
train steps 0 "steps of four batches" $steps --cpus 2 --scheduler eager
kill_twice steps2 $steps
same_bytes final_model.h5 steps steps2
same_history steps steps2

# a teacher: its part of the loss alone is a training on its labels
"$bin/random-forcefield" other.h5 seed=9 && asterism run mlff-evaluate weights=other.h5 input=input.xyz filters=exact precision=f64 --quiet --cpus 1 --out other
taught="$model batch_size=8 shards=2 epochs=2 precision=f64"
train taught 0 "a teacher alone" $data teacher_labels=other/evaluated.extxyz teacher_weight=1 $taught --cpus 1
train direct 0 "its labels" data=other/evaluated.extxyz ${taught/angular_weight=0.1/angular_weight=0} energy_weight=1 force_weight=1 --cpus 1
near taught direct 2
ok $? "the same training loss"
train half 0 "a teacher beside labels" $data teacher_labels=other/evaluated.extxyz $taught --cpus 1
train labels_alone 0 "labels alone" $data $taught --cpus 1
paste -d' ' <(column taught 2) <(column labels_alone 2) <(column half 2) | awk 'NR == 1 { exit !($3 > 0.3 * ($1 + $2) && $3 < 0.7 * ($1 + $2)) }'
ok $? "the loss lies between"
sed 's/energy=[^ ]*\(.*"m1_3"\)/energy=1e300\1/; s/\("m1_3".*\)energy=[^ ]*/\1energy=1e300/' other/evaluated.extxyz >absurd.xyz
train absurd 2 "a label of the teacher that is too large" $data teacher_labels=absurd.xyz $taught --cpus 1
grep '^m1_3' absurd/failed_items.tsv | grep -q 'energy is 1e+300'
ok $? "leaves its structure out"
head -n $(($(head -n 1 other/evaluated.extxyz) + 2)) other/evaluated.extxyz >first.xyz
refused "hold 1 structures, the data 40; the same ones in the same order" "a teacher of fewer structures" $data teacher_labels=first.xyz
refused "of the data; the same ones in the same order" "a teacher of others" data=alike/evaluated.extxyz teacher_labels=other/evaluated.extxyz
crystals() { # A...: one atom in a cell with that first edge, with labels
    for a in "$@"; do
        printf '1\nLattice="%s 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:forces:R:3 energy=1\nC 0 0 0 0 0 0\n' "$a"
    done
}
crystals 3 3.1 3.2 >crystals.xyz && crystals 3.2 3.1 3 >turned.xyz
refused "the cell is not that of structure" "a teacher of the same atoms in other cells" data=crystals.xyz teacher_labels=turned.xyz
refused "teacher_labels: cannot read the standard input" "a teacher from the standard input" $data teacher_labels=-
refused "teacher.h5" "a teacher that is no file of structures" $data teacher_labels=teacher.h5
{ printf '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1 name="odd"\nXx 0 0 0 0 0 0\n' && cat labels/evaluated.extxyz; } >with_odd.xyz
train with_odd 2 "what is left out need not be in a teacher's files" data=with_odd.xyz teacher_labels=other/evaluated.extxyz $taught --cpus 1
[ "$(grep -c . with_odd/failed_items.tsv)" = 2 ] && grep -q '^odd' with_odd/failed_items.tsv
ok $? "and nothing else is left out"
refused "mlff-train.yaml" "a temperature of 0" $data teacher_labels=other/evaluated.extxyz teacher_temperature=0
refused "accumulate: 4096 batches of 512 structures" "too large a step" $data batch_size=512 accumulate=4096

# schedules, with one step in each of four epochs
rates() { # NAME ARGUMENTS...: against those in the file want
    train rates 0 "$1" $data hidden_dim=4 num_interactions=1 num_rbf=4 max_z=20 batch_size=64 shards=1 train_ratio=0.2 epochs=4 learning_rate=0.008 --cpus 1 "${@:2}"
    column rates 14 | paste - want | awk '{ d = $1 - $2; if (d * d > 1e-20) bad = 1 } END { exit bad || NR != 4 }'
    ok $? "its rates"
    rm -rf rates
}
cosine='function cosine(k) { return 0.001 + 0.007 * (1 + cos(3.14159265358979 * k / 4)) / 2 }'
awk "$cosine"' BEGIN { for (k = 0; k < 4; k++) printf "%.15g\n", cosine(k) }' >want
rates "cosine, adam" scheduler=cosine min_lr=0.001 optimizer=adam loss=huber
printf '0.008\n0.008\n0.004\n0.004\n' >want
rates "step, sgd" scheduler=step step_size=2 gamma=0.5 optimizer=sgd loss=mae
printf '0.008\n0.002\n0.0005\n0.000125\n' >want
rates "exponential, rmsprop" scheduler=exponential gamma=0.25 optimizer=rmsprop
printf '0.008\n0.008\n0.008\n0.008\n' >want
rates "none" scheduler=none clip_norm=0
# rising from min_lr for three steps, then a cosine of four epochs
awk "$cosine"' BEGIN { printf "%.15g\n%.15g\n%.15g\n%.15g\n", 0.001, 0.001 + 0.007 / 3, 0.001 + 0.007 * 2 / 3, cosine(1) }' >want
rates "warmup_cosine" scheduler=warmup_cosine warmup_steps=3 min_lr=0.001

# faults by item
cat labels/evaluated.extxyz - >faults.xyz <<'END'
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="element"
Xx 0 0 0 0 0 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="heavy"
Zn 0 0 0 0 0 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3 energy=1 name="unlabelled"
H 0 0 0
H 1 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 name="powerless"
H 0 0 0 0 0 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="nan"
H 0 0 0 0 nan 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="together"
H 1 1 1 0 0 0
H 1 1 1 0 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-1e25 name="absurd"
H 0 0 0 0 0 0
H 1 0 0 0 0 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="violent"
H 0 0 0 0 0 0
H 1 0 0 0 2e19 0
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=1 name="short"
H 0 0 0 0 0 0
END
train faults 2 "faults of structures are theirs" data=faults.xyz $tiny --cpus 1
for pair in "element:Xx" "heavy:20" "unlabelled:has no forces" "powerless:has no energy" "nan:nan" "absurd:energy is -1e+25, too large for single precision" "violent:force of atom 2 is 2e+19, too large" "together:in one place" "short:1 of 2"; do
    grep "^${pair%%:*}\|'${pair%%:*}'" faults/failed_items.tsv | grep -qF -- "${pair#*:}"
    ok $? "named: ${pair%%:*}"
done
same_bytes final_model.h5 one faults

# losses beyond single precision: their batches change nothing, the rest is learned from
awk -v RS='energy=' 'NR > 1 && NR < 4 { sub(/^[^ ]*/, "1.5e19") } { printf "%s%s", (NR > 1 ? "energy=" : ""), $0 }' labels/evaluated.extxyz >huge.xyz
train huge 0 "two energies of 1.5e19, weighted" data=huge.xyz $model energy_weight=10 epochs=2 batch_size=4 shards=2 monitor=train_loss --cpus 1
column huge 13 | awk '{ if ($1 < 1 || $1 > 2) bad = 1 } END { exit bad || NR != 2 }' && column huge 3 | awk '{ if (NR == 1) first = $1; last = $1 } END { exit !(last < first) }'
ok $? "their batches are counted, and the validation loss falls"
refused "the loss of every batch is not finite" "nothing but such batches" data=huge.xyz $model energy_weight=1e6 epochs=2 batch_size=64 shards=2

train wild 0 "rates that no weight stands" $data hidden_dim=8 num_interactions=2 max_z=20 optimizer=sgd learning_rate=10 momentum=0 clip_norm=0 scheduler=none epochs=1 batch_size=4
grep -q "validation structures have no finite result, first 'm1_" "$err"
ok $? "which is said, with the name of a structure"
[ "$(awk -F, 'END { print $2 }' wild/force_errors.csv)" -gt 0 ]
ok $? "errors that are no number are in the last bin"

# validation needs more memory than any step: said before the first
awk 'BEGIN {
    print "125\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1 name=\"large\""
    for (i = 0; i < 125; i++)
        printf "C %.1f %.1f %.1f 0 0 0\n", 1.4 * (i % 5), 1.4 * (int(i / 5) % 5), 1.4 * int(i / 25)
}' >large.xyz
cat >room.yaml <<'END'
asterism: 1
pipeline: room
parameters: {}
stages:
  data: {stage: read-structures, files: [labels/evaluated.extxyz]}
  apart: {stage: read-structures, files: [large.xyz]}
  train: {stage: train-forcefield, data: data, validation: apart, epochs: 1, hidden_dim: 8, num_interactions: 2, max_z: 20, batch_size: 4}
END
asterism run room.yaml --quiet --cpus 1 --memory 8M --out room
[ "$rc" = 1 ] && grep -q "validation structure 'large', 125 atoms .* of the memory limit of 8.4 MB .* batch_size" "$err" && [ ! -e room/history.csv ]
ok $? "too little memory for a validation structure"

# mistakes
refused "no_such.h5" "data that are not there" data=no_such.h5
refused "no_such.h5" "weights that are not there" $data init_weights=no_such.h5
refused "leave 40 to train on and 0 to validate" "nothing to validate on" $data $tiny train_ratio=1
refused "leave 0 to train on and 40 to validate" "nothing to train on" $data $tiny train_ratio=0.001
refused "are all 0" "a loss of nothing" $data energy_weight=0 force_weight=0 angular_weight=0
refused "lower batch_size or raise shards" "too little memory" $data hidden_dim=256 num_interactions=4 batch_size=64 shards=1 --memory 40M
refused "mlff-train.yaml:" "Huber without a delta" $data $tiny loss=huber huber_delta=0
refused "huber_delta: it is 0; loss=huber needs one above 0" "with the reason" $data $tiny loss=huber huber_delta=0
refused "alpha is 1" "rmsprop that forgets nothing" $data $tiny optimizer=rmsprop alpha=1
for pair in mixing=isotropic cutoff_on=filter norm_eps=0.25 cutoff=2.5; do
    refused "${pair%%=*}: it is ${pair#*=}, that of init_weights is " "$pair beside weights that have another" $data init_weights=teacher.h5 "$pair"
done
printf '1\nProperties=species:S:1:pos:R:3 name="alone"\nO 1 2 3\n' >plain.xyz
refused "1 structures, 1 of them left out" "no labels at all" data=plain.xyz $tiny
asterism run mlff-train $data $tiny loss=mae --quiet --out one --resume
[ "$rc" = 1 ] && grep -q "loss" "$err"
ok $? "a training is not resumed with another loss"
asterism check mlff-train $data $tiny
[ "$rc" = 0 ] && grep -q "force field of 2 interactions of width 8" "$out"
ok $? "check says what would be trained"
finish
