"""The cell of a powder profile, and what its lines say about the space group.

Cells come from :mod:`napari_spacegroup.crystal.cell_search`. Each is weighed, with each extinction
group that can lie on it, against lines that lie anywhere: a line is drawn from those that the
cell allows up to the last one seen, with a Gaussian error, or from anywhere (an impurity), and
every term of the cell costs what fitting it can win by chance. A cell with few lines that explains
all peaks beats a large one that explains them too, and so an absence counts by the lines that it
takes away; no figure of merit and no threshold for each crystal system is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..crystal.absences import absence_table
from ..crystal.cell_search import (
    FAMILIES,
    FoundCell,
    LatticeFamily,
    index_table,
    monoclinic_cells,
    search_cells,
    smaller_cells,
)
from ..imaging.peaks import Peaks, find_peaks, peak_wavelengths
from ..imaging.profiles import ProfileAxis

Candidates = list[tuple[FoundCell, float]]

TERM_COST = 7.0
"""What a free term of the cell must win [nat]: about a thousand distinct values of each."""

SHIFTS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
SHIFT_SPREAD = 0.08
"""Errors of the zero of an angle [degrees]: tried, and how large they are expected to be."""

PRECISION = 0.08
LEAST_SPREAD, MOST_SPREAD = 0.012, 0.06
"""Deviation of a peak's position: a share of its width, and its bounds [degrees]."""

SURE = 50.0
"""Evidence [nat] above which no cell of low symmetry is looked for."""

LOW_SHIFTS = ((0.0,), (-0.06, 0.06))
LOW_SURE = 30.0
"""Errors of the zero [degrees] tried for cells of low symmetry, the second ones only where the
first gave no evidence above so much [nat]."""

LEAST_TOLERANCE = 0.02
"""Least deviation of a peak in the search for cells of low symmetry [degrees]."""

STRAY = ((0.85, 0.03, 0.25, 0.03), (0.15, 0.08, 0.6, 0.12))
"""Pure samples and such with a second phase: how many are such, how often a strong line is not of
the crystal, how much oftener a weak one, and what weak means, over the highest line. The lines of
an impurity come together."""

STRONG = 0.1
"""Height of a strong line; where few are, cells are looked for among strong lines alone too."""

SHRUNK = 30
"""Best cells of a family whose halves are looked at too."""

LOW: tuple[LatticeFamily, ...] = ("monoclinic", "triclinic")
LOW_CELLS = 100
"""Monoclinic and triclinic cells that are refined with the zero of the angle."""

MOST_LINES = 25
MOST_CELLS = 40


@dataclass(frozen=True, eq=False)
class CellEvidence:
    """A cell with an extinction group on it.

    Parameters
    ----------
    cell
        The cell.
    groups
        Space groups that no absence tells apart.
    is_allowed
        Lines of the cell that they allow, as in :func:`~.cell_search.index_table`.
    evidence
        Over lines that lie anywhere [nat].
    explained
        How many of the peaks lie on an allowed line.
    shift
        What was added to the angles to correct their zero [degrees].
    """

    cell: FoundCell
    groups: tuple[int, ...]
    is_allowed: NDArray[np.bool_]
    evidence: float
    explained: int
    shift: float

    def lines(self, largest: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Return 1/d² [1/Å²] of the allowed lines up to a largest, rising, and their indices."""
        table = index_table(self.cell.family)
        places = table.terms @ self.cell.terms
        chosen = np.flatnonzero(self.is_allowed & (places > 0) & (places <= largest))
        chosen = chosen[np.argsort(places[chosen], kind="stable")]
        return places[chosen], table.indices[chosen]


@dataclass(frozen=True, eq=False)
class PowderIndex:
    """What the positions of the peaks say.

    Parameters
    ----------
    peaks
        As found.
    used
        How many of the first ones were indexed.
    best
        Cells with extinction groups, the likeliest first, at most :data:`MOST_CELLS`.
    cell_evidence
        Of each cell with each space group 1 to 230 [nat], over lines that lie anywhere; minus
        infinity where a group can't lie on a cell. Shape ``(cell, 230)``.
    """

    peaks: Peaks
    used: int
    best: tuple[CellEvidence, ...]
    cell_evidence: NDArray[np.float64]

    @property
    def log_evidence(self) -> NDArray[np.float64]:
        """Return the evidence of each space group over all cells [nat], shape ``(230,)``."""
        if not len(self.cell_evidence):
            return np.full(230, -np.inf)
        return np.asarray(np.logaddexp.reduce(self.cell_evidence, axis=0), np.float64)

    def tempered(self, cells: float, absences: float) -> NDArray[np.float64]:
        """Return the evidence of each space group on its best cell, weighed down.

        Parameters
        ----------
        cells
            Divides what speaks for a cell.
        absences
            Divides what speaks against a group, over the best one of the same cell.
        """
        if not len(self.cell_evidence):
            return np.full(230, -np.inf)
        best = self.cell_evidence.max(axis=1, keepdims=True)
        lost = self.cell_evidence - best
        return np.asarray((best / cells + lost / absences).max(axis=0), np.float64)


def index_profile(
    axis: ProfileAxis,
    counts: NDArray[np.floating],
    *,
    families: Sequence[LatticeFamily] = FAMILIES,
) -> PowderIndex:
    """Return cells and extinction groups that explain the peaks of a profile.

    Parameters
    ----------
    axis
        Of the profile; over angles it must know its wavelength.
    counts
        Intensity in any unit, shape ``(n,)``.
    families
        Shapes of cells that are tried.

    Raises
    ------
    ModelError
        If the axis holds angles and no wavelength is known.
    """
    values, heights = _even(axis, counts)
    is_doublet = axis.kind == "two_theta" and axis.radiation != "neutron"
    peaks = find_peaks(values, heights, most=MOST_LINES + 5, is_doublet=is_doublet)
    used = min(len(peaks.positions), MOST_LINES)
    ranked: list[CellEvidence] = []
    high = [family for family in families if family not in LOW]
    low = [family for family in families if family in LOW]
    for family in high if used >= 3 else ():
        ranked += _of_family(axis, peaks, used, family, _candidates(axis, peaks, used, family))
    for shifts in LOW_SHIFTS if used >= 3 and low else ():
        best = max((row.evidence for row in ranked), default=-math.inf)
        if best > (SURE if shifts == LOW_SHIFTS[0] else LOW_SURE):
            break
        found = _low_candidates(axis, peaks, used, shifts)
        for family in low:
            ranked += _of_family(axis, peaks, used, family, found[family])
    ranked.sort(key=lambda found: -found.evidence)
    return PowderIndex(peaks, used, tuple(ranked[:MOST_CELLS]), _by_cell(ranked))


def _even(
    axis: ProfileAxis, counts: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return angles [degrees], or q [1/Å], rising in even steps, and intensities there."""
    values = axis.values if axis.kind == "two_theta" else axis.q()
    order = np.argsort(values)
    values, heights = values[order], np.nan_to_num(np.asarray(counts, np.float64).ravel())[order]
    even = np.linspace(values[0], values[-1], len(values))
    return even, np.interp(even, values, heights)


def _places(
    axis: ProfileAxis, peaks: Peaks, used: int, shift: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return 1/d², its deviation, and its change with the zero [1/degree] of the first peaks."""
    positions = peaks.positions[:used]
    if axis.kind != "two_theta" or axis.wavelength is None:
        q = positions / (2 * math.pi)
        spread = np.clip(PRECISION * peaks.width, 5e-4 * positions, 3e-3 * positions)
        return q**2, 2 * q * spread / (2 * math.pi), np.zeros(used)
    angles = np.radians(positions + shift)
    wavelengths = peak_wavelengths(positions, peaks.width, axis.wavelength)
    slope = np.radians(2 * np.sin(angles) / wavelengths**2)
    error = float(np.clip(PRECISION * peaks.width, LEAST_SPREAD, MOST_SPREAD))
    return 4 * np.sin(angles / 2) ** 2 / wavelengths**2, slope * error, slope


def _candidates(axis: ProfileAxis, peaks: Peaks, used: int, family: LatticeFamily) -> Candidates:
    """Return cells of a family with the zero that they were found with."""
    found: Candidates = []
    shifts = SHIFTS[1:-1] if family == "orthorhombic" else SHIFTS  # the slowest search
    for shift in shifts if axis.kind == "two_theta" else (0.0,):
        lines, spread, _ = _places(axis, peaks, used, shift)
        found += [(cell, shift) for cell in search_cells(lines, 2.3 * spread, family)]
        strong = peaks.heights[:used] > STRONG
        if family != "orthorhombic" and 4 <= strong.sum() < 0.7 * used:
            some = search_cells(lines[strong], 2.3 * spread[strong], family)
            found += [(cell, shift) for cell in some]
    return found


def _low_candidates(
    axis: ProfileAxis, peaks: Peaks, used: int, shifts: Sequence[float]
) -> dict[str, Candidates]:
    """Return monoclinic and triclinic cells; triclinic ones with an axis are monoclinic too."""
    found: dict[str, Candidates] = {family: [] for family in LOW}
    is_angle = axis.kind == "two_theta"
    for shift in shifts if is_angle else shifts[:1]:
        lines, spread, slope = _places(axis, peaks, used, shift)
        tolerance = 2.3 * np.maximum(spread, LEAST_TOLERANCE * slope)
        cells = {family: search_cells(lines, tolerance, family)[:LOW_CELLS] for family in LOW}
        for cell in cells["triclinic"]:
            cells["monoclinic"] += monoclinic_cells(cell)
        for family in LOW:
            found[family] += [(cell, shift) for cell in cells[family]]
    return found


def _of_family(
    axis: ProfileAxis,
    peaks: Peaks,
    used: int,
    family: LatticeFamily,
    candidates: Candidates,
) -> list[CellEvidence]:
    """Return the best cells of a family, each with each extinction group that can lie on it."""
    terms = index_table(family).terms
    found: list[tuple[float, FoundCell, float]] = []

    def weighed(cell: FoundCell, shift: float) -> tuple[float, FoundCell, float]:
        refined, own_shift = _refined(axis, peaks, used, cell, shift)
        lines, spread, _ = _places(axis, peaks, used, own_shift)
        everywhere = np.ones((1, len(terms)), bool)
        score, _ = _evidence(refined, everywhere, lines, spread, peaks.heights[:used])
        return float(score[0]), refined, own_shift

    for cell, shift in candidates:
        found.append(weighed(cell, shift))
    found.sort(key=lambda row: -row[0])
    for _, cell, shift in found[:SHRUNK]:
        found += [weighed(small, shift) for small in smaller_cells(cell)]
    found.sort(key=lambda row: -row[0])
    kept: set[tuple[int, ...]] = set()
    ranked: list[CellEvidence] = []
    table = absence_table(family)
    for best, cell, shift in found[:MOST_CELLS]:
        key = tuple(np.round(np.log(np.abs(cell.terms) + 1e-6) * 60).astype(int).tolist())
        if key in kept or best < found[0][0] - 25:
            continue
        lines, spread, _ = _places(axis, peaks, used, shift)
        scores, explained = _evidence(cell, table.is_allowed, lines, spread, peaks.heights[:used])
        scores = scores + np.log(table.shares) - 0.5 * (shift / SHIFT_SPREAD) ** 2
        for way in range(len(scores)):
            ranked.append(CellEvidence(
                cell, table.groups[way], table.is_allowed[way], float(scores[way]),
                int(explained[way]), shift,
            ))  # fmt: skip
        kept.add(key)
    return ranked


def _refined(
    axis: ProfileAxis, peaks: Peaks, used: int, cell: FoundCell, shift: float
) -> tuple[FoundCell, float]:
    """Return the cell and the zero after least squares of both."""
    terms = index_table(cell.family).terms
    for _ in range(3):
        lines, spread, slope = _places(axis, peaks, used, shift)
        own = terms @ cell.terms
        nearest = np.abs(own[None] - lines[:, None]).argmin(axis=1)
        ok = np.abs(own[nearest] - lines) < 3 * spread
        if ok.sum() <= terms.shape[1]:
            break
        rows = terms[nearest[ok]] / spread[ok, None]
        target = lines[ok] / spread[ok]
        if slope.any():
            rows = np.hstack([rows, -(slope[ok] / spread[ok])[:, None]])
            rows = np.vstack([rows, [0.0] * terms.shape[1] + [1 / SHIFT_SPREAD]])
            target = np.append(target, -shift / SHIFT_SPREAD)
        solved = np.linalg.lstsq(rows, target, rcond=None)[0]
        better = replace(cell, terms=solved[: terms.shape[1]], indexed=int(ok.sum()))
        if not 5.0 < better.volume < 1e5:
            break
        cell = better
        if slope.any():
            shift = float(np.clip(shift + solved[-1], -0.3, 0.3))
    return cell, shift


def _evidence(
    cell: FoundCell,
    is_allowed: NDArray[np.bool_],
    lines: NDArray[np.float64],
    spread: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the log evidence of a cell with each set of allowed lines, and the peaks on them."""
    terms = index_table(cell.family).terms
    own = terms @ cell.terms
    last = lines[-1] * 1.02
    inside = np.flatnonzero((own > 0) & (own < last))
    own, allowed = own[inside], is_allowed[:, inside]
    if not len(own):
        return np.full(len(is_allowed), -np.inf), np.zeros(len(is_allowed), np.int64)
    # Lines that fall together are one: the first allowed of them counts.
    order = np.argsort(own, kind="stable")
    own, allowed = own[order], allowed[:, order]
    is_same = np.concatenate([[False], np.diff(own) < 0.02 * spread.min()])
    number = np.cumsum(~is_same) - 1
    merged = np.zeros((len(allowed), number[-1] + 1), bool)
    np.logical_or.at(merged.T, number, allowed.T)
    places = own[~is_same]
    apart = np.abs(places[None] - lines[:, None])
    best = np.where(merged[:, None], apart[None], np.inf).min(axis=2)
    count = np.maximum(merged.sum(axis=1), 1)[:, None]
    density = last / (count * spread * math.sqrt(2 * math.pi)) * np.exp(-0.5 * (best / spread) ** 2)
    score = np.full(len(merged), -np.inf)
    for share, least, weak, scale in STRAY:
        stray = least + weak * np.exp(-heights / scale)
        own_score = np.log((1 - stray) * density + stray).sum(axis=1)
        score = np.logaddexp(score, math.log(share) + own_score)
    explained = (best < 3 * spread).sum(axis=1)
    return score - TERM_COST * terms.shape[1], explained


def _by_cell(ranked: Sequence[CellEvidence]) -> NDArray[np.float64]:
    """Return the evidence of each cell with each space group, summed over the ways it can lie."""
    rows: dict[int, NDArray[np.float64]] = {}
    for found in ranked:
        row = rows.setdefault(id(found.cell), np.full(230, -np.inf))
        places = np.array(found.groups) - 1
        row[places] = np.logaddexp(row[places], found.evidence)
    return np.stack(list(rows.values())) if rows else np.empty((0, 230))
