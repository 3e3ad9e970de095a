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
    search_cells,
    smaller_cells,
)
from ..crystal.frequencies import space_group_shares
from ..imaging.peaks import Peaks, find_peaks
from ..imaging.profiles import ProfileAxis

TERM_COST = 7.0
"""What a free term of the cell must win [nat]: about a thousand distinct values of each."""

SHIFTS = (-0.1, -0.05, 0.0, 0.05, 0.1)
SHIFT_SPREAD = 0.08
"""Errors of the zero of an angle [degrees]: tried, and how large they are expected to be."""

PRECISION = 0.13
LEAST_SPREAD, MOST_SPREAD = 0.02, 0.06
"""Deviation of a peak's position: a share of its width, and its bounds [degrees]."""

SURE = 25.0
"""Evidence [nat] above which no monoclinic cell is looked for, the slowest search."""

SHRUNK = 30
"""Best cells of a family whose halves are looked at too."""

MOST_LINES = 25
MOST_CELLS = 40
TRUST, TEMPERATURE, ABSENCES = 0.5, 8.0, 1.5
"""Power of the network's likelihood, what divides the log evidence of cells (neighbouring peaks
err alike, impurities come in groups), and what divides that of absences: fitted by
``benchmarks/powder_index.py`` on simulated profiles."""

MONOCLINIC, UNFOUND = 0.5, 0.2
"""How often a monoclinic cell, and one of higher symmetry, is not found, over a triclinic one."""


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
        Shapes of cells that are tried. Triclinic cells are not looked for.

    Raises
    ------
    ModelError
        If the axis holds angles and no wavelength is known.
    """
    values, heights = _even(axis, counts)
    peaks = find_peaks(values, heights, most=MOST_LINES + 5, is_doublet=axis.kind == "two_theta")
    used = min(len(peaks.positions), MOST_LINES)
    ranked: list[CellEvidence] = []
    if used >= 3:
        for family in families:
            best = max((row.evidence for row in ranked), default=-math.inf)
            if family == "monoclinic" and best > SURE:
                continue
            ranked += _of_family(axis, peaks, used, family)
    ranked.sort(key=lambda found: -found.evidence)
    return PowderIndex(peaks, used, tuple(ranked[:MOST_CELLS]), _by_cell(ranked))


def joint_probabilities(
    index: PowderIndex,
    classes: Sequence[int],
    probabilities: NDArray[np.floating],
    *,
    trust: float = TRUST,
    temperature: float = TEMPERATURE,
    absences: float = ABSENCES,
    unfound: float = UNFOUND,
) -> NDArray[np.float64]:
    """Return what a network and the positions of the peaks say together.

    Parameters
    ----------
    index
        Of the profile.
    classes
        Space groups.
    probabilities
        The network's, shape ``(class,)``.
    trust
        In the network: the power that its likelihood is taken to.
    temperature, absences
        Divide the log evidence of cells, and of what a group lacks on the same cell, where there
        are as many lines as are used at most, and less where there are fewer, down to nothing:
        few lines are independent.
    unfound
        How often a cell of higher symmetry is not found, over that of a triclinic one.

    Returns
    -------
    joint
        Shape ``(class,)``, sum 1. Where no cell explains the peaks, low symmetry is likelier.
    """
    numbers = np.asarray(classes)
    prior = space_group_shares()[numbers - 1]
    network = np.log(np.maximum(probabilities, 1e-9)) - np.log(prior)
    network = trust * (network - network.max()) + np.log(prior)
    unknown = np.log(np.where(numbers <= 2, 1.0, np.where(numbers <= 15, MONOCLINIC, unfound)))
    share = index.used / MOST_LINES
    found = index.tempered(max(1.0, temperature * share), max(1.0, absences * share))[numbers - 1]
    total = network + np.logaddexp(unknown, found)
    joint = np.exp(total - total.max())
    return np.asarray(joint / joint.sum(), np.float64)


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
    slope = np.radians(2 * np.sin(angles) / axis.wavelength**2)
    error = float(np.clip(PRECISION * peaks.width, LEAST_SPREAD, MOST_SPREAD))
    return 4 * np.sin(angles / 2) ** 2 / axis.wavelength**2, slope * error, slope


def _of_family(
    axis: ProfileAxis, peaks: Peaks, used: int, family: LatticeFamily
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

    is_angle = axis.kind == "two_theta"
    for shift in SHIFTS if is_angle and family != "monoclinic" else (0.0,):
        lines, spread, _ = _places(axis, peaks, used, shift)
        for cell in search_cells(lines, 2.3 * spread, family):
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
    stray = 0.03 + 0.25 * np.exp(-heights / 0.03)
    density = last / (count * spread * math.sqrt(2 * math.pi)) * np.exp(-0.5 * (best / spread) ** 2)
    score = np.log((1 - stray) * density + stray).sum(axis=1)
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
