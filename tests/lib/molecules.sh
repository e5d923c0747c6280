# SPDX-License-Identifier: BSD-3-Clause
# Drawn molecules for shell tests, to be sourced. A script may set both numbers before it draws.
fewest=1  # atoms of a molecule
per_row=3 # atoms beside each other, in rows beside each other

# molecules N MOST SEED: extxyz of N clouds of $fewest to MOST atoms, none nearer to another than 0.9 A; the second of
# seed 7 is called m7_2
molecules() {
    awk -v n="$1" -v most="$2" -v seed="$3" -v fewest="$fewest" -v row="$per_row" 'BEGIN {
        srand(seed)
        split("H C N O", symbol, " ")
        for (m = 1; m <= n; m++) {
            atoms = fewest + int(rand() * (most - fewest + 1))
            printf "%d\nProperties=species:S:1:pos:R:3 name=\"m%d_%d\"\n", atoms, seed, m
            for (i = 0; i < atoms; i++)
                printf "%s %.6f %.6f %.6f\n", symbol[1 + int(rand() * 4)], 1.3 * (i % row) + rand() * 0.3,
                    1.3 * (int(i / row) % row) + rand() * 0.3, 1.3 * int(i / (row * row)) + rand() * 0.3
        }
    }'
}
