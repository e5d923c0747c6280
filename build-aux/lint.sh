#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Rules of form that a machine can check. Usage: lint.sh SOURCE_DIR [CC CPPFLAGS...]; exit status 1 when one is broken.
set -u
cd "$1" || exit 1
shift
bad=0
complain() {
    echo "lint: $*"
    bad=1
}
if git rev-parse --git-dir >/dev/null 2>&1; then
    files=$(git ls-files -co --exclude-standard)
else
    files=$(find . -type f -not -path './build*' | sed 's|^\./||')
fi
code=$(echo "$files" | grep -E '\.(c|h|cu|def)$')
text=$(echo "$files" | grep -E '\.(c|h|cu|def|sh|am|ac|mk|m4|yaml|md|py|[0-9])$|^scripts/|^\.ci/')

for f in $code; do
    [ -f "$f" ] || continue
    head -n 1 "$f" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || complain "$f: the first line must be the SPDX line"
    n=$(wc -l <"$f")
    [ "$n" -le 900 ] || complain "$f: $n lines, 900 at most"
done

# who may include whom
allowed_base="base" allowed_atoms="base atoms" allowed_io="base atoms io" allowed_seq="base seq" allowed_program="base program" allowed_runtime="base runtime"
allowed_model="base atoms program model" allowed_train="base atoms program model train runtime io"
allowed_flow="base io seq atoms program model train runtime flow" allowed_pipeline="base runtime flow pipeline"
allowed_cli="base flow pipeline train runtime cli io"
for layer in base atoms io seq program runtime model train flow pipeline cli; do
    var=allowed_$layer
    for f in $(echo "$code" | grep "^src/$layer/"); do
        for inc in $(sed -nE 's/^#include "(([a-z]+)\/[^"]*)".*/\2/p' "$f"); do
            case " base atoms io seq program runtime model train flow pipeline cli " in
            *" $inc "*) case " ${!var} " in *" $inc "*) ;; *) complain "$f: src/$layer must not include $inc/" ;; esac ;;
            esac
        done
    done
done
grep -lE '#include <starpu' $code /dev/null | grep -vE '^(codelets/[a-z_]+\.[ch]|src/runtime/|src/cli/main\.c)' | while read -r f; do
    echo "lint: $f: starpu.h is for codelets/*.c, src/runtime and src/cli/main.c"
done | grep . && bad=1
grep -lE '#include <hdf5' $code /dev/null | grep -v '^src/io/' | grep . && complain "HDF5 is for src/io"
grep -lE '#include <yaml' $code /dev/null | grep -v '^src/pipeline/' | grep . && complain "libyaml is for src/pipeline"
for f in $(echo "$code" | grep -E '^codelets/cpu/'); do
    grep -nE '#include "(program|runtime|model|train|flow|pipeline|cli|io|seq|atoms)/' "$f" && complain "$f: kernels see base and backend.h only"
done

# calls that have a better form here
for f in $(echo "$code" | grep -E '^(src|codelets)/'); do
    grep -nE '\b(atoi|atof|atol|strtok|gets|sprintf|strcpy|strcat|alloca)\(' "$f" && complain "$f: use the checked forms of base.h"
    case $f in src/cli/* | src/base/* | src/flow/progress.c) ;; # progress.c draws the dashboard
     *) grep -nE '\b(exit|printf|puts)\(|fprintf\((stdout|stderr)' "$f" | grep -v snprintf | grep . &&
        complain "$f: only src/cli prints or exits" ;; esac
done
forbidden='\bTO''DO\b|\bFIX''ME\b|\bXX''X\b|not imple''mented|unimple''mented'
grep -nE "$forbidden" $text /dev/null | grep -v '^build-aux/lint.sh' | grep . && complain "unfinished words"
grep -nE '(^|[^a-z])/(work|root|farm)/' $text /dev/null | grep . && complain "a path of one machine"
echo "$files" | grep -E '^(src|codelets)/.*\.c$' | sed 's|.*/||' | sort | uniq -d | grep . && complain "two sources with one file name"

# every header compiles alone
if [ $# -gt 0 ]; then
    for h in $(echo "$code" | grep -E '^(src|codelets)/.*\.h$' | grep -vE '_real\.h$|cuda/|cpu/micro'); do
        "$@" -x c -fsyntax-only -Wno-unused "$h" 2>/dev/null || complain "$h: does not compile alone"
    done
fi
[ $bad = 0 ] && echo "lint: clean"
exit $bad
