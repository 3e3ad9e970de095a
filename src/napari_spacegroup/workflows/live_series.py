"""The books of a followed series of profiles: which file is which pixel, and what was said of it.

A pattern of a map is one of thousands; a profile of an in-situ series is asked for by its name,
one by one, as it comes.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..config import FollowSpec
from ..errors import ModelError
from ..imaging import ProfileAxis
from ..infer.candidate import candidates
from ..infer.classifier import Classifier
from ..infer.map_start import with_wavelength
from ..infer.pixel_status import PixelStatus
from ..infer.spacegroup_map import SpaceGroupMap
from ..infer.view import PatternView
from ..jobs import Partial
from ..patterns.options import ReadOptions
from ..stream import Arrival

MOST_NEWS = 1000
"""Answers that wait to be told; of more, the latest."""


class SeriesBooks:
    """Files, axes and answers of a series; empty for a scan that is none.

    Parameters
    ----------
    model
        What classifies it, for the wavelength that is assumed.
    """

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self._names: dict[int, str] = {}
        self._problems: dict[int, str] = {}
        self._told: dict[int, int] = {}
        self._came: set[int] = set()
        self._news: deque[str] = deque(maxlen=MOST_NEWS)

    def listen(self, arrival: Arrival) -> None:
        """Take note of the files that an arrival names."""
        self._names |= dict(zip(arrival.indices.tolist(), arrival.names, strict=False))
        for entry in arrival.withheld:
            if entry.name and entry.index >= 0:
                self._names[entry.index] = entry.name
                self._problems[entry.index] = entry.message

    def refuse(self, refused: list[tuple[int, str]]) -> None:
        """Take note of pixels that the model can't read, and why."""
        for index, problem in refused:
            self._problems[index] = f"{self._names[index]}: {problem}"

    def again(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those pixels that came before; all of them have come now."""
        known = [index for index in indices.tolist() if index in self._came]
        self._came.update(indices.tolist())
        return np.array(known, np.int64)

    def begin_again(self) -> None:
        """Forget which pixels came: all files are read once more."""
        self._came.clear()

    def axis_of(self, axis: ProfileAxis | None) -> tuple[ProfileAxis | None, str]:
        """Return an axis with a wavelength, and what a person should know of it."""
        view, remark = with_wavelength(PatternView(axis=axis), self._model)
        return view.axis, remark

    def tell(self, piece: Partial, result: SpaceGroupMap) -> None:
        """Put the answers of a piece among the news, if it belongs to named files."""
        if not self._names:
            return
        for offset, status in enumerate(piece.status.tolist()):
            index = piece.start + offset
            # A pixel without an answer is shown again at the end.
            is_known = self._told.get(index) == status != PixelStatus.OK
            if status != PixelStatus.PENDING and not is_known:
                self._told[index] = status
                self._news.append(self._sentence(index, result))

    def take_news(self) -> tuple[str, ...]:
        """Return what was said since the last time."""
        found = tuple(self._news)
        self._news.clear()
        return found

    def files(self, count: int) -> list[str | None] | None:
        """Return the file of each of so many pixels; None where they have none."""
        return [self._names.get(index) for index in range(count)] if self._names else None

    def _sentence(self, index: int, result: SpaceGroupMap) -> str:
        y, x = divmod(index, result.scan_shape[1])
        name = self._names.get(index, f"pixel {index}")
        status = PixelStatus(int(result.status[y, x]))
        if status is not PixelStatus.OK:
            problem = self._problems.get(index, "")
            is_told = status is PixelStatus.UNREADABLE and problem
            return problem if is_told else f"{name}: unknown, {status.reason}"
        (system,) = candidates(result, (y, x), level="crystal_system", count=1)
        (group,) = candidates(result, (y, x), count=1)
        return (
            f"{name}: {system.symbol} {system.probability:.0%}, "
            f"{group.symbol} ({group.label}) {group.probability:.0%}"
        )


def told_of(spec: FollowSpec) -> ReadOptions:
    """Return what was said of profiles, for whoever reads their files."""
    return ReadOptions(
        wavelength=spec.wavelength, radiation=spec.radiation, axis=spec.axis, difc=spec.difc
    )


def check_radiation(model: Classifier, spec: FollowSpec) -> None:
    """Refuse a model for another radiation at once, not file by file.

    Raises
    ------
    ModelError
        If the request names a radiation that the model does not know.
    """
    wanted = getattr(getattr(model.card, "input", None), "radiation", None)
    radiation = "neutron" if spec.difc is not None or spec.axis == "tof" else spec.radiation
    if wanted is not None and radiation not in (None, wanted):
        raise ModelError(
            f"the profiles are said to be measured with {radiation}, the model "
            f"{model.card.name!r} is for {wanted}; choose another model, or say otherwise"
        )
