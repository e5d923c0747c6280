# SPDX-License-Identifier: BSD-3-Clause
"""Files between our program and the libraries that own the formats: each side must read what the other meant. Usage: peers.py PEERS-FILES DIR ASTERISM RANDOM-LANGUAGE RANDOM-FORCEFIELD EXAMPLES LIBRARY"""
import json
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import safetensors
import safetensors.numpy

import field

program, folder = sys.argv[1:3]
count = failed = 0
OURS = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8}


def ok(good, what):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}", flush=True)


def path(name):
    return os.path.join(folder, name)


def run(*arguments):
    """Exit status, parsed lines, messages."""
    r = subprocess.run([program, *arguments], capture_output=True)
    lines = [json.loads(line) for line in r.stdout.decode().splitlines()]
    return r.returncode, {line["name"]: line for line in lines}, r.stderr.decode()


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def holds(line, want):
    """What our program dumped equals an array, to the bit after the conversion that it announces."""
    want = np.asarray(want)
    if line is None or line["shape"] != list(want.shape):
        return False
    if "text" in line:
        texts = [t.decode() if isinstance(t, bytes) else str(t) for t in want.ravel()]
        return line["text"] == texts
    got = np.frombuffer(bytes.fromhex(line["hex"]), OURS[line["dtype"]]).reshape(want.shape)
    return same_bits(got, want.astype(OURS[line["dtype"]])) and bool(np.all((got == want) | (got != got)))


def our_h5():
    with h5py.File(path("ours.h5"), "r") as f:
        ok(same_bits(f["weights/conv.0.weight"][()], np.float32(np.arange(6, dtype=np.float32) / np.float32(3) - np.float32(1)).reshape(2, 3)), "h5py reads our f32")
        ok(same_bits(f["weights/deep/f64"][()], np.array([0.1, -1e300, 5e-324, 1 / 3])), "h5py reads our f64")
        ok(same_bits(f["bf16"][()], np.array([0x3F80, 0xC020, 0x7F80], np.uint16)), "h5py reads our bf16 as 16-bit integers")
        ok(same_bits(f["i32"][()], np.array([-(2**31), -7, 2**31 - 1], np.int32)), "h5py reads our i32")
        ok(same_bits(f["i64"][()], np.array([-(2**63), 2**63 - 1], np.int64)), "h5py reads our i64")
        ok(same_bits(f["u8"][()], np.array([0, 1, 128, 255], np.uint8)), "h5py reads our u8")
        ok(f["scalar"].shape == () and f["scalar"][()] == 3.25, "h5py reads our scalar")
        ok(f["none"].shape == (0, 5) and f["none"].dtype == np.float32, "h5py reads our array of no rows")
        ok(list(f["text"].asstr()[()]) == ["", "P01009", "spät 😀", "a longer text, with a comma"], "h5py reads our texts")
        ok(same_bits(f["rows"][()], (np.arange(75) * 0.1).reshape(25, 3)) and f["rows"].maxshape == (None, 3), "h5py reads our appended rows")
        ok(f.attrs["epoch"] == 7 and f["weights"].attrs["lr"] == 0.1 and f["u8"].attrs["note"] in ("café", "café".encode()), "h5py reads our attributes")


def our_safetensors():
    with open(path("ours.safetensors"), "rb") as f:
        raw = f.read()
    tensors = dict(safetensors.deserialize(raw))
    want = {"u8": ("U8", [3], np.array([0, 128, 255], np.uint8)),
            "layer.0/f32": ("F32", [2, 3], np.array([0, 0.5, -1.5, 3e38, 1e-40, -0.0], np.float32)),
            "f64": ("F64", [2], np.array([0.1, -1e300])),
            'b"f16': ("BF16", [3, 1], np.array([0x3F80, 0xC020, 0xFF80], np.uint16)),
            "i32": ("I32", [1, 2, 2], np.array([-(2**31), -1, 0, 2**31 - 1], np.int32)),
            "i64": ("I64", [], np.array(-(2**63), np.int64)),
            "none": ("F32", [0, 4], np.array([], np.float32))}
    ok(set(tensors) == set(want), "safetensors finds our seven tensors")
    for name, (dtype, shape, value) in want.items():
        t = tensors.get(name, {})
        ok(t.get("dtype") == dtype and t.get("shape") == shape and bytes(t.get("data", b"?")) == value.tobytes(), f"safetensors reads our {dtype} {shape}")
    with safetensors.safe_open(path("ours.safetensors"), framework="numpy") as f:
        ok(f.metadata() == {"format": "pt", "note": 'two\nlines "quoted" é'}, "safetensors reads our metadata")
        ok(same_bits(f.get_tensor("layer.0/f32"), want["layer.0/f32"][2].reshape(2, 3)), "and maps a tensor")


def our_events(started):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    e = EventAccumulator(path("tensorboard"), size_guidance={"scalars": 0})
    e.Reload()
    ok(sorted(e.Tags()["scalars"]) == ["Loss/train", "Metrics/f1_macro"], "TensorBoard finds our tags")
    loss, f1 = e.Scalars("Loss/train"), e.Scalars("Metrics/f1_macro")
    ok([s.step for s in loss] == list(range(300)) and [s.step for s in f1] == [k * 1000000007 for k in range(300)], "TensorBoard reads our steps")
    ok([s.value for s in loss] == [float(np.float32(k) / np.float32(7)) for k in range(300)] and [s.value for s in f1] == [-float(k) for k in range(300)], "TensorBoard reads our values")
    ok(all(started - 1 <= s.wall_time <= time.time() for s in loss), "TensorBoard reads our times")
    ok(e.file_version == 2.0, "TensorBoard reads our version")


def arrays():
    r = np.random.default_rng(5)
    return {"f2": np.array([0, 1, -2, 65504, 2.0**-24, np.inf, -np.inf], np.float16), "f4": r.standard_normal((7, 3, 2)).astype(np.float32),
            "f8": r.standard_normal((4, 5)), "i4": np.array([[-(2**31), 2**31 - 1]], np.int32), "i8": np.array([-(2**63), 2**63 - 1, 5]),
            "i2": np.array([-(2**15), 2**15 - 1], np.int16), "i1": np.array([-128, 127], np.int8), "u1": np.arange(256, dtype=np.uint8).reshape(16, 16),
            "u2": np.array([0, 65535], np.uint16), "u4": np.array([0, 2**32 - 1], np.uint32), "b1": np.array([True, False, True]),
            "scalar": np.array(2.5), "no_rows": np.zeros((0, 4), np.float32), "no_columns": np.zeros((4, 0), np.float32),
            "big": np.arange(300000, dtype=np.int32).reshape(1000, 300)}


def texts():
    return {"U": np.array(["P01009", "", "spät 😀", "x"]), "U2": np.array([["a", "bc"], ["d", "é"]]), "S": np.array([b"P01009", b"", b"ab"]), "U0": np.array(["", ""])}


def numpy_files():
    a = {**arrays(), **texts()}
    np.savez(path("stored.npz"), **a)
    np.savez_compressed(path("deflated.npz"), **a)
    for kind in ("stored", "deflated"):
        status, lines, message = run("npz", path(f"{kind}.npz"), *a)
        ok(status == 0, f"our reader takes {kind}.npz {message.strip()}")
        wrong = [name for name, value in a.items() if not holds(lines.get(name), value)]
        ok(not wrong, f"{kind}: {len(a)} arrays of numpy read rightly {wrong or ''}")
    np.save(path("single.npy"), a["f4"])
    status, lines, _ = run("npz", path("single.npy"), "single")
    ok(status == 0 and holds(lines.get("single"), a["f4"]), "a single .npy")
    column = np.asfortranarray(a["f8"])
    for name, value, word in (("fortran", column, "Fortran"), ("big_endian", a["f4"].astype(">f4"), "big-endian"),
                              ("objects", np.array(["a", None], object), "objects"), ("complex", np.array([1j]), "c16"),
                              ("records", np.array([(1, 2.0)], "i4,f8"), "structured"), ("unsigned", np.array([1], np.uint64), "u8")):
        np.savez(path("refused.npz"), **{name: value})
        status, lines, message = run("npz", path("refused.npz"), name)
        ok(status == 1 and not lines and word in message and name in message and "refused.npz" in message, f"refused: {message.strip().replace(folder, '')}")


def h5py_files():
    a = {k: v for k, v in arrays().items()}
    u64 = np.array([1, 2**62], np.uint64)
    for kind, version in (("oldest", "earliest"), ("v110", ("v110", "v110"))):
        name = path(f"{kind}.h5")
        with h5py.File(name, "w", libver=version) as f:
            for k, v in a.items():
                packed = v.ndim > 0 and v.size > 0
                f.create_dataset(f"packed/{k}", data=v, **({"chunks": tuple(max(1, n // 2) for n in v.shape), "compression": "gzip", "shuffle": True, "fletcher32": True} if packed else {}))
                f[f"plain/{k}"] = v
            f["other/u64"] = u64
            f["other/big_endian"] = a["f4"].astype(">f4")
            f["other/big_endian_integers"] = a["i4"].astype(">i4")
            f.create_dataset("other/unwritten", (5, 3), "f4", fillvalue=7)
            f.create_dataset("other/growing", data=a["f8"], maxshape=(None, 5), chunks=(3, 2))
            f.create_dataset("text/variable", data=["P01009", "", "spät 😀"], dtype=h5py.string_dtype())
            f.create_dataset("text/fixed", data=np.array([b"P01009", b"", b"ab"]), chunks=(2,), compression="gzip")
            f.create_dataset("text/ascii", data=["a", "b" * 300], dtype=h5py.string_dtype("ascii"))
            f.create_dataset("text/utf8", data="spät".encode(), dtype=h5py.string_dtype("utf-8", 9))
            f.attrs["i"] = np.int32(-5)
            f.attrs["d"] = 0.1
            f.attrs["flag"] = np.bool_(True)
            f.attrs["variable"] = "spät"
            f["text"].attrs["fixed"] = np.bytes_(b"P01009")
            f["plain"].attrs["three"] = np.array([1, 2.5, -3], np.float32)
        status, lines, message = run("h5", name, "/@i:i", "/@d:d", "/@flag:i", "/@variable:s", "text@fixed:s", "plain@three:3")
        ok(status == 0, f"our reader takes h5py's {kind} format {message.strip()}")
        wrong = [k for k in a for group in ("packed", "plain") if not holds(lines.get(f"/{group}/{k}"), a[k])]
        ok(not wrong, f"{kind}: {2 * len(a)} datasets of h5py read rightly {wrong or ''}")
        ok(holds(lines.get("/other/u64"), u64) and holds(lines.get("/other/big_endian"), a["f4"]) and holds(lines.get("/other/big_endian_integers"), a["i4"]), f"{kind}: u64, big-endian numbers")
        ok(holds(lines.get("/other/unwritten"), np.full((5, 3), 7, "f4")) and holds(lines.get("/other/growing"), a["f8"]), f"{kind}: fill values, growing datasets")
        want = {"variable": ["P01009", "", "spät 😀"], "fixed": ["P01009", "", "ab"], "ascii": ["a", "b" * 300], "utf8": ["spät"]}
        ok(all(lines.get(f"/text/{k}", {}).get("text") == v for k, v in want.items()), f"{kind}: fixed and variable texts")
        ok(holds(lines.get("/@i:i"), np.int64(-5)) and holds(lines.get("/@d:d"), np.float64(0.1)) and holds(lines.get("/@flag:i"), np.int64(1)), f"{kind}: attributes that are numbers")
        ok(lines.get("/@variable:s", {}).get("text") == ["spät"] and lines.get("text@fixed:s", {}).get("text") == ["P01009"] and holds(lines.get("plain@three:3"), np.array([1, 2.5, -3])), f"{kind}: attributes that are texts or lists")


def safetensors_files():
    a = {k: v for k, v in arrays().items()}
    safetensors.numpy.save_file(a, path("theirs.safetensors"), metadata={"format": "np"})
    status, lines, message = run("st", path("theirs.safetensors"))
    names = {"f2": "F16", "f4": "F32", "f8": "F64", "i4": "I32", "i8": "I64", "i2": "I16", "i1": "I8", "u1": "U8", "u2": "U16", "u4": "U32", "b1": "BOOL"}
    wrong = [k for k, v in a.items() if lines.get(k, {}).get("hex") != v.tobytes().hex() or lines[k]["shape"] != list(v.shape) or lines[k]["dtype"] != names.get(k, lines[k]["dtype"])]
    ok(status == 0 and not wrong and len(lines) == len(a) + 1, f"{len(a)} tensors of safetensors read rightly {wrong or ''} {message.strip()}")
    ok(lines.get("__metadata__ format", {}).get("text") == ["np"], "and their metadata")


def converted():
    """Weights that convert writes, f32 and bf16, read by the libraries whose formats they are in."""
    asterism, draw = sys.argv[3:5]
    subprocess.run([draw, "dnabert", path("model"), "layers=1"], check=True)
    first = safetensors.numpy.load_file(path("model/model.safetensors"))
    for number, out in (("f32", "a/model.h5"), ("bf16", "b/model.h5"), ("f64", "c/model.h5")):
        os.mkdir(os.path.dirname(path(out)))
        r = subprocess.run([asterism, "convert", path("model"), path(out), "--precision", number], capture_output=True)
        with h5py.File(path(out)) as f:
            theirs = {k: v[()] for k, v in f["weights"].items()}
            marked = all(v.attrs.get("dtype") in ("bf16", b"bf16") for v in f["weights"].values())
        if number == "bf16":  # to nearest, ties to even
            bits = {k: v.view(np.uint32) for k, v in first.items()}
            want = {k: ((v + 0x7FFF + (v >> 16 & 1)) >> 16).astype(np.uint16) for k, v in bits.items()}
        else:
            want = {k: v.astype(OURS[number]) for k, v in first.items()}
            marked = True
        same = theirs.keys() == want.keys() and all(same_bits(theirs[k], want[k]) for k in want)
        ok(r.returncode == 0 and same and marked, f"h5py reads converted weights in {number} {r.stderr.decode().strip()}")
    r = subprocess.run([asterism, "convert", path("a"), path("a/back.safetensors")], capture_output=True)
    back = safetensors.numpy.load_file(path("a/back.safetensors"))
    ok(r.returncode == 0 and back.keys() == first.keys() and all(same_bits(back[k], first[k]) for k in first), "safetensors reads them after they were converted back")


def made(k):
    """The structure that our program writes as number k."""
    n = 3 + k
    s = {"numbers": 1 + (np.arange(n) * 13 + k * 29) % 118, "positions": (np.arange(3.0 * n) + 1 / 3 + k).reshape(n, 3),
         "pbc": np.array([k >= 2, False, k >= 2]), "cell": np.zeros((3, 3)), "name": [None, "name", "name", 'a "b" \\ c=d'][k]}
    if k >= 2:
        m = np.arange(9.0)
        s["cell"] = (np.where(m % 4 == 0, 10 + m, 0.1 * m) + k).reshape(3, 3)
    if k % 2:
        s["energy"], s["forces"] = -100 / 3, (-np.arange(3.0 * n) / 7).reshape(n, 3)
    if k == 3:
        s["stress"] = (np.arange(6) + 1) / 9
    return s


def our_structures():
    import ase.io

    frames = ase.io.read(path("ours.extxyz"), ":")
    ok(len(frames) == 4, "ASE finds our four frames")
    for k, a in enumerate(frames):
        s, r = made(k), a.calc.results if a.calc else {}
        ok(np.array_equal(a.numbers, s["numbers"]) and same_bits(a.positions, s["positions"]) and same_bits(a.cell.array, s["cell"]) and np.array_equal(a.pbc, s["pbc"]),
           f"frame {k}: elements, positions, cell and periodic axes")
        ok(r.get("energy") == s.get("energy") and same_bits(r.get("forces", 0.0), s.get("forces", 0.0)) and same_bits(r.get("stress", 0.0), s.get("stress", 0.0)) and a.info.get("name") == s["name"],
           f"frame {k}: energy, forces, stress and name")
    with h5py.File(path("structures.h5")) as f:
        g, t = f["structures"], f["labels"]
        ok(g["pbc"].dtype == bool and t["stress_mask"].dtype == bool and g["cells"].shape == (4, 3, 3) and g["atomic_numbers"].dtype == np.int64 and t["forces"].dtype == np.float32,
           "h5py finds the types of the data set layout")
        at = g["atomic_numbers_splits"][()]
        ok(all(same_bits(g["positions"][at[k]:at[k + 1]], made(k)["positions"]) and np.array_equal(g["pbc"][k], made(k)["pbc"]) for k in range(4)), "and our positions in it")
        to = t["forces_splits"][()]
        ok(list(t["structure_indices"]) == [1, 3] and all(same_bits(t["forces"][to[m]:to[m + 1]], made(k)["forces"].astype(np.float32)) and t["energy"][m] == made(k)["energy"] for m, k in enumerate((1, 3)))
           and list(t["stress_mask"]) == [False, True] and same_bits(t["stress"][1], made(3)["stress"]), "and our labels")


def ase_structures():
    import ase.build
    import ase.data
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    r = np.random.default_rng(9)
    frames = [ase.build.molecule("CH3CH2OH"), ase.build.bulk("Cu") * (2, 1, 3), ase.build.fcc111("Pt", (2, 2, 3), vacuum=7.0)]
    for a in frames:
        a.rattle(0.1, rng=r)
        results = {"energy": r.normal(), "forces": r.normal(size=(len(a), 3))}
        if a.cell.rank == 3:
            results["stress"] = r.normal(size=6)
        a.calc = SinglePointCalculator(a, **results)
        a.info = {"comment": "with \"quotes\", [brackets] and = signs"}
        a.set_tags(range(len(a)))
    ase.io.write(path("theirs.extxyz"), frames, format="extxyz")
    ase.io.write(path("plain.xyz"), frames, format="xyz")
    status, lines, message = run("structures", path("theirs.extxyz"))
    ok(status == 0 and not message, f"our reader takes ASE's extxyz {message.strip()}")
    for k, a in enumerate(frames):
        results = a.calc.results
        # ASE writes 8 decimals
        close = all(np.allclose(np.frombuffer(bytes.fromhex(lines[f"{k}/{name}"]["hex"])).reshape(np.shape(want)), want, rtol=1e-7, atol=1e-8)
                    for name, want in (("positions", a.positions), ("energy", results["energy"]), ("forces", results["forces"]), ("pbc", a.pbc.astype(float)))
                    + ((("cell", a.cell.array), ("stress", results["stress"])) if a.cell.rank == 3 else ()))
        ok(close and holds(lines.get(f"{k}/numbers"), a.numbers.astype(np.int32)) and (f"{k}/stress" in lines) == ("stress" in results), f"{a.symbols}: all of ASE's numbers")
    status, lines, message = run("structures", path("plain.xyz"))
    ok(status == 0 and not message and all(holds(lines.get(f"{k}/numbers"), a.numbers.astype(np.int32)) for k, a in enumerate(frames)), "our reader takes ASE's plain xyz")
    symbols, masses = ase.data.chemical_symbols, ase.data.atomic_masses_iupac2016
    status, lines, message = run("elements", "-")
    ok(status == 0 and lines["symbols"]["text"] == symbols[1:] and holds(lines["masses"], masses[1:119]), "our elements and masses are ASE's")


def simulate(name, frames, *arguments):
    """A run of mlff-md with a drawn force field from frames that ASE writes: its folder."""
    import ase.io

    asterism, draw = sys.argv[3], os.path.join(os.path.dirname(sys.argv[4]), "random-forcefield")
    subprocess.run([draw, path("field.h5"), "seed=3"], check=True)
    ase.io.write(path(f"{name}.xyz"), frames, format="extxyz")
    subprocess.run([asterism, "run", "mlff-md", f"weights={path('field.h5')}", f"input={path(name + '.xyz')}", "log_interval=2", "--quiet", "--out", path(name), *arguments],
                   check=True, stdin=subprocess.DEVNULL)
    return path(name)


def ase_trajectories():
    import ase.build
    import ase.io
    import ase.units

    crystal = ase.build.bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    frames = [ase.build.molecule("CH3CH2OH"), crystal]
    for k, a in enumerate(frames):
        a.set_momenta(np.random.default_rng(k).normal(scale=0.3, size=(len(a), 3)))
    folder = simulate("moved", frames, "steps=4", "velocities=file", "frame_interval=2")
    got = ase.io.read(os.path.join(folder, "trajectory.extxyz"), ":")
    with open(os.path.join(folder, "thermo.csv")) as f:
        names = f.readline().strip().split(",")
        log = [dict(zip(names, line.strip().split(","))) for line in f]
    ok(len(got) == len(log) == 6 and [a.info["step"] for a in got] == [0, 2, 4] * 2 and [a.info["copy"] for a in got] == [1] * 3 + [2] * 3, "ASE finds the frames of two simulations")
    ok(all(np.allclose(got[3 * k].get_momenta(), a.get_momenta(), atol=2e-8) and np.allclose(got[3 * k].positions, a.positions, atol=2e-8) for k, a in enumerate(frames)),
       "they begin with ASE's positions and momenta")
    ok(all(a.get_potential_energy() == float(x["potential_eV"]) and np.isclose(a.get_kinetic_energy(), float(x["kinetic_eV"]), rtol=1e-12) for a, x in zip(got, log)),
       "ASE's potential and kinetic energies are those of the log")
    ok(all(np.isclose(a.get_temperature(), a.info["temperature"], rtol=1e-6) and np.isclose(a.info["time_ps"], a.info["step"] * 0.5e-3, rtol=1e-12) for a in got), "and its temperature, and the time")
    with h5py.File(os.path.join(folder, "trajectory.h5")) as f:
        at = f["structures/atomic_numbers_splits"][()]
        ok(all(same_bits(f["structures/positions"][at[k]:at[k + 1]], a.positions) and same_bits(f["labels/forces"][at[k]:at[k + 1]], a.get_forces().astype(np.float32))
               and np.allclose(f["trajectory/velocities"][at[k]:at[k + 1]], a.get_velocities(), rtol=1e-14) for k, a in enumerate(got)), "positions, forces and velocities are those of trajectory.h5")
        w = f["trajectory/virial"][()].reshape(-1, 3, 3)
        ok(all("stress" not in a.calc.results for a in got[:3]) and all(np.allclose(a.get_stress(voigt=False), (w[k] + w[k].T) / 2 / a.get_volume(), rtol=1e-12) for k, a in list(enumerate(got))[3:]),
           "stress: the virial over the volume, of the crystal alone")
    dt, (a, b) = 0.5 * ase.units.fs, ase.io.read(os.path.join(simulate("single", frames, "steps=1", "velocities=file", "frame_interval=1"), "trajectory.extxyz"), ":2")
    v = a.get_velocities() + dt / 2 * a.get_forces() / a.get_masses()[:, None]
    ok(np.allclose(b.positions, a.positions + dt * v, rtol=0, atol=1e-13) and np.allclose(b.get_velocities(), v + dt / 2 * b.get_forces() / b.get_masses()[:, None], rtol=0, atol=1e-13),
       "a step is velocity Verlet with ASE's masses and femtoseconds")


started = time.time()
status, _, message = run("write", folder)
ok(status == 0, f"our files are written {message.strip()}")
if status == 0:
    our_h5()
    our_safetensors()
    our_events(started)
    our_structures()
ase_structures()
ase_trajectories()
numpy_files()
h5py_files()
safetensors_files()
converted()
if os.path.exists(sys.argv[7]):
    field.check(ok, folder, sys.argv[3], *sys.argv[5:8])
else:
    print("# this build has no shared library")
print(f"1..{count}")
sys.exit(1 if failed else 0)
