"""Where a file belongs whose name holds its number or its position in the scan."""

from __future__ import annotations

import re
from pathlib import Path

from ..patterns.images import POSITION_IN_NAME
from .source import SourceError, SourceState

LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")


class Numbering:
    """The places of files, by their names.

    Parameters
    ----------
    folder
        For messages.
    scan_shape
        (scan_y, scan_x); needed for names with positions.
    origin
        Number of the first file (and of the first row and column); None takes that of the
        first one that is seen.
    """

    def __init__(
        self, folder: Path, scan_shape: tuple[int, int] | None, origin: int | None = None
    ) -> None:
        self.folder = folder
        self.scan_shape = scan_shape
        self.has_positions = False
        self._first = origin
        self._nameless: dict[str, int] = {}

    def place(self, path: Path) -> int:
        """Return the place of a file, negative where it is before the first or outside the scan.

        A name without a number takes the next place of those without.

        Raises
        ------
        SourceError
            If the name holds a position and the shape of the scan is not known.
        """
        for expression in POSITION_IN_NAME:
            match = expression.search(path.stem)
            if match is not None:
                return self._place_at(int(match["y"]), int(match["x"]))
        number = LAST_NUMBER.search(path.stem)
        if number is None:
            return self._nameless.setdefault(path.name, len(self._nameless))
        if self._first is None:
            self._first = int(number[1])
        return int(number[1]) - self._first

    def is_nameless(self, path: Path) -> bool:
        """Return whether a file got its place without a number in its name."""
        return path.name in self._nameless

    def _place_at(self, y: int, x: int) -> int:
        self.has_positions = True
        if self.scan_shape is None:
            raise SourceError(
                SourceState.DAMAGED,
                f"the files in {self.folder} are named by their position; need "
                "scan_shape=(scan_y, scan_x) to know how long a row is.",
            )
        if self._first is None:
            self._first = min(x, y)
        row, column = y - self._first, x - self._first
        if not (0 <= row < self.scan_shape[0] and 0 <= column < self.scan_shape[1]):
            return -1
        return row * self.scan_shape[1] + column
