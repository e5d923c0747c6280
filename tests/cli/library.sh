#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The shared library as a program outside meets it: installed, found by pkg-config, compiled against, run; its numbers
# beside those of mlff-evaluate.
src=$(cd "${srcdir:-.}" && pwd)
build=$(cd "${builddir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}
for need in cc pkg-config make nm; do
    command -v "$need" >/dev/null || skip_all "no $need"
done
[ -e "$build/libasterism.so" ] || skip_all "this build has no libasterism.so (sanitizers, simulation)"

root=$work/root
(cd "$build" && MAKEFLAGS= make -s install-exec-local install-includeHEADERS install-pkgconfigDATA install-dist_exampleDATA DESTDIR="$root") >make.log 2>&1
ok $? "library, header, pkg-config file and examples are installed"
pc=$(find "$root" -name asterism.pc)
prefix=$root$(sed -n 's/^prefix=//p' "$pc")
[ "$(PKG_CONFIG_PATH=${pc%/*} pkg-config --modversion asterism)" = "$("$ASTERISM" --version | awk 'NR == 1 { print $2 }')" ]
ok $? "pkg-config says the version"
flags=$(PKG_CONFIG_PATH=${pc%/*} pkg-config --define-variable=prefix="$prefix" --cflags --libs asterism)

# The exported names are those of the header, no others.
nm -D --defined-only "$prefix"/lib*/libasterism.so 2>/dev/null | awk '{ print $3 }' | sort >exported
sed -nE 's/^.*\b(aster_(job|calculator|version)[a-z_]*)\(.*/\1/p' "$src/src/asterism.h" | sort -u >declared
[ -s declared ] && diff declared exported >names.diff
ok $? "the library shows what asterism.h declares"
[ -s names.diff ] && sed 's/^/# /' names.diff
echo '#include <asterism.h>
int main() { return aster_version()[0] == 0; }' >plus.cc
if command -v c++ >/dev/null; then
    c++ -Wall -Wextra -Werror plus.cc $flags -o plus 2>plus.err && ./plus
    ok $? "asterism.h in C++"
fi

example=$(find "$root" -name energies.c)
cc -std=c11 -Wall -Wextra -Werror "$example" $flags -lm -o energies 2>cc.err
ok $? "the example compiles"
sed 's/^/# /' cc.err | head
"$build/tests/random-forcefield" field.h5 && ./energies field.h5 >curve.csv 2>curve.err
ok $? "it runs"
[ "$(wc -l <curve.csv)" = 22 ]
ok $? "21 lengths"

# The same molecules through the pipeline
awk 'BEGIN {
    pi = atan2(0, -1)
    for (k = 0; k < 21; k++)
        printf "3\nProperties=species:S:1:pos:R:3\nO 0 0 0\nH %.17g 0 0\nH %.17g %.17g 0\n", 0.80 + 0.02 * k, 0.96 * cos(104.5 * pi / 180), 0.96 * sin(104.5 * pi / 180)
}' >curve.xyz
asterism run mlff-evaluate weights=field.h5 input=curve.xyz precision=f64 --out run --quiet
ok $rc "mlff-evaluate takes the same molecules"
paste -d, <(tail -n +2 curve.csv) <(tail -n +2 run/energies.csv) | awk -F, '
    { d = $2 - $8; if (d < 0) d = -d; if (d > most) most = d; n++ }
    END { printf "# largest difference %g eV\n", most; exit !(n == 21 && most < 2e-9) }'
ok $? "its energies are those of the call"
# The work along the path is the difference of the energies at its ends.
tail -n +2 curve.csv | awk -F, '
    { if (NR > 1) work += ($3 + last) / 2 * 0.02; else first = $2; last = $3; end = $2 }
    END { d = work - (first - end); if (d < 0) d = -d; printf "# work %g, off by %g eV\n", work, d; exit !(NR == 21 && work > 0 && d < 0.02 * work) }'
ok $? "the work of its forces is the difference of its energies"

./energies none.h5 >none.csv 2>none.err
[ $? = 1 ] && grep -q "none.h5: cannot be read" none.err && [ ! -s none.csv ]
ok $? "a file that is not there"
finish
