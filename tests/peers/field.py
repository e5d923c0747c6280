# SPDX-License-Identifier: BSD-3-Clause
"""Force fields: ASE's own integrator, relaxation and stress driven by our library, beside our pipelines."""
import os
import subprocess
import sys

import numpy as np


def first_structures():
    import ase.build

    r = np.random.default_rng(4)
    frames = [ase.build.molecule(name) for name in ("CH3CH2OH", "C6H6", "H2O", "CH3NO2")]
    frames.append(ase.build.bulk("C", "diamond", 3.6) * (2, 1, 1))
    for k, a in enumerate(frames):
        a.rattle(0.05, rng=r)
        a.set_velocities(0.02 * r.normal(size=(len(a), 3)))
        a.info["name"] = f"s{k}"
    return frames


def pipeline(asterism, name, folder, out, *arguments):
    r = subprocess.run([asterism, "run", name, "weights=field.h5", "precision=f64", *arguments, "--out", out, "--quiet"], cwd=folder, capture_output=True)
    if r.returncode:
        print(r.stderr.decode(), file=sys.stderr)
    return r.returncode == 0


def check(ok, folder, asterism, drawn, examples, library):
    import ase.io
    from ase import units
    from ase.md.verlet import VelocityVerlet

    sys.path.insert(0, examples)
    from asterism_ase import Asterism

    place = lambda name: os.path.join(folder, name)
    made = subprocess.run([drawn, place("field.h5"), "mixing=isotropic", "cutoff_on=filter"])
    frames = first_structures()
    with open(place("start.extxyz"), "w") as f:
        for a in frames:
            columns = np.hstack([a.positions, a.get_velocities()])
            cell = f'Lattice="{" ".join(map(repr, a.cell.array.ravel().tolist()))}" ' if a.cell.rank else ""
            pbc = " ".join("FT"[int(p)] for p in a.pbc)
            f.write(f'{len(a)}\n{cell}Properties=species:S:1:pos:R:3:velocities:R:3 name="{a.info["name"]}" pbc="{pbc}"\n')
            for symbol, row in zip(a.get_chemical_symbols(), columns):
                f.write(symbol + "".join(f" {x!r}" for x in row.tolist()) + "\n")
    calc = Asterism(place("field.h5"), f64=True, cpus=1, library=library)
    ok(made.returncode == 0, "ASE opens our library with a drawn force field")

    energies, forces = calc.batch(frames)
    ok(pipeline(asterism, "mlff-evaluate", folder, "evaluated", "input=start.extxyz"), "mlff-evaluate takes the same structures")
    ours = ase.io.read(place("evaluated/evaluated.extxyz"), ":")
    ok(len(ours) == len(frames) and all(a.get_potential_energy() == e and np.array_equal(a.get_forces(), f) for a, e, f in zip(ours, energies, forces)),
       "its energies and forces are those of the library, to the bit")
    crystal = frames[-1].copy()
    crystal.calc = calc
    ok(np.array_equal(crystal.get_stress(), ours[-1].get_stress()) and np.abs(crystal.get_stress()).max() > 1e-6, "and so is the stress of the crystal")

    # Central differences of the energy by strain
    worst, cell, places, volume, h = 0, crystal.cell.array.copy(), crystal.positions.copy(), crystal.get_volume(), 1e-5
    for voigt, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        e = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h / 2
            strain[b, a] += sign * h / 2
            crystal.set_cell(cell @ strain)
            crystal.positions = places @ strain
            e.append(crystal.get_potential_energy())
        worst = max(worst, abs((e[0] - e[1]) / (2 * h) / volume - ours[-1].get_stress()[voigt]))
    ok(worst < 1e-9, f"stress by differences: off by {worst:.1e} eV/A^3")

    steps, dt = 60, 0.5
    ok(pipeline(asterism, "mlff-md", folder, "walked", "input=start.extxyz", f"steps={steps}", f"timestep={dt}", "frame_interval=1", "log_interval=1",
                "remove_momentum=false", "remove_rotation=false"), "mlff-md moves them")
    trajectory = ase.io.read(place("walked/trajectory.extxyz"), ":")
    ok(len(trajectory) == len(frames) * (steps + 1), f"{len(trajectory)} frames")
    worst_place = worst_velocity = worst_energy = moved = 0
    for k, a in enumerate(frames):
        copy = [t for t in trajectory if t.info["name"].startswith(a.info["name"])]
        a.calc = calc
        verlet = VelocityVerlet(a, timestep=dt * units.fs)
        for n, t in enumerate(copy):
            if n:
                verlet.run(1)
            worst_place = max(worst_place, np.abs(a.positions - t.positions).max())
            worst_velocity = max(worst_velocity, np.abs(a.get_velocities() - t.get_velocities()).max())
            worst_energy = max(worst_energy, abs(a.get_potential_energy() - t.get_potential_energy()))
        moved = max(moved, np.abs(copy[0].positions - copy[-1].positions).max()) if len(copy) == steps + 1 else np.nan
    ok(moved > 0.01 and worst_place < 1e-9 and worst_velocity < 1e-9 and worst_energy < 1e-9,
       f"ASE's Verlet with our forces walks the same way: {moved:.2f} A, off by {worst_place:.1e} A, {worst_velocity:.1e}, {worst_energy:.1e} eV")

    from ase.optimize import BFGS

    relaxed = frames[2].copy()
    relaxed.calc = calc
    before = relaxed.get_potential_energy()
    BFGS(relaxed, logfile=None).run(fmax=0.01, steps=100)
    ok(relaxed.get_potential_energy() < before, "ASE relaxes a molecule with it")
    for change, text in ((lambda a: a.set_atomic_numbers([99] * len(a)), "atomic number 99"), (lambda a: a.set_positions(a.positions * np.nan), "finite position")):
        broken = frames[2].copy()
        change(broken)
        try:
            calc.batch([frames[0], broken, frames[1], broken])
            said = [""]
        except ValueError as error:
            said = str(error).splitlines()
        ok(len(said) == 2 and all(name in line and text in line for name, line in zip(("molecule 2", "molecule 4"), said)),
           f"faults are an error of Python's: {said}")
    calc.close()
    try:
        Asterism(place("none.h5"), library=library)
        said = ""
    except RuntimeError as error:
        said = str(error)
    ok("none.h5" in said, f"so is a missing file: {said}")
