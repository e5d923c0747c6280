# SPDX-License-Identifier: BSD-3-Clause
# For tests of bad inputs: sourced. A run that works, and bad(), which wants a clear end.
[ -n "${TMPDIR-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # no waiting for a disk
. "$src/tests/cli/tap.sh" || exit 1
make_inputs=$(cd "${builddir:-.}" && pwd)/tests/make-inputs
data=$src/data/synthetic
cd "$work" || exit 1

# bad STATUS NAME WORDS ARGUMENTS...: the program ends with this status, and its message has every one of the words, which
# are separated by |. A run goes into a new folder of its own unless --out is among the arguments.
bad() {
    local want=$1 name=$2 words=$3 missing= word list
    shift 3
    case "$1 $*" in
    run*--out*) ;;
    run*) rm -rf bad_run; set -- "$@" --out bad_run ;;
    esac
    timeout -k 5 60 "$ASTERISM" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
    said=$(cat "$out" "$err" | tr -d '\0')
    IFS='|' read -ra list <<<"$words"
    for word in "${list[@]}"; do
        [[ $said == *"$word"* ]] || missing="$missing '$word'"
    done
    [[ ! $said =~ Sanitizer|runtime\ error:|Assertion ]] || missing="$missing (a mistake of the program)"
    [ "$rc" = "$want" ] && [ -z "$missing" ]
    ok $? "$name${missing:+; missing:$missing}"
}

# fine NAME ARGUMENTS...: what bad() refuses below differs from this in one thing.
fine() {
    local name=$1
    shift
    bad 0 "$name" "" "$@"
}

tables="train_serpin=$data/serpins_train.csv train_non_serpin=$data/negatives_train.csv"
tiny="model=cnn cnn_channels=4 cnn_kernel_sizes=3 max_length=160 epochs=2 shards=2 tensorboard=false"
train="run rcl-train --quiet $tiny train_non_serpin=$data/negatives_train.csv"
head='id,Sequence,rcl_start,rcl_end'
row='P1,ACDEFGHIKLMNPQRSTVWY,3,7'
printf "$head\n$row\nP2,KKKK,1,2\n" >table.csv
mkdir in
"$make_inputs" in
ok $? "binary inputs are made"
fine "the training that the rest varies" run rcl-train --quiet $tiny $tables --out t
printf '>a\nMKVA\n>b\nQQQQ\n' >two.fasta
predict="run rcl-predict --quiet model=t"
fine "the prediction that the rest varies" $predict input=two.fasta
