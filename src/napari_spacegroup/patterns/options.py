"""What a caller may tell a reader that the file does not say."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadOptions:
    """Hints for a reader; each format uses those that it needs.

    Parameters
    ----------
    scan
        Name or index (from 0) of the scan in a file with several; None for the first.
    scan_size
        (scan_y, scan_x) where the file only holds a stack.
    pattern_size
        (detector_y, detector_x) of raw binary data.
    setting_file
        NORDIF setting file; None for ``Setting.txt`` beside the patterns.
    dataset
        Array in an ``.npz`` archive or dataset in a general HDF5 file.
    processed
        Whether to take Oxford's processed patterns where a file has both.
    wavelength, radiation, axis, difc
        Of powder profiles, see :func:`~.read.read`.
    """

    scan: str | int | None = None
    scan_size: tuple[int, int] | None = None
    pattern_size: tuple[int, int] | None = None
    setting_file: Path | None = None
    dataset: str | None = None
    processed: bool = True
    wavelength: float | None = None
    radiation: str | None = None
    axis: str | None = None
    difc: float | None = None


@contextmanager
def warnings_to_log(path: Path) -> Iterator[None]:
    """Send the warnings of a foreign reader to the log, but for unclosed files.

    Several readers of other packages leave their file to the garbage collector when
    they read lazily; that is theirs to mend and nothing a user can act on.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield
    for warning in caught:
        logger.info("%s: %s", path.name, warning.message)
