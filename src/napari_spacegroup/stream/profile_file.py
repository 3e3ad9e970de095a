"""One file of a powder profile that may still be written: what it holds, and whether it is whole.

A text file that is cut reads as a shorter profile, so its bytes alone do not tell. What does:
that it stays as it is, that a later file is there, or that it goes as far as the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..imaging import ProfileAxis
from ..patterns.options import ReadOptions
from ..patterns.read import read
from .judge import checksum

CLOSED_SUFFIXES = (".xrdml",)
"""Formats that can't be read before their last byte is there."""


@dataclass(frozen=True, eq=False)
class Profile:
    """A powder profile from a file of its own.

    Parameters
    ----------
    counts
        Shape ``(columns,)``, float64.
    axis
        What the columns stand for.
    is_closed
        Whether the file could not be read if it were cut.
    ends_line
        Whether its last line has an end.
    """

    counts: NDArray[np.float64]
    axis: ProfileAxis
    is_closed: bool = False
    ends_line: bool = True

    @property
    def mark(self) -> int:
        """Return what tells its values from others: a checksum of counts and axis."""
        return checksum(np.concatenate([self.counts, self.axis.values]))

    def has_axis_of(self, other: Profile) -> bool:
        """Return whether the columns of both stand for the same."""
        one, two = self.axis, other.axis
        facts = [(a.kind, a.wavelength, a.radiation, len(a.values)) for a in (one, two)]
        return facts[0] == facts[1] and bool((one.values == two.values).all())

    def is_cut_of(self, other: Profile) -> bool:
        """Return whether it begins as another one does and ends before that."""
        one, two = self.axis.values, other.axis.values
        step = two[1] - two[0]
        begins_alike = abs(one[0] - two[0]) <= abs(step)
        return bool(begins_alike and (two[-1] - one[-1]) * np.sign(step) > abs(step))


@dataclass(eq=False)
class ProfileFile:
    """A file of a folder, and what is known of it.

    Parameters
    ----------
    path
        The file.
    place
        Row-major index of its pixel, -1 for none.
    signature, since
        Its size and time, and when it was first seen so [s].
    profile, problem
        What it holds, or why it holds none; neither before it was read.
    done
        The signature with which it was delivered or given up.
    mark
        Of the profile that was delivered, see :attr:`Profile.mark`; None before.
    """

    path: Path
    place: int = -1
    signature: tuple[int, int] = (-1, -1)
    since: float = 0.0
    profile: Profile | None = None
    problem: str = ""
    done: tuple[int, int] | None = None
    mark: int | None = None

    def look(self, signature: tuple[int, int], now: float) -> None:
        """Take note of size and time as they are now."""
        if signature != self.signature:
            self.signature, self.since = signature, now
            self.profile, self.problem = None, ""

    @property
    def is_due(self) -> bool:
        """Return whether it changed since it was done with, and holds anything."""
        return self.signature != self.done and self.signature[0] > 0

    @property
    def is_read(self) -> bool:
        """Return whether it was read as it is now."""
        return self.profile is not None or bool(self.problem)

    def open(self, told: ReadOptions) -> None:
        """Read it, once for each of its states."""
        if self.is_read:
            return
        try:
            self.profile = read_profile(self.path, told)
        except ScanError as error:
            self.problem = str(error)


def read_profile(path: Path, told: ReadOptions) -> Profile:
    """Return the only profile of a file.

    Parameters
    ----------
    path
        Anything that :func:`~napari_spacegroup.patterns.read` takes for a profile.
    told
        Wavelength, radiation, axis and `difc`, where the file does not say them.

    Raises
    ------
    ScanError
        If it can't be read, or holds no profile, or several.
    """
    options: Any = {
        "wavelength": told.wavelength, "radiation": told.radiation, "axis": told.axis,
        "difc": told.difc,
    }  # fmt: skip
    scan = read(path, mask=None, **options)
    if scan.axis is None or scan.n_patterns != 1:
        held = "pictures" if scan.axis is None else f"{scan.n_patterns} profiles"
        raise ScanError(f"{path} holds {held}; a series needs one powder profile a file")
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            ends_line = file.read(1) in (b"\n", b"\r")
    except OSError as error:
        raise ScanError(f"{path} can't be read ({error.strerror or error})") from error
    counts = np.asarray(scan.pattern(0, 0), np.float64).ravel()
    return Profile(counts, scan.axis, path.suffix.lower() in CLOSED_SUFFIXES, ends_line)
