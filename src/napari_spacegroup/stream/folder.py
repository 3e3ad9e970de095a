"""A folder that fills with images, one per pattern.

The number in a file's name is its place, so that a pattern that was skipped leaves its
pixel empty and an image that comes late finds its own. An image counts when it can be
decoded whole and either a later one exists or it did not change for a moment.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.images import IMAGE_SUFFIXES, natural_key, read_image
from .numbering import Numbering
from .slots import SlotSource
from .source import ScanInfo, SourceError, SourceState
from .visit import BadPlacesError, BrokenPlaces, signature_of

CACHED_IMAGES = 32
"""How many decoded images are kept: those that prove that this is still the same scan."""


class ImageCache:
    """Decoded images, as long as size and time of their file stay."""

    def __init__(self) -> None:
        self._images: OrderedDict[Path, tuple[tuple[int, int], NDArray[Any]]] = OrderedDict()

    def read(self, path: Path) -> NDArray[Any]:
        """Return an image, shape ``(y, x)``.

        Raises
        ------
        ScanError
            If it can't be decoded.
        """
        signature = signature_of(path)
        known = self._images.get(path)
        if known is not None and known[0] == signature:
            self._images.move_to_end(path)
            return known[1]
        image = read_image(path)
        self._images[path] = (signature, image)
        while len(self._images) > CACHED_IMAGES:
            self._images.popitem(last=False)
        return image


class FolderVisit:
    """The images of a folder at one moment.

    Parameters
    ----------
    files
        Image of each place.
    info
        Shape and type of the patterns.
    broken
        Remembers images that can't be read.
    cache
        Remembers images that are looked at again and again.
    """

    leftover = 0
    fill = 0.0
    identity = b""

    def __init__(
        self, files: dict[int, Path], info: ScanInfo, broken: BrokenPlaces, cache: ImageCache
    ) -> None:
        self.cache = cache
        self.files = files
        self.info = info
        self.broken = broken
        self.stored = max(files, default=-1) + 1

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the images of ascending places, shape ``(n, y, x)``."""
        out = np.zeros((len(slots), *self.info.pattern_shape), dtype=self.info.dtype)
        bad, words = [], ""
        for i, slot in enumerate(slots.tolist()):
            path = self.files.get(slot)
            if path is None:
                continue
            try:
                image = self.cache.read(path)
                if image.shape != self.info.pattern_shape or image.dtype != self.info.dtype:
                    raise ScanError(
                        f"{path.name} is {image.dtype} of {image.shape}; need {self.info.dtype} of "
                        f"{self.info.pattern_shape} as the first image"
                    )
                out[i] = image
            except ScanError as error:
                if self.broken.is_hopeless(slot, signature_of(path)):
                    bad.append(slot)
                    words = str(error)
        if bad:
            raise BadPlacesError(np.array(bad), words)
        return out


class FolderSource(SlotSource):
    """A folder of images that fills: tif, png, bmp or jpg.

    Parameters
    ----------
    path
        The folder; it need not exist yet.
    origin
        Number of the first pattern in the file names (and of the first row and column,
        where names hold positions). By default that of the first image seen; an image
        with a smaller number that comes later is named and left out.
    numbers_are_arrivals
        Whether images are numbered as they were taken, so that ``order`` says where they
        belong. By default the number is that of the scan pixel, as for ``read``.
    **options
        As for :class:`~napari_spacegroup.stream.slots.SlotSource`. Names with positions
        (``x5y10``) need ``scan_shape``.

    Notes
    -----
    Names without a number are taken in their natural order as they appear. One ending is
    followed: that of the first image.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        origin: int | None = None,
        numbers_are_arrivals: bool = False,
        **options: Any,
    ) -> None:
        self.origin = origin
        self.places_are_arrivals = numbers_are_arrivals
        super().__init__(path, **options)

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        super().restart()
        self._suffix = ""
        self._numbering = Numbering(self.path, self.asked_shape, self.origin)
        self._cache = ImageCache()
        self._places: dict[str, int] = {}
        self._broken = BrokenPlaces(self.settle_seconds, self._clock)

    def _visit(self) -> AbstractContextManager[FolderVisit]:
        return self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[FolderVisit]:
        files = self._files()
        if self._info is None:
            self._info = self._begin(files)
        yield FolderVisit(files, self._info, self._broken, self._cache)

    def _ends_with(self, *_: object) -> bool:
        return False

    def _pixels(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.asked_shape is not None and self._numbering.has_positions:
            return slots
        return super()._pixels(slots)

    def _files(self) -> dict[int, Path]:
        with os.scandir(self.path) as entries:
            names = [e.name for e in entries if Path(e.name).suffix.lower() in IMAGE_SUFFIXES]
        # Names are looked into once: a folder of many thousands is listed at each poll.
        fresh = [self.path / name for name in names if name not in self._places]
        fresh.sort(key=natural_key)
        if not self._suffix and fresh:
            self._suffix = fresh[0].suffix.lower()
        for path in fresh:
            is_followed = path.suffix.lower() == self._suffix
            self._places[path.name] = self._numbering.place(path) if is_followed else -1
        files: dict[int, Path] = {}
        for name in names:
            place = self._places[name]
            if place >= 0:
                files.setdefault(place, self.path / name)
        return files

    def _begin(self, files: dict[int, Path]) -> ScanInfo:
        for place in sorted(files):
            try:
                image = read_image(files[place])
            except ScanError:
                continue
            total = None if self.asked_shape is None else self.order.length(self.asked_shape)
            return ScanInfo(
                (image.shape[0], image.shape[1]), image.dtype.newbyteorder("="), self.asked_shape,
                total,
            )  # fmt: skip
        raise SourceError(SourceState.WAITING, f"{self.path} holds no whole image yet")
