"""Patterns in image files: multi-page TIFF, folders of images, single images."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import tifffile
from numpy.typing import NDArray

from ..errors import ScanError
from .arrays import grid_from_positions
from .options import ReadOptions
from .scan import PatternScan
from .source import ArraySource, check_numeric, scan_shape_of
from .storage import RawFileArray

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg")

POSITION_IN_NAME = (
    re.compile(r"x(?P<x>\d+)[_\- ]?y(?P<y>\d+)", re.IGNORECASE),
    re.compile(r"y(?P<y>\d+)[_\- ]?x(?P<x>\d+)", re.IGNORECASE),
    re.compile(r"r(?:ow)?(?P<y>\d+)[_\- ]?c(?:ol(?:umn)?)?(?P<x>\d+)", re.IGNORECASE),
    re.compile(r"-(?P<x>\d+)-(?P<y>\d+)$"),
)
"""File names that say where a pattern belongs: ``_x5y10``, ``r3c12``, ``-5-10``."""


class ImageFiles:
    """Image files of one size, seen as ``(n, detector_y, detector_x)``.

    Parameters
    ----------
    paths
        In scan order. The first is read to learn size and type.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        first = read_image(self.paths[0])
        self.shape = (len(self.paths), *first.shape)
        self.dtype = first.dtype

    def __getitem__(self, key: slice) -> NDArray[Any]:
        paths = self.paths[key]
        out = np.empty((len(paths), *self.shape[1:]), dtype=self.dtype)
        for i, path in enumerate(paths):
            image = read_image(path)
            if image.shape != self.shape[1:]:
                raise ScanError(
                    f"{path} is an image of {image.shape}, {self.paths[0].name} of "
                    f"{self.shape[1:]}; need images of one size. Keep other images elsewhere."
                )
            out[i] = image
        return out


class TiffPages:
    """Pages of a TIFF file, seen as ``(n, detector_y, detector_x)``.

    Parameters
    ----------
    path
        The file. Pages are unpacked one by one, whatever their compression.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file: tifffile.TiffFile | None = None
        pages = self._pages()
        self.shape = (len(pages), *pages[0].shape[:2])
        self.is_colour = len(pages[0].shape) == 3
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if self.is_colour else pages[0].dtype)

    def _pages(self) -> Any:
        if self._file is None:
            self._file = tifffile.TiffFile(self.path)
            weakref.finalize(self, self._file.close)
        return self._file.pages

    def __getitem__(self, key: slice) -> NDArray[Any]:
        start, stop, _ = key.indices(self.shape[0])
        out = np.empty((max(0, stop - start), *self.shape[1:]), dtype=self.dtype)
        with self._lock:
            pages = self._pages()
            for i in range(start, stop):
                page = pages[i].asarray()
                if page.shape[:2] != self.shape[1:]:
                    raise ScanError(
                        f"Page {i} of {self.path} is {page.shape}, the first is "
                        f"{self.shape[1:]}; need pages of one size."
                    )
                out[i - start] = grey(page)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_file": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def grey(image: NDArray[Any]) -> NDArray[Any]:
    """Return a colour image's grey values (ITU-R BT.601 luma), a grey one as it is."""
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] in (1, 2):
        return image[..., 0]
    if image.ndim == 3 and image.shape[2] in (3, 4):
        luma = image[..., :3].astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        out: NDArray[Any] = luma.round().astype(image.dtype)
        return out
    raise ScanError(
        f"Got an image of shape {image.shape}; need grey or colour, (y, x) or (y, x, 3)."
    )


def read_image(path: Path) -> NDArray[Any]:
    """Return one image as grey values, shape ``(y, x)``."""
    try:
        if path.suffix.lower() in _TIFF:
            image = tifffile.imread(path)
        else:
            # One plugin by name: imageio tries its video readers on a damaged png else.
            image = imageio.imread(path, plugin="pillow")
    except (OSError, ValueError, SyntaxError, KeyError, IndexError) as error:
        raise ScanError(
            f"{path} can't be read as an image: {error}; need {', '.join(IMAGE_SUFFIXES)}. Is it "
            "complete?"
        ) from error
    return grey(np.asarray(image))


_TIFF = (".tif", ".tiff")


def read_tiff(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a TIFF file of one or more pages."""
    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ScanError(f"{path} is a TIFF file without images; need at least one page.")
        series = file.series[0]
        shape, axes = tuple(series.shape), series.axes
        pages = len(file.pages)
        offset = series.dataoffset
        dtype = np.dtype(f"{file.byteorder}{series.dtype.char}")
    check_numeric(dtype, str(path))
    colour = "S" in axes
    array: RawFileArray | TiffPages
    if len(shape) >= 2 and not colour and offset is not None:
        # One contiguous block (ImageJ writes it so, beyond 4 GB with a single page entry).
        count = int(np.prod(shape[:-2]))
        array = RawFileArray(path, count, (shape[-2], shape[-1]), dtype, offset)
        if array.stored < count:
            raise ScanError(
                f"{path} ends after {array.stored} of {count} pages; need the whole file. Copy "
                "it again."
            )
    else:
        array = TiffPages(path)
        count = pages
    size = options.scan_size
    if size is None and not colour and len(shape) == 4 and shape[0] * shape[1] == count:
        size = (shape[0], shape[1])
    return _scan(array, size, path, "tifffile")


def read_image_file(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan of one pattern from a png, bmp or jpg file."""
    return _scan(ImageFiles([path]), options.scan_size, path, "imageio")


def read_folder(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a folder of images of one size.

    The names give the order: positions in them (`POSITION_IN_NAME`) where these fill a
    grid, else their natural order (9 before 10), as a line or as `scan_size`.

    Raises
    ------
    ScanError
        If the folder holds no images.
    """
    images = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    if not images:
        seen = sorted({p.suffix or p.name for p in path.iterdir()})[:8]
        raise ScanError(
            f"{path} is a folder without images (it holds {seen or 'nothing'}); need "
            f"{', '.join(IMAGE_SUFFIXES)}. Choose the folder of the patterns, or the scan's file."
        )
    suffixes = [p.suffix.lower() for p in images]
    common = max(sorted(set(suffixes)), key=suffixes.count)
    images = sorted((p for p in images if p.suffix.lower() == common), key=natural_key)
    if len(images) < len(suffixes):
        logger.warning("%s: %d images are %s, the others are left out", path, len(images), common)
    size = options.scan_size
    if size is None:
        found = grid_from_names(images)
        if found is not None:
            size, order = found
            images = [images[i] for i in order]
        else:
            logger.info("%s: no grid in the file names; the patterns make one line", path)
    return _scan(ImageFiles(images), size, path, "imageio")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts 9 before 10."""
    parts = re.split(r"(\d+)", path.stem.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def grid_from_names(paths: Sequence[Path]) -> tuple[tuple[int, int], list[int]] | None:
    """Return scan shape and order if the names of all files fill a grid, else None."""
    for expression in POSITION_IN_NAME:
        matches = [expression.search(path.stem) for path in paths]
        positions = [(int(m["x"]), int(m["y"])) for m in matches if m is not None]
        if len(positions) == len(paths):
            found = grid_from_positions(np.array(positions, dtype=np.float64))
            if found is not None:
                return found[0], found[2].tolist()
    return None


def _scan(
    array: RawFileArray | TiffPages | ImageFiles,
    size: tuple[int, int] | None,
    path: Path,
    reader: str,
) -> PatternScan:
    check_numeric(array.dtype, str(path))
    source = ArraySource(array, scan_shape_of(array.shape[0], size, str(path)))
    return PatternScan.from_source(source, name=path.stem, path=path, metadata={"reader": reader})
