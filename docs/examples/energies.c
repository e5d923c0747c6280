/* SPDX-License-Identifier: BSD-3-Clause */
/* energies WEIGHTS: stretches one bond of a water molecule and prints energy and force of each
 * length, all from one call. Compile with
 *     cc energies.c $(pkg-config --cflags --libs asterism) -lm -o energies */
#include <asterism.h>

#include <math.h>
#include <stdio.h>

enum { LENGTHS = 21, ATOMS = 3 };

int main(int argc, char **argv)
{
    static const int32_t number[ATOMS] = {8, 1, 1};
    struct aster_molecule molecule[LENGTHS] = {0};
    double position[LENGTHS][ATOMS][3], force[LENGTHS][ATOMS][3];
    struct aster_calculator *calculator;
    struct aster_calculator_options options;
    int64_t failed;

    if (argc != 2) {
        fprintf(stderr, "usage: energies WEIGHTS\n");
        return 1;
    }
    for (int k = 0; k < LENGTHS; k++) {
        double length = 0.80 + 0.02 * k, angle = 104.5 * acos(-1) / 180;
        double place[ATOMS][3] = {
            {0, 0, 0}, {length, 0, 0}, {0.96 * cos(angle), 0.96 * sin(angle), 0}};
        for (int i = 0; i < ATOMS; i++)
            for (int a = 0; a < 3; a++)
                position[k][i][a] = place[i][a];
        molecule[k].n = ATOMS;
        molecule[k].number = number;
        molecule[k].position = position[k][0];
        molecule[k].forces = force[k][0];
    }

    aster_calculator_options_default(&options);
    options.f64 = true;
    if (aster_calculator_open(argv[1], &options, &calculator) != 0 ||
        aster_calculator_run(calculator, LENGTHS, molecule, &failed) != 0) {
        fprintf(stderr, "energies: %s\n",
                calculator ? aster_calculator_message(calculator) : "out of memory");
        aster_calculator_close(&calculator);
        return 1;
    }
    printf("length_A,energy_eV,force_eV_per_A\n");
    for (int k = 0; k < LENGTHS; k++)
        if (molecule[k].status == 0)
            printf("%.2f,%.9f,%.9f\n", position[k][1][0], molecule[k].energy, force[k][1][0]);
        else
            fprintf(stderr, "energies: %s\n", aster_calculator_reason(calculator, k));
    aster_calculator_close(&calculator);
    return failed > 0;
}
