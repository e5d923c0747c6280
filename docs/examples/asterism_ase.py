# SPDX-License-Identifier: BSD-3-Clause
"""Force fields of Asterism for ASE, through libasterism.so.

    from asterism_ase import Asterism
    atoms.calc = Asterism("weights.h5")
    energies, forces = atoms.calc.batch([atoms, ...])
"""
import ctypes
import ctypes.util

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

DOUBLES = ctypes.POINTER(ctypes.c_double)


class Options(ctypes.Structure):
    _fields_ = [("f64", ctypes.c_bool), ("mixing", ctypes.c_char_p), ("intervals", ctypes.c_int64), ("batch_atoms", ctypes.c_int64),
                ("cpus", ctypes.c_int), ("gpus", ctypes.c_char_p), ("gpu_memory", ctypes.c_char_p), ("memory", ctypes.c_int64),
                ("isa", ctypes.c_char_p)]


class Molecule(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("number", ctypes.POINTER(ctypes.c_int32)), ("position", DOUBLES), ("cell", DOUBLES),
                ("periodic", ctypes.c_bool * 3), ("status", ctypes.c_int32), ("energy", ctypes.c_double), ("energies", DOUBLES),
                ("forces", DOUBLES), ("virial", DOUBLES), ("stress", DOUBLES)]


def load(path=None):
    lib = ctypes.CDLL(path or ctypes.util.find_library("asterism") or "libasterism.so")
    lib.aster_calculator_message.restype = lib.aster_calculator_reason.restype = ctypes.c_char_p
    lib.aster_calculator_message.argtypes = [ctypes.c_void_p]
    lib.aster_calculator_reason.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    lib.aster_calculator_run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(Molecule), ctypes.POINTER(ctypes.c_int64)]
    return lib


class Asterism(Calculator):
    """One may be open at a time in a process; close() ends its workers."""

    implemented_properties = ["energy", "energies", "forces", "stress"]

    def __init__(self, weights, f64=False, mixing="file", intervals=-1, cpus=-1, gpus=None, library=None, **kwargs):
        super().__init__(**kwargs)
        self.lib = load(library)
        self.handle = ctypes.c_void_p()
        options = Options()
        self.lib.aster_calculator_options_default(ctypes.byref(options))
        options.f64, options.mixing, options.intervals, options.cpus = f64, mixing.encode(), intervals, cpus
        options.gpus = gpus.encode() if gpus else None
        if self.lib.aster_calculator_open(str(weights).encode(), ctypes.byref(options), ctypes.byref(self.handle)) != 0:
            message = self.lib.aster_calculator_message(self.handle).decode() if self.handle else "out of memory"
            self.close()
            raise RuntimeError(message)

    def close(self):
        if self.handle:
            self.lib.aster_calculator_close(ctypes.byref(self.handle))

    def __del__(self):
        if getattr(self, "handle", None):
            self.close()

    def compute(self, images):
        """A dictionary for each of the images, all from one call."""
        records = (Molecule * len(images))()
        results, keep = [], []
        for record, atoms in zip(records, images):
            n = len(atoms)
            number = np.ascontiguousarray(atoms.numbers, np.int32)
            position = np.ascontiguousarray(atoms.positions, float)
            cell = np.ascontiguousarray(atoms.cell.array, float)
            result = {"energies": np.empty(n), "forces": np.empty((n, 3)), "virial": np.empty((3, 3)), "stress": np.empty(6)}
            keep += [number, position, cell]
            record.n = n
            record.number = number.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
            record.position = position.ctypes.data_as(DOUBLES)
            if atoms.cell.rank:
                record.cell = cell.ctypes.data_as(DOUBLES)
            record.periodic[:] = [bool(p) for p in atoms.pbc]
            for name, array in result.items():
                setattr(record, name, array.ctypes.data_as(DOUBLES))
            results.append(result)
        failed = ctypes.c_int64()
        if self.lib.aster_calculator_run(self.handle, len(images), records, ctypes.byref(failed)) != 0:
            raise RuntimeError(self.lib.aster_calculator_message(self.handle).decode())
        faults = [self.lib.aster_calculator_reason(self.handle, i).decode() for i, record in enumerate(records) if record.status]
        if faults:
            raise ValueError("\n".join(faults))
        for record, result in zip(records, results):
            result["energy"] = record.energy
        return results

    def batch(self, images):
        results = self.compute(images)
        return [r["energy"] for r in results], [r["forces"] for r in results]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = self.compute([self.atoms])[0]
        self.results["free_energy"] = self.results["energy"]
