"""Telling that a scan was replaced while it was being classified.

Size and time of a file are poor witnesses: a copy that is synchronised again changes both
and is the same scan. A few patterns, looked at twice, tell.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.scan import PatternScan

WITNESSES = 16


class ScanWitness:
    """Remembers some patterns, spread over a scan, and looks at them again at the end.

    Parameters
    ----------
    scan
        What is classified; one without a file is not looked at again.
    """

    def __init__(self, scan: PatternScan) -> None:
        self._scan = scan
        count = scan.n_patterns if scan.path is not None else 0
        places = np.linspace(0, count - 1, min(WITNESSES, count)).astype(np.int64)
        self._seen: dict[int, int] = dict.fromkeys(places.tolist(), 0)

    def look(self, start: int, patterns: NDArray[Any]) -> NDArray[np.uint32]:
        """Return the checksums of patterns, 0 for those that are no witnesses."""
        checksums = np.zeros(len(patterns), np.uint32)
        for place in self._seen:
            if start <= place < start + len(patterns):
                checksums[place - start] = checksum(patterns[place - start])
        self.remember(start, checksums)
        return checksums

    def remember(self, start: int, checksums: NDArray[np.uint32]) -> None:
        """Take in what was seen, now or before a kill."""
        for place in self._seen:
            if start <= place < start + len(checksums):
                self._seen[place] = int(checksums[place - start])

    def check(self) -> None:
        """Make sure that the patterns are still the same.

        Raises
        ------
        ScanError
            If one changed, or can't be read any more.
        """
        columns = self._scan.scan_shape[1]
        self._scan.let_go()  # what is cached of an open file proves nothing
        for place, known in self._seen.items():
            if known and checksum(self._scan.pattern(*divmod(place, columns))) != known:
                raise ScanError(
                    f"pattern {place} of {self._scan.path} is another one than before: the file "
                    "was replaced or overwritten while it was being classified, and the map would "
                    "mix two scans; it is not saved. Classify again when the file is finished, or "
                    "use follow."
                )


def checksum(pattern: NDArray[Any]) -> int:
    """Return the CRC-32 of a pattern's bytes; 1 in the rare case of 0, which means none."""
    return zlib.crc32(np.ascontiguousarray(pattern).view(np.uint8).reshape(-1).data) or 1
