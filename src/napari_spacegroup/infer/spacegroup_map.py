"""The result of ``classify`` and ``follow``: what each pixel of a scan may be.

A map holds the probabilities of every pixel and sums them up the levels of symmetry on
demand, so a window changes the level or the threshold without a new inference. It grows
by :meth:`SpaceGroupMap.merge` in any order of pieces, live or replayed, and the outcome
is the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.levels import aggregate
from ..errors import ResultError, SpecError
from .level import as_level
from .pixel_status import PixelStatus
from .probabilities import SUM_TOLERANCE, exact_probabilities, normalised_entropy
from .provenance import as_plain
from .ranking import Ranking

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from .legend import LegendRow


class SpaceGroupMap:
    """The probabilities of every pixel of a scan, and what follows from them.

    Make one with :meth:`empty` and fill it with :meth:`merge`.

    Parameters
    ----------
    probabilities
        Shape ``(scan_y, scan_x, class)``, float32; rows as from
        :func:`~.probabilities.exact_probabilities`, all zero where the status is not OK.
    status
        Shape ``(scan_y, scan_x)``, uint8, values of :class:`PixelStatus`.
    classes
        Space-group number of each class, in the order of the last axis.
    step
        Distance of pixels along y and x, in ``step_unit``; None where nobody knows it.
    step_unit
        Such as ``"um"``; empty where nobody knows it.
    model_name, scan_name
        What classified what.
    equivalence_sets
        Sets of space groups that the technique can't tell apart, from the model's card.
    finest_level
        What the model tells apart, from its card: the level to look at first.
    provenance
        Spec, versions, data fingerprint, checksum of the model: what JSON can hold.

    Raises
    ------
    ResultError
        If the shapes or the classes contradict each other.
    """

    def __init__(
        self,
        probabilities: NDArray[np.float32],
        status: NDArray[np.uint8],
        classes: Sequence[int],
        *,
        step: tuple[float, float] | None = None,
        step_unit: str = "",
        model_name: str = "",
        scan_name: str = "",
        equivalence_sets: Sequence[Sequence[int]] = (),
        finest_level: str = "space_group",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.classes: tuple[int, ...] = tuple(int(number) for number in classes)
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ResultError(
                f"a map needs one or more different space groups, not {list(self.classes)}"
            )
        if any(not 1 <= number <= 230 for number in self.classes):
            raise ResultError(f"space groups are numbered 1 to 230, not {list(self.classes)}")
        if probabilities.ndim != 3 or probabilities.shape != (*status.shape, len(self.classes)):
            raise ResultError(
                f"probabilities of shape {probabilities.shape} do not fit a status of shape "
                f"{status.shape} and {len(self.classes)} classes"
            )
        if probabilities.dtype != np.float32 or status.dtype != np.uint8:
            raise ResultError(
                f"a map needs float32 probabilities and uint8 status, not "
                f"{probabilities.dtype} and {status.dtype}"
            )
        self._probabilities = np.ascontiguousarray(probabilities)
        self._status = np.ascontiguousarray(status)
        self._rankings: dict[str, Ranking] = {}
        self._aggregates: dict[str, tuple[tuple[int, ...], NDArray[np.float32]]] = {}
        self.step = step
        self.step_unit = step_unit
        self.model_name = model_name
        self.scan_name = scan_name
        self.equivalence_sets = tuple(tuple(sorted(map(int, s))) for s in equivalence_sets)
        self.finest_level = as_level(finest_level)
        self.provenance: dict[str, Any] = as_plain(provenance or {})

    @classmethod
    def empty(
        cls, scan_shape: tuple[int, int], classes: Sequence[int], **facts: Any
    ) -> SpaceGroupMap:
        """Return a map that has no pixel yet.

        Parameters
        ----------
        scan_shape
            ``(scan_y, scan_x)``.
        classes
            Space-group numbers.
        **facts
            What else the constructor takes: step, names, equivalence sets, provenance.

        Returns
        -------
        result
            A :class:`SpaceGroupMap` with every pixel ``PENDING``.
        """
        rows, columns = (int(size) for size in scan_shape)
        if rows < 1 or columns < 1:
            raise ResultError(f"a map of {rows} by {columns} pixels is empty; give at least 1 by 1")
        probabilities = np.zeros((rows, columns, len(classes)), np.float32)
        status = np.full((rows, columns), PixelStatus.PENDING, np.uint8)
        return cls(probabilities, status, classes, **facts)

    def __repr__(self) -> str:
        rows, columns = self.scan_shape
        return (
            f"<SpaceGroupMap {rows} x {columns}, {len(self.classes)} space groups, "
            f"{self.n_done} of {rows * columns} pixels done>"
        )

    @property
    def scan_shape(self) -> tuple[int, int]:
        """Return ``(scan_y, scan_x)``."""
        return (self._status.shape[0], self._status.shape[1])

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Return the probabilities, shape ``(scan_y, scan_x, class)``, as a read-only view."""
        return _read_only(self._probabilities)

    @property
    def status(self) -> NDArray[np.uint8]:
        """Return the :class:`PixelStatus` values, shape ``(scan_y, scan_x)``, read-only."""
        return _read_only(self._status)

    @property
    def n_done(self) -> int:
        """Return how many pixels have an answer or a reason why not."""
        return int(np.count_nonzero(self._status != PixelStatus.PENDING))

    @property
    def is_complete(self) -> bool:
        """Return whether no pixel is pending."""
        return self.n_done == self._status.size

    def merge(
        self,
        start_or_indices: int | NDArray[np.integer],
        probabilities: NDArray[np.floating],
        status: NDArray[np.uint8],
    ) -> None:
        """Put a piece into the map.

        Pieces of different pixels may come in any order, with the same outcome bit for
        bit. A pixel that comes twice keeps the later answer, but a pending one never
        replaces an answer.

        Parameters
        ----------
        start_or_indices
            Row-major index of the first pixel, or of every pixel (no index twice).
        probabilities
            Shape ``(n, class)``; only rows whose status is OK count.
        status
            Shape ``(n,)``.

        Raises
        ------
        ResultError
            If the shapes do not fit, a pixel lies outside the map, or an OK row is not a
            distribution: finite, not negative, sum 1 within 1 %.
        """
        status = np.asarray(status, np.uint8)
        probabilities = np.asarray(probabilities)
        if np.ndim(start_or_indices) == 0:
            start = int(start_or_indices)
            indices = np.arange(start, start + len(status))
        else:
            indices = np.asarray(start_or_indices)
        self._check_piece(indices, probabilities, status)
        keep = status != PixelStatus.PENDING
        if not keep.all():
            indices, probabilities, status = indices[keep], probabilities[keep], status[keep]
        rows = np.zeros((len(status), len(self.classes)), np.float32)
        is_ok = status == PixelStatus.OK
        if is_ok.any():
            rows[is_ok] = exact_probabilities(probabilities[is_ok])
        self._probabilities.reshape(-1, len(self.classes))[indices] = rows
        self._status.reshape(-1)[indices] = status
        for level, ranking in self._rankings.items():
            ranking.update(indices, rows, self.aggregate(level))

    def level_classes(self, level: str) -> tuple[int, ...]:
        """Return the label of each class of a level, in the order of :meth:`probability`."""
        return self.aggregate(level)[0]

    def probability(self, level: str = "space_group") -> NDArray[np.float32]:
        """Return the probabilities, summed up to a level.

        Parameters
        ----------
        level
            One of :data:`napari_spacegroup.crystal.LEVELS`.

        Returns
        -------
        probability
            Shape ``(scan_y, scan_x, n)``, float32, in the order of
            ``level_classes(level)``. Sums to exactly 1 where the status is OK; all zero
            elsewhere.
        """
        return self._probabilities @ self.aggregate(level)[1]

    def labels(self, level: str = "space_group", *, threshold: float = 0.0) -> NDArray[np.int16]:
        """Return the likeliest class of every pixel.

        Parameters
        ----------
        level
            One of :data:`napari_spacegroup.crystal.LEVELS`.
        threshold
            Least confidence, 0 to 1; a pixel below it is unknown.

        Returns
        -------
        labels
            Shape ``(scan_y, scan_x)``, int16: space-group number, or 1-based place in
            ``level_names(level)``; 0 is unknown.

        Raises
        ------
        SpecError
            If the level does not exist or the threshold is not 0 to 1.
        """
        if not 0.0 <= threshold <= 1.0:
            raise SpecError(f"threshold is {threshold}; give a probability from 0 to 1")
        ranking = self._ranking(level)
        labels = np.where(ranking.confidence >= np.float32(threshold), ranking.best, 0)
        return labels.astype(np.int16, copy=False).reshape(self.scan_shape)

    def confidence(self, level: str = "space_group") -> NDArray[np.float32]:
        """Return the probability of the likeliest class, ``(scan_y, scan_x)``; 0 if unknown."""
        return self._ranking(level).confidence.reshape(self.scan_shape).copy()

    def runner_up(self, level: str = "space_group") -> NDArray[np.int16]:
        """Return the second likeliest class, ``(scan_y, scan_x)``; 0 where there is none."""
        return self._ranking(level).second.reshape(self.scan_shape).copy()

    def entropy(self, level: str = "space_group") -> NDArray[np.float32]:
        """Return how undecided each pixel is.

        Returns
        -------
        entropy
            Shape ``(scan_y, scan_x)``, float32: entropy in bits over log₂ of the number
            of classes, 0 (certain) to 1 (nothing is known). A pixel without an answer has 1.
        """
        matrix = self.aggregate(level)[1]
        result = np.ones(self.scan_shape, np.float32)
        for y in range(self.scan_shape[0]):  # a row at a time: no second map in memory
            is_ok = self._status[y] == PixelStatus.OK
            result[y, is_ok] = normalised_entropy(self._probabilities[y, is_ok] @ matrix)
        return result

    def reason(self, y: int, x: int, level: str = "space_group", threshold: float = 0.0) -> str:
        """Return why a pixel is unknown; empty for one that has a class."""
        status = PixelStatus(int(self._status[y, x]))
        if status is not PixelStatus.OK:
            return status.reason
        confidence = float(self._ranking(level).confidence.reshape(self.scan_shape)[y, x])
        if confidence < np.float32(threshold):
            return f"confidence {confidence:.2f} is below the threshold {threshold:.2f}"
        return ""

    def equivalence_set(self, y: int, x: int) -> tuple[int, ...]:
        """Return the space groups among which the technique can't decide at a pixel.

        Returns
        -------
        groups
            Space-group numbers, ascending: the union of the model's sets that hold the
            likeliest group, or that group alone; empty for an unknown pixel.
        """
        label = int(self._ranking("space_group").best.reshape(self.scan_shape)[y, x])
        return self.inseparable_from(label) if label else ()

    def inseparable_from(self, space_group: int) -> tuple[int, ...]:
        """Return the group and those that the technique can't tell from it, ascending."""
        found = {space_group}
        for members in self.equivalence_sets:
            if space_group in members:
                found.update(members)
        return tuple(sorted(found))

    def legend(self, level: str = "space_group", threshold: float = 0.0) -> list[LegendRow]:
        """Return one row per class that the map shows, by falling share; unknown comes last."""
        from .legend import legend

        return legend(self, level, threshold)

    def report(self, level: str = "space_group", threshold: float = 0.0) -> dict[str, Any]:
        """Return a summary that JSON can hold; see ``docs/map_file.md``."""
        from .report import report

        return report(self, level, threshold)

    def to_crystal_map(self, level: str = "space_group", threshold: float = 0.0) -> CrystalMap:
        """Return an orix ``CrystalMap`` with one phase per class; see :mod:`.export`."""
        from .export import to_crystal_map

        return to_crystal_map(self, level, threshold)

    def save(self, path: str | Path) -> Path:
        """Write the map to an HDF5 file that h5py reads without us; see :mod:`.map_file`."""
        from .map_file import save_map

        return save_map(self, path)

    def aggregate(self, level: str) -> tuple[tuple[int, ...], NDArray[np.float32]]:
        """Return the labels of a level and the 0/1 matrix that sums the classes up to it."""
        found = self._aggregates.get(level)
        if found is None:  # made when needed: extinction groups take a second to work out
            labels, matrix = aggregate(self.classes, as_level(level))
            found = (tuple(int(label) for label in labels), np.asarray(matrix, np.float32))
            self._aggregates[level] = found
        return found

    def _ranking(self, level: str) -> Ranking:
        ranking = self._rankings.get(as_level(level))
        if ranking is None:
            ranking = Ranking.empty(self._status.size)
            flat = self._probabilities.reshape(-1, len(self.classes))
            for start in range(0, len(flat), 65_536):  # in blocks: no second map in memory
                rows = flat[start : start + 65_536]
                ranking.update(np.arange(start, start + len(rows)), rows, self.aggregate(level))
            self._rankings[level] = ranking
        return ranking

    def _check_piece(
        self, indices: NDArray[np.integer], probabilities: NDArray[Any], status: NDArray[np.uint8]
    ) -> None:
        n = len(status)
        if indices.shape != (n,) or probabilities.shape != (n, len(self.classes)):
            raise ResultError(
                f"a piece of {n} pixels and {len(self.classes)} classes came with "
                f"{indices.shape} indices and probabilities of shape {probabilities.shape}"
            )
        if n and (indices.min() < 0 or indices.max() >= self._status.size):
            raise ResultError(
                f"a piece reaches from pixel {indices.min()} to {indices.max()}; "
                f"the map has pixels 0 to {self._status.size - 1}"
            )
        if status.max(initial=0) > max(PixelStatus):
            raise ResultError(f"a piece has status {status.max()}; known are {list(PixelStatus)}")
        rows = probabilities[status == PixelStatus.OK]
        is_fine = np.isfinite(rows).all() and rows.min(initial=0.0) >= 0.0
        if not is_fine or np.abs(rows.sum(axis=1) - 1).max(initial=0.0) > SUM_TOLERANCE:
            raise ResultError(
                "a piece holds rows that are no probabilities (negative, not finite, or a sum "
                "other than 1); check the model that made them"
            )


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view
