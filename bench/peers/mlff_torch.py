#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The force field of mlff-evaluate in PyTorch: energies and forces of batches of molecules, eager or compiled.

Reads the weights (.h5) and molecules (extxyz, without a cell) that mlff-evaluate reads. A batch of b holds the first b molecules,
again from the first when there are fewer; each trial moves the atoms by 0.001 A, so nothing can be kept from the trial before. Neighbours
are searched in every trial. Prints one JSON line: milliseconds per molecule, wall and CPU, medians over the trials. --compare FILE:
how far the energies in an energies.csv of mlff-evaluate are away instead.
"""
import argparse
import csv
import json
import pathlib
import statistics
import sys
import time

from rcl_torch import keep_memory


def arguments():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("weights", type=pathlib.Path)
    a.add_argument("molecules", type=pathlib.Path)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--first", type=int, default=17, help="molecules of the file that are used")
    a.add_argument("--trials", type=int, default=30)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--compile", action="store_true")
    a.add_argument("--compare", metavar="FILE")
    return a.parse_args()


ARGS = arguments()
keep_memory()

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

SYMBOLS = "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca".split()


class Field(torch.nn.Module):
    def __init__(self, path, dtype):
        super().__init__()
        with h5py.File(path) as f:
            group = f["params"]
            self.w = torch.nn.ParameterDict(
                {k.replace(".", "_"): torch.nn.Parameter(torch.tensor(v[...], dtype=dtype), requires_grad=False)
                 for k, v in group.items()})
            self.blocks, self.width, self.cutoff = int(f.attrs["num_interactions"]), int(f.attrs["hidden_dim"]), float(f.attrs["cutoff"])

    def linear(self, x, name):
        name = name.replace(".", "_")
        return F.linear(x, self.w[name + "_weight"], self.w[name + "_bias"])

    def forward(self, number, position, src, dst):
        n, f = position.shape[0], self.width
        r = position[src] - position[dst]
        d = r.norm(dim=1, keepdim=True)
        u = r / (d + 1e-8)
        x = torch.exp(-((d - self.w["rbf_centers"]) / self.w["rbf_widths"]) ** 2) * (torch.cos(torch.pi * d / self.cutoff) + 1) / 2
        s, v = self.w["embedding_weight"][number], position.new_zeros(n, 3, f)
        for k in range(self.blocks):
            name = f"interactions.{k}."
            phi = self.linear(F.silu(self.linear(x, name + "message.rbf_to_scalar.0")), name + "message.rbf_to_scalar.2")
            a, b, c = phi.split(f, 1)
            s = s.index_add(0, dst, s[src] * a)
            v = v.index_add(0, dst, v[src] * b[:, None] + u[:, :, None] * c[:, None])
            o = self.linear(F.silu(self.linear(torch.cat([s, v.norm(dim=1)], 1), name + "update.update_mlp.0")),
                            name + "update.update_mlp.2")
            a, b, c = o.split(f, 1)
            s = s + a
            if k < self.blocks - 1:
                m = self.w[(name + "update.mixing_matrix").replace(".", "_")]
                v = v * b[:, None] + torch.einsum("ab,nbf->naf", m, v) * c[:, None]
        z = F.silu(self.linear(F.silu(self.linear(s, "energy_head.0")), "energy_head.2"))
        return self.linear(z, "energy_head.4")[:, 0]


def read_molecules(path):
    lines, out = path.read_text().split("\n"), []
    while lines and lines[0].strip():
        n = int(lines[0])
        rows = [line.split() for line in lines[2:2 + n]]
        out.append((np.array([SYMBOLS.index(r[0]) for r in rows]), np.array([[float(c) for c in r[1:4]] for r in rows])))
        lines = lines[2 + n:]
    return out


def neighbours(position, owner, cutoff):
    """All pairs of the batch, as the published program finds them."""
    d2 = ((position[:, None] - position[None]) ** 2).sum(-1)
    near = (d2 <= cutoff ** 2) & (owner[:, None] == owner[None])
    near.fill_diagonal_(False)
    return near.nonzero(as_tuple=True)


def main():
    torch.set_num_threads(ARGS.threads)
    torch.set_flush_denormal(True)
    dtype = torch.float64 if ARGS.compare else torch.float32
    field, molecules = Field(ARGS.weights, dtype), read_molecules(ARGS.molecules)
    if ARGS.compare:
        with open(ARGS.compare, newline="") as f:
            theirs = [float(row["energy_eV"]) for row in csv.DictReader(f)]
        worst = 0.0
        for (number, x), energy in zip(molecules, theirs, strict=True):
            p = torch.tensor(x, dtype=dtype)
            src, dst = neighbours(p, torch.zeros(len(number)), field.cutoff)
            worst = max(worst, abs(field(torch.tensor(number), p, src, dst).sum().item() - energy))
        print(json.dumps({"molecules": len(theirs), "largest difference eV": worst}))
        return
    chosen = [molecules[k % min(ARGS.first, len(molecules))] for k in range(ARGS.batch)]
    number = torch.tensor(np.concatenate([m[0] for m in chosen]))
    start = torch.tensor(np.concatenate([m[1] for m in chosen]), dtype=dtype)
    owner = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor([len(m[0]) for m in chosen]))
    run = torch.compile(field, dynamic=True) if ARGS.compile else field
    wall, cpu = [], []
    for trial in range(ARGS.trials + 5):
        moved = start + 0.001 * torch.randn_like(start)
        w, c = time.perf_counter(), time.process_time()
        src, dst = neighbours(moved, owner, field.cutoff)
        moved.requires_grad_(True)
        atomic = run(number, moved, src, dst)
        energy = torch.zeros(len(chosen)).index_add(0, owner, atomic.detach())
        force = -torch.autograd.grad(atomic.sum(), moved)[0]
        assert torch.isfinite(force).all() and torch.isfinite(energy).all()
        if trial >= 5:
            wall.append(1e3 * (time.perf_counter() - w) / ARGS.batch)
            cpu.append(1e3 * (time.process_time() - c) / ARGS.batch)
    print(json.dumps({"torch": torch.__version__, "compiled": ARGS.compile, "threads": ARGS.threads, "batch": ARGS.batch,
                      "ms_per_molecule": statistics.median(wall), "cpu_ms_per_molecule": statistics.median(cpu),
                      "min_ms": min(wall), "max_ms": max(wall)}))


if __name__ == "__main__":
    sys.exit(main())
