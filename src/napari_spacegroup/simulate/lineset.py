"""Lines of many crystals as flat arrays: what powder training and evaluation draw from.

A set is a single ``.npz`` file that numpy alone reads, so that a bare GPU node needs no
crystallography: 20 bytes a line, some kilobytes a crystal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError

if TYPE_CHECKING:
    from .lines import Lines

WEAKEST = 1e-5
"""Lines below this share of the strongest one, for X-rays and neutrons, are left out."""

_ARRAYS = ("q", "xray", "neutron", "cosines", "ends", "space_groups")


@dataclass(frozen=True)
class LineRecord:
    """Where one crystal of a set comes from.

    Parameters
    ----------
    name
        Formula or name.
    prototype
        Anonymised structure type, the unit of a fair split.
    source
        Library of the structure.
    """

    name: str
    prototype: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class LineSet:
    """Lines of many crystals.

    Parameters
    ----------
    q
        ``2π/d`` [1/Å] of all lines, crystal after crystal.
    xray, neutron
        Strength of each, without what the diffractometer adds; the strongest of a crystal
        is 1.
    cosines
        Squared cosines to the preferred axis times 255, shape ``(line, 12)``.
    ends
        Where the lines of each crystal end.
    space_groups
        Number of each crystal.
    records
        Names, or nothing for synthetic crystals.
    """

    q: NDArray[np.float32]
    xray: NDArray[np.float32]
    neutron: NDArray[np.float32]
    cosines: NDArray[np.uint8]
    ends: NDArray[np.int64]
    space_groups: NDArray[np.int64]
    records: tuple[LineRecord, ...] = ()

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.ends)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Return where the lines of each crystal begin."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)

    @classmethod
    def from_lines(
        cls,
        lines: Iterable[Lines],
        space_groups: Sequence[int],
        records: Sequence[LineRecord] = (),
    ) -> LineSet:
        """Return a set of crystals.

        Parameters
        ----------
        lines
            Of each crystal.
        space_groups
            Number of each.
        records
            Of each, or nothing.
        """
        parts: list[tuple[NDArray[Any], ...]] = []
        for one in lines:
            xray, neutron = _relative(one.xray), _relative(one.neutron)
            kept = (xray > WEAKEST) | (neutron > WEAKEST)
            cosines = np.round(one.cosines[kept] * 255).astype(np.uint8)
            parts.append((one.q[kept].astype(np.float32), xray[kept], neutron[kept], cosines))
        if not parts:
            raise ScanError("a set of powder lines needs at least one crystal")
        q, xray, neutron, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
        ends = np.cumsum([len(part[0]) for part in parts])
        return cls(q, xray, neutron, cosines, ends, np.asarray(space_groups, np.int64),
                   tuple(records))  # fmt: skip

    def subset(self, chosen: NDArray[Any] | Sequence[int]) -> LineSet:
        """Return some of the crystals, in the order that they are named."""
        index = np.asarray(chosen, np.int64)
        starts, ends = self.starts[index], self.ends[index]
        lengths = ends - starts
        offsets = np.repeat(starts - np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)
        rows = np.arange(lengths.sum()) + offsets
        return replace(
            self, q=self.q[rows], xray=self.xray[rows], neutron=self.neutron[rows],
            cosines=self.cosines[rows], ends=lengths.cumsum(),
            space_groups=self.space_groups[index],
            records=tuple(self.records[i] for i in index.tolist()) if self.records else (),
        )  # fmt: skip

    @classmethod
    def joined(cls, sets: Sequence[LineSet]) -> LineSet:
        """Return several sets as one; records are kept if all have them."""
        shifts = np.concatenate([[0], np.cumsum([len(s.q) for s in sets])[:-1]])
        has_records = all(s.records for s in sets)
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(s, name) for s in sets])
            for name in _ARRAYS
            if name != "ends"
        }
        arrays["ends"] = np.concatenate(
            [s.ends + shift for s, shift in zip(sets, shifts, strict=True)]
        )
        return cls(records=tuple(r for s in sets for r in s.records) if has_records else (),
                   **arrays)  # fmt: skip

    def save(self, file: str | Path | IO[bytes]) -> None:
        """Write the set as ``.npz``."""
        records = json.dumps([[r.name, r.prototype, r.source] for r in self.records])
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(file, records=np.array(records), **arrays)

    @classmethod
    def load(cls, paths: str | Path | Sequence[str | Path]) -> LineSet:
        """Return the sets in files, or in folders of them, as one.

        Raises
        ------
        ScanError
            If there is no such file, or one is no set of lines.
        """
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        files: list[Path] = []
        for path in map(Path, given):
            files += sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not files:
            raise ScanError(f"no sets of powder lines in {given}; need .npz files")
        sets = []
        for path in files:
            try:
                with np.load(path) as content:
                    rows = json.loads(str(content["records"]))
                    arrays: dict[str, Any] = {name: content[name] for name in _ARRAYS}
            except (OSError, ValueError, KeyError, EOFError) as error:
                raise ScanError(
                    f"{path} is no set of powder lines ({error}); make it with LineSet.save"
                ) from error
            sets.append(cls(records=tuple(LineRecord(*row) for row in rows), **arrays))
        return sets[0] if len(sets) == 1 else cls.joined(sets)


def _relative(strength: NDArray[np.float64]) -> NDArray[np.float32]:
    top = strength.max(initial=0.0)
    return (strength / top if top > 0 else strength).astype(np.float32)
