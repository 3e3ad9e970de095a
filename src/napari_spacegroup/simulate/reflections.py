"""Reflections of crystals: what spot patterns and their symmetry are computed from.

A :class:`ReflectionSet` keeps the reflections of many crystals in one small file that numpy
alone reads, so that spot patterns are drawn on a bare GPU node. Only
:func:`simulate_reflections` needs diffsims, for its tables of scattering factors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError, ScanError

if TYPE_CHECKING:
    from ..crystal.phase import Phase


@dataclass(frozen=True)
class CrystalRecord:
    """Which crystal the reflections are of.

    Parameters
    ----------
    name
        Formula or name of the phase.
    space_group
        Number in the International Tables.
    prototype
        Anonymised structure type, the unit of a fair split.
    identifier
        Of the structure in its library.
    source
        Library of the structure.
    """

    name: str
    space_group: int
    prototype: str = ""
    identifier: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class Reflections:
    """All reflections of one crystal up to a resolution, the direct beam left out.

    Parameters
    ----------
    hkl
        Miller indices, shape ``(n, 3)``, int16.
    g
        The vectors in the Cartesian crystal frame (x along a, z along c*), shape ``(n, 3)``
        [1/Å].
    factor
        ``|F|`` for electrons, shape ``(n,)`` [Å].
    volume
        Of the conventional cell [Å³].
    record
        Which crystal.
    """

    hkl: NDArray[np.int16]
    g: NDArray[np.float64]
    factor: NDArray[np.float64]
    volume: float
    record: CrystalRecord

    def __len__(self) -> int:
        return len(self.hkl)


def lattice_points(reciprocal: NDArray[np.float64], g_max: float) -> NDArray[np.int16]:
    """Return the indices of all lattice vectors up to a length, without 000.

    Parameters
    ----------
    reciprocal
        Reciprocal axes as rows, shape ``(3, 3)`` [1/Å].
    g_max
        Longest vector [1/Å].

    Returns
    -------
    hkl
        Shape ``(n, 3)``.
    """
    # |h| is at most g_max times the length of the direct axis a.
    direct = np.linalg.inv(reciprocal)
    limits = np.floor(g_max * np.linalg.norm(direct, axis=0) + 1e-9).astype(int)
    box = np.stack(
        np.meshgrid(*(np.arange(-limit, limit + 1) for limit in limits), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    length = np.linalg.norm(box @ reciprocal, axis=1)
    kept: NDArray[np.int16] = box[(length <= g_max) & (length > 0)].astype(np.int16)
    return kept


def simulate_reflections(
    phase: Phase,
    g_max: float = 1.5,
    *,
    scattering: str = "lobato",
    record: CrystalRecord | None = None,
) -> Reflections:
    """Return the kinematic structure factors of a phase.

    Parameters
    ----------
    phase
        The crystal, with occupancies and Debye-Waller factors.
    g_max
        Longest reciprocal vector [1/Å].
    scattering
        Table of atomic scattering factors in diffsims: ``lobato`` or ``xtables``.
    record
        What to call it; the phase's name and group where None.

    Raises
    ------
    PhaseError
        If no reflection is that short, or the table lacks an element.
    MissingPartError
        If diffsims is not installed.

    References
    ----------
    Lobato & Van Dyck (2014), Acta Cryst. A 70, 636.
    """
    from .kinematic import structure_factors

    reciprocal = np.linalg.inv(phase.structure_matrix).astype(np.float64)
    hkl = lattice_points(reciprocal, g_max)
    if not len(hkl):
        raise PhaseError(
            f"phase {phase.name!r} has no reciprocal vector below {g_max} 1/Å; raise g_max or "
            "check the lattice parameters (they are in Å)"
        )
    factor = np.abs(structure_factors(phase, hkl.astype(float), scattering))
    # What symmetry extinguishes is zero but for rounding.
    factor[factor < 1e-6 * factor.max()] = 0.0
    kept = factor > 0
    return Reflections(
        hkl[kept], hkl[kept] @ reciprocal, factor[kept], phase.volume,
        record or CrystalRecord(phase.name, phase.space_group),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReflectionSet:
    """Reflections of many crystals, one of each set of symmetry equivalents.

    Parameters
    ----------
    reciprocal
        Reciprocal axes as rows, shape ``(crystal, 3, 3)`` [1/Å].
    operations
        Rotations of the Laue class that act on indices from the right, one entry per class,
        each shape ``(k, 3, 3)``.
    laue
        Which entry of ``operations`` each crystal has, shape ``(crystal,)``.
    start
        Where the reflections of each crystal begin, shape ``(crystal + 1,)``.
    hkl, factor
        Representatives of all crystals, shapes ``(n, 3)`` and ``(n,)``.
    records
        One per crystal.
    """

    reciprocal: NDArray[np.float32]
    operations: tuple[NDArray[np.int8], ...]
    laue: NDArray[np.int16]
    start: NDArray[np.int64]
    hkl: NDArray[np.int16]
    factor: NDArray[np.float16]
    records: tuple[CrystalRecord, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def space_groups(self) -> NDArray[np.int64]:
        """Return the space group of each crystal."""
        return np.array([record.space_group for record in self.records], dtype=np.int64)

    def __getitem__(self, index: int) -> Reflections:
        """Return all reflections of a crystal."""
        part = slice(self.start[index], self.start[index + 1])
        operations = self.operations[self.laue[index]].astype(np.int32)
        images = np.einsum("ni,kij->nkj", self.hkl[part].astype(np.int32), operations)
        # One number per index triple, so that equal images are found quickly.
        codes = (images + 512) @ np.array([1 << 20, 1 << 10, 1])
        _, first = np.unique(codes, return_index=True)
        hkl = images.reshape(-1, 3)[first]
        factor = np.repeat(self.factor[part].astype(np.float64), len(operations))[first]
        reciprocal = self.reciprocal[index].astype(np.float64)
        volume = float(1 / np.linalg.det(reciprocal))
        return Reflections(
            hkl.astype(np.int16), hkl @ reciprocal, factor, volume, self.records[index]
        )

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> ReflectionSet:
        """Return some of the crystals."""
        chosen = np.asarray(indices, dtype=np.int64)
        parts = [np.arange(self.start[i], self.start[i + 1]) for i in chosen]
        rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        start = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        return ReflectionSet(
            self.reciprocal[chosen], self.operations, self.laue[chosen], start, self.hkl[rows],
            self.factor[rows], tuple(self.records[int(i)] for i in chosen),
        )  # fmt: skip

    @classmethod
    def from_reflections(
        cls, crystals: Iterable[tuple[Reflections, NDArray[Any], NDArray[Any]]]
    ) -> ReflectionSet:
        """Return a set of crystals.

        Parameters
        ----------
        crystals
            Reflections, reciprocal axes as rows [1/Å], and the rotations of the space group
            as integer matrices on fractional coordinates, shape ``(k, 3, 3)``.
        """
        known: dict[bytes, int] = {}
        operations: list[NDArray[np.int8]] = []
        laue, reciprocals, starts, hkls, factors, records = [], [], [0], [], [], []
        for crystal, reciprocal, rotations in crystals:
            centred = np.unique(
                np.concatenate([rotations, -np.asarray(rotations)]).reshape(-1, 9), axis=0
            ).astype(np.int8)
            code = known.setdefault(centred.tobytes(), len(known))
            if code == len(operations):
                operations.append(centred.reshape(-1, 3, 3))
            images = np.einsum(
                "ni,kij->nkj", crystal.hkl.astype(np.int64), operations[code].astype(np.int64)
            )
            numbers = (images + 512) @ np.array([1 << 20, 1 << 10, 1])
            _, first = np.unique(numbers.max(axis=1), return_index=True)
            hkls.append(crystal.hkl[first])
            factors.append(crystal.factor[first])
            starts.append(starts[-1] + len(first))
            laue.append(code)
            reciprocals.append(reciprocal)
            records.append(crystal.record)
        if not records:
            raise PhaseError("a reflection set needs at least one crystal, got none")
        return cls(
            np.array(reciprocals, np.float32), tuple(operations), np.array(laue, np.int16),
            np.array(starts, np.int64), np.concatenate(hkls),
            np.concatenate(factors).astype(np.float16), tuple(records),
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the set as a compressed ``.npz`` file."""
        blocks: dict[str, Any] = {
            f"operations_{i}": block for i, block in enumerate(self.operations)
        }
        np.savez_compressed(
            path,
            reciprocal=self.reciprocal,
            laue=self.laue,
            counts=np.diff(self.start),
            hkl=self.hkl if np.abs(self.hkl).max() > 127 else self.hkl.astype(np.int8),
            factor=self.factor,
            records=json.dumps([vars(record) for record in self.records]),
            **blocks,
        )

    @classmethod
    def load(cls, path: str | Path) -> ReflectionSet:
        """Return the set in a file.

        Raises
        ------
        ScanError
            If it can't be read.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                count = sum(name.startswith("operations_") for name in content)
                return cls(
                    content["reciprocal"],
                    tuple(content[f"operations_{i}"] for i in range(count)),
                    content["laue"],
                    np.concatenate([[0], np.cumsum(content["counts"])]).astype(np.int64),
                    content["hkl"].astype(np.int16),
                    content["factor"],
                    tuple(CrystalRecord(**r) for r in json.loads(str(content["records"]))),
                )
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ScanError(f"{path} is no reflection set ({error}); make it anew") from error
