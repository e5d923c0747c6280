#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line: options, help, messages, exit status. stdout carries data only.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1

# -- the program itself
asterism
expect 1 "no command"
has "$err" "usage: asterism COMMAND" "usage goes to stderr"
empty "$out" "and nothing to stdout"
asterism --help
expect 0 "--help"
empty "$err" "asked for, it goes to stdout"
asterism --version
expect 0 "--version"
for word in asterism starpu hdf5 libyaml cuda compiler; do
    has "$out" "$word" "--version names $word"
done
asterism chekc x
expect 1 "unknown command"
has "$err" "no command 'chekc'" "it is named"
asterism grap x
has "$err" "did you mean 'graph'?" "with the nearest"
asterism --quite
expect 1 "option before the command"
"$ASTERISM" --version >/dev/full 2>"$err"
rc=$?
expect 1 "a full standard output is no success"
has "$err" "the standard output: No space left on device" "and it is said why"

# -- every command has help, and refuses what it does not know
for command in run check graph info report convert; do
    asterism $command --help
    expect 0 "$command --help"
    has "$out" "usage: asterism $command" "$command --help has usage"
    empty "$err" "$command --help says nothing on stderr"
    asterism $command --halp
    expect 1 "$command --halp"
    has "$err" "unknown option '--halp'; did you mean '--help'?" "$command names the nearest option"
    has "$err" "Try 'asterism $command --help'." "$command hints at its help"
    asterism $command -Z
    expect 1 "$command -Z"
done

# -- options
asterism run --out
has "$err" "option --out needs a value: --out DIR" "an option without its value"
asterism run --out --resume x
has "$err" "option --out needs a value" "another option is no value"
asterism run --cpus= x
has "$err" "option --cpus needs a value" "nor is nothing behind ="
asterism run --resume=yes x
has "$err" "option --resume takes no value" "a value for a switch"
asterism run --cpus 1 --cpus 2 x
has "$err" "option --cpus is given twice" "an option twice"
asterism run rcl-train --cpus two
has "$err" "--cpus: expected an int in 0..4096, found 'two'" "a number that is none"
asterism run rcl-train --cpus=-1
has "$err" "--cpus: expected an int in 0..4096, found '-1'" "a number out of range"
asterism run rcl-train --gpus 0,,2
has "$err" "--gpus: expected all, none, or numbers such as 0,2, found '0,,2'" "a list of GPUs"
for size in 4X -1G 0 G 1e99 4GB; do
    asterism run rcl-train "--memory=$size"
    expect 1 "--memory=$size"
    has "$err" "--memory: expected a size such as 512M or 4G (K, M, G, T: powers of 1024), found '$size'" "$size is no size"
done
for size in 512M 4G 1.5GiB 1000000000; do
    asterism check rcl-validate "--memory=$size"
    expect 0 "--memory=$size"
done
asterism run rcl-train -q -v
has "$err" "--quiet and --verbose exclude each other" "quiet and verbose"
asterism run rcl-validate --resume
expect 1 "nothing to resume"

# -- words
asterism run
has "$err" "which pipeline?" "no file"
asterism run epochs=3
has "$err" "which pipeline?" "a parameter is no file"
asterism check rcl-train rcl-predict
has "$err" "one pipeline at a time, found 'rcl-train' and 'rcl-predict'" "two files"
asterism check rcl-train epochs=3 epochs=4
has "$err" "epochs is given twice: epochs=3 and epochs=4" "a parameter twice"
asterism check rcl-train --isa avx2 isa=auto
has "$err" "the instruction set is given twice: --isa avx2 and isa=auto" "isa twice"
asterism check rcl-validate isa=sse9
expect 1 "an unknown instruction set"
has "$out" "argument isa=sse9: expected auto, x86-64, avx2, avx512 or avx512bf16" "is a mistake"
asterism check rcl-validate isa=x86-64
expect 0 "isa= is known to every pipeline"
asterism run rcl-trian
expect 1 "a pipeline that is nowhere"
has "$err" "no pipeline 'rcl-trian'" "it is named"
asterism run rcl-trai
tail -n 1 "$err" | grep -q "; did you mean 'rcl-train'?$"
ok $? "with the nearest, as the last word"
asterism check -- rcl-validate max_length=7
expect 0 "-- ends the options"
printf 'asterism: 1\n' >-x.yaml
asterism check -- -x.yaml
has "$out" "-x.yaml:1:1: key 'pipeline' is missing" "after -- a file may begin with a dash"
asterism check max_length=7 --cpus 1 rcl-validate
expect 0 "words and options in any order"

# -- a bad file: everything at once
cat >bad.yaml <<'END'
asterism: 1
pipeline: bad
colour: red
parameters:
  epochs: {type: int, min: 1, default: 0, help: Epochs.}
  unused: {type: str, default: x, help: Nothing.}
stages:
  table: {stage: read-tabel, file: x.csv}
  split: {stage: split, from: tabel, sede: 3, train_split: 1.5}
  train: {stage: train, data: split, epochs: $epoch, tensorboard: yes}
END
cat >bad.txt <<'END'
bad.yaml:3:1: unknown key 'colour'; a pipeline file has asterism, pipeline, description, parameters and stages
bad.yaml:5:40: default: expected an int, at least 1, found '0'
bad.yaml:6:3: warning: parameter 'unused' is not used by any stage
bad.yaml:8:18: no kind of stage is called 'read-tabel'; 'asterism info --stages' lists them; did you mean 'read-table'?
bad.yaml:9:31: from: no stage is called 'tabel'; did you mean 'table'?
bad.yaml:9:38: unknown key 'sede'; a split stage has no such option; did you mean 'seed'?
bad.yaml:9:60: train_split: expected a real number in 0..1, found '1.5'
bad.yaml:10:46: no parameter is called 'epoch'; did you mean 'epochs'?
bad.yaml:10:67: tensorboard: expected true or false, found 'yes'; write true
END
sort -t: -k2,2n -k3,3n bad.txt >sorted.txt
asterism check bad.yaml
expect 1 "check of a bad file"
diff sorted.txt "$out" >diff.txt 2>&1
ok $? "check lists every mistake, sorted by place"
sed 's/^/# /' diff.txt
has "$err" "bad.yaml: 8 mistakes" "and counts them"
asterism run bad.yaml
expect 1 "run of a bad file"
empty "$out" "run prints nothing on stdout"
grep '^bad\.yaml:' "$err" | diff -q sorted.txt - >/dev/null
ok $? "run lists the same on stderr"
asterism run bad.yaml --help
expect 1 "help of a bad file"
asterism graph bad.yaml
expect 1 "graph of a bad file"
empty "$out" "which is not drawn"
asterism check bad.yaml epoch=3
has "$out" "argument 'epoch=3': bad has no parameter 'epoch'; did you mean 'epochs'?" "a wrong argument comes with the rest"
head -n 1 "$out" | grep -q '^argument'
ok $? "and first"

# -- every pipeline that is installed
for file in "$src"/pipelines/*.yaml; do
    name=$(basename "$file" .yaml)
    asterism run "$name" --help
    expect 0 "run $name --help, by name from elsewhere"
    missing=
    for p in $(sed -n '/^parameters:/,/^stages:/s/^  \([a-z_0-9]*\):.*/\1/p' "$file"); do
        grep -q "^  $p=" "$out" || missing="$missing $p"
    done
    [ -z "$missing" ]
    ok $? "$name --help lists every parameter$missing"
    needed=$(grep -c '\[required\]' "$out")
    asterism check "$file"
    if [ "$needed" -gt 0 ]; then
        ! grep -v 'has no default and needs a value' "$out" | grep -q .
        ok $? "check $name: only parameters without default are missing"
        expect 1 "check $name"
    else
        expect 0 "check $name"
        [ -s "$out" ]
        ok $? "check $name prints the plan"
    fi
    asterism graph "$name"
    expect 0 "graph $name"
    [ "$(grep -c ' \[label="[^"]*\\n' "$out")" = "$(sed -n '/^stages:/,$p' "$file" | grep -c '^  [a-z_0-9-]*:')" ]
    ok $? "graph $name has every stage"
done
asterism run rcl-predict --help
has "$out" "[required]" "help says which parameters must be given"
asterism run rcl-train --help
grep -q 'epochs=INT .*(1\.\.100000.*) \[50\]' "$out"
ok $? "help has type, range and default"

# -- graph
asterism graph rcl-train
has "$out" '"serpins" -> "split" [label="from"];' "DOT on stdout"
asterism graph rcl-train --format svg
grep -q '^<svg ' "$out"
ok $? "SVG when asked for"
asterism graph rcl-train -o train.svg
expect 0 "graph -o"
empty "$out" "to a file"
grep -q '^<svg ' train.svg
ok $? "the ending says SVG"
asterism graph rcl-train --format=png
has "$err" "format 'png': expected dot or svg" "another format"
asterism graph rcl-train -o /nowhere/train.svg
expect 1 "a folder that is not there"

# -- info
asterism info
expect 0 "info"
has "$out" "cuda: not built" "every op says what there is of CUDA"
has "$out" "workers" "the workers are listed"
asterism info --stages
expect 0 "info --stages"
has "$out" "read-table (gives proteins)" "with what a kind gives"
asterism info --pipelines
expect 0 "info --pipelines"
for f in "$src"/pipelines/*.yaml; do
    name=$(basename "$f" .yaml)
    grep -q "^  $name  *$(sed -n 's/^description: //p' "$f")\$" "$out"
    ok $? "lists $name with its description"
done
[ "$(wc -l <"$out")" = "$(ls "$src"/pipelines/*.yaml | wc -l)" ]
ok $? "and no other"
mkdir -p pipelines
printf 'asterism: 1\npipeline: mine\nstages: {}\n' >pipelines/mine.yaml
asterism info --pipelines
has "$out" "pipelines/mine.yaml:" "one with a mistake is listed with it"
rm -r pipelines
if command -v python3 >/dev/null; then
    for option in "" --stages --pipelines; do
        asterism info --json $option
        python3 -m json.tool <"$out" >/dev/null 2>"$err"
        ok $? "info --json $option is JSON"
    done
else
    skip "no python3 to read JSON with"
fi
asterism info more
expect 1 "info takes no words"

# -- report, convert
asterism report
has "$err" "report: expected one run directory, found 0" "report needs a directory"
asterism report /nowhere
expect 1 "report of nothing"
asterism convert a.h5
has "$err" "convert: expected two files, IN and OUT, found 1" "convert needs two files"
asterism convert a.h5 b.pt
has "$err" "'b.pt' ends neither in .h5 nor in .safetensors" "convert knows two formats"
touch there.h5
asterism convert a.h5 there.h5
has "$err" "there.h5 is there already; --force replaces it" "convert replaces nothing unasked"
asterism convert a.h5 b.h5 --precision f16
has "$err" "--precision: expected f32, f64 or bf16, found 'f16'" "convert knows three precisions"
asterism convert nowhere.h5 b.safetensors
expect 1 "convert of nothing"
has "$err" "nowhere.h5" "names the file"
finish
