"""Stored master patterns as one array: what training and evaluation draw from.

A set is a single ``.npz`` file (numpy alone reads it), so that a bare GPU node needs no
simulator: float16 hemispheres, standardised, with one JSON record per structure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import ModelError, ScanError
from ..simulate.detector import blur_normalised


@dataclass(frozen=True)
class MasterRecord:
    """Where one master pattern comes from.

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
    energy
        Energy of the electrons [keV].
    voltage
        Beam energy [kV].
    source
        Library of the structure.
    """

    name: str
    space_group: int
    prototype: str = ""
    identifier: str = ""
    energy: float = 20.0
    voltage: float = 20.0
    source: str = ""


@dataclass(frozen=True)
class MasterSet:
    """Master patterns of many structures on one Lambert grid.

    Parameters
    ----------
    patterns
        Shape ``(n, hemisphere, m, m)``, mean 0 and standard deviation 1; one hemisphere
        where all crystals have an inversion center.
    records
        One per pattern.
    """

    patterns: Tensor
    records: tuple[MasterRecord, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def space_groups(self) -> NDArray[np.int64]:
        """Return the space group of each pattern."""
        return np.array([record.space_group for record in self.records], dtype=np.int64)

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> MasterSet:
        """Return some of the patterns."""
        chosen = [int(i) for i in indices]
        return MasterSet(self.patterns[chosen], tuple(self.records[i] for i in chosen))

    @classmethod
    def from_arrays(
        cls, arrays: Iterable[NDArray[Any]], records: Iterable[MasterRecord], *, size: int = 145
    ) -> MasterSet:
        """Return a set from hemispheres of any grid size.

        Parameters
        ----------
        arrays
            Each shape ``(hemisphere, m, m)`` with ``m`` odd, any intensity unit.
        records
            One per array.
        size
            Side of the common grid.
        """
        sheets = []
        for array in arrays:
            sheet = torch.as_tensor(np.asarray(array, dtype=np.float32))
            if sheet.shape[-1] > size:
                # What the coarse grid can't hold would come back as aliases.
                sheet = blur_normalised(sheet, 0.5 * (sheet.shape[-1] - 1) / (size - 1))
            if sheet.shape[-1] != size:
                sheet = functional.interpolate(
                    sheet[None], (size, size), mode="bilinear", align_corners=True
                )[0]
            sheets.append((sheet - sheet.mean()) / (sheet.std() + 1e-12))
        if not sheets:
            raise ModelError("a master set needs at least one master pattern, got none")
        count = max(len(sheet) for sheet in sheets)
        # Seen from below, an inverse crystal shows the upper hemisphere turned by 180 degrees.
        filled = [s if len(s) == count else torch.cat([s, s.flip(-1).flip(-2)]) for s in sheets]
        return cls(torch.stack(filled), tuple(records))

    def save(self, path: str | Path | IO[bytes]) -> None:
        """Write the set as a compressed ``.npz`` file.

        Of sheets with the symmetry 4mm, as all crystals of m-3m have them, one octant is
        stored: an eighth of the numbers, and nothing is lost.
        """
        patterns = self.patterns.to(torch.float16).numpy()
        octants = _octants(patterns)
        stored: dict[str, Any] = {"patterns": patterns} if octants is None else {"octants": octants}
        np.savez_compressed(
            path, **stored, records=json.dumps([vars(record) for record in self.records])
        )

    @classmethod
    def load(cls, paths: str | Path | Sequence[Path]) -> MasterSet:
        """Return the union of the sets in files, or in all ``.npz`` files of folders.

        Raises
        ------
        ScanError
            If there is none, or one can't be read.
        """
        given = [Path(paths)] if isinstance(paths, str | Path) else list(paths)
        files = [f for p in given for f in (sorted(p.glob("*.npz")) if p.is_dir() else [p])]
        if not files:
            raise ScanError(
                f"no master sets (.npz) in {', '.join(map(str, given))}; make one with simulate"
            )
        arrays: list[NDArray[Any]] = []
        records: list[MasterRecord] = []
        for file in files:
            try:
                with np.load(file, allow_pickle=False) as content:
                    is_whole = "patterns" in content
                    patterns = content["patterns"] if is_whole else _unfolded(content["octants"])
                    found = [MasterRecord(**r) for r in json.loads(str(content["records"]))]
            except (OSError, KeyError, ValueError, TypeError) as error:
                raise ScanError(f"{file} is no master set ({error}); make it anew") from error
            arrays.extend(patterns)
            records.extend(found)
        return cls.from_arrays(arrays, records, size=max(a.shape[-1] for a in arrays))


def _octants(patterns: NDArray[Any]) -> NDArray[Any] | None:
    """Return one octant of each sheet, or None where the symmetry 4mm is broken.

    The largest deviation allowed, 1 % of the standard deviation, is that of the arithmetic.
    """
    if patterns.shape[-1] % 2 == 0:
        return None
    for sheets in patterns:
        whole = sheets.astype(np.float32)
        for image in (whole[:, ::-1], whole[:, :, ::-1], whole.transpose(0, 2, 1)):
            if np.abs(image - whole).max() > 0.01:
                return None
    half = patterns.shape[-1] // 2
    row, column = np.tril_indices(half + 1)
    quadrants: NDArray[Any] = patterns[:, :, half:, half:]
    return quadrants[:, :, row, column]


def _unfolded(octants: NDArray[Any]) -> NDArray[Any]:
    """Return whole sheets from octants, the inverse of :func:`_octants`."""
    count, hemispheres, stored = octants.shape
    half = round((np.sqrt(8 * stored + 1) - 1) / 2)
    row, column = np.tril_indices(half)
    quadrant = np.empty((count, hemispheres, half, half), octants.dtype)
    quadrant[:, :, row, column] = octants
    quadrant[:, :, column, row] = octants
    right = np.concatenate([quadrant[..., :0:-1], quadrant], axis=-1)
    return np.concatenate([right[:, :, :0:-1], right], axis=2)


def split_by_prototype(
    records: Sequence[MasterRecord], share: float, seed: int, *, by: str = "prototype"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of training and validation patterns.

    Whole prototypes (or whole structures) go to one side. In each space group prototypes
    are drawn until the share is reached, but never the only one.

    Parameters
    ----------
    records
        Of a :class:`MasterSet`.
    share
        Share of each space group's patterns for validation.
    seed
        Of the draw.
    by
        ``"prototype"``, or ``"structure"`` to keep formulas together only.
    """
    rng = np.random.default_rng(seed)
    validation: list[int] = []
    keys = [r.prototype or r.name if by == "prototype" else r.name for r in records]
    groups = np.array([r.space_group for r in records])
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        names = sorted({keys[i] for i in members})
        order = rng.permutation(len(names))
        taken = 0
        for position in order[: len(names) - 1]:
            block = [int(i) for i in members if keys[i] == names[position]]
            if taken + len(block) > max(share * len(members), 1):
                continue
            validation.extend(block)
            taken += len(block)
    chosen = np.array(sorted(validation), dtype=np.int64)
    rest = np.setdiff1d(np.arange(len(records)), chosen)
    return rest, chosen
