"""A folder that fills with powder profiles, one a file: an in-situ series, or a map.

Each profile has an axis of its own, so that range and step may change on the way. A file is
believed when it stayed as it is for a moment and either a later one is there or it goes as
far as the one before it; otherwise it is waited for a while longer. One that changes after it
was delivered is delivered again: the map is that of the files as they lie there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..patterns.images import natural_key
from ..patterns.options import ReadOptions
from ..patterns.read import PROFILE_SUFFIXES
from .numbering import Numbering
from .order import RASTER, OrderKind, ScanOrder, as_order
from .profile_file import Profile, ProfileFile
from .source import (
    Arrival,
    ScanInfo,
    SourceError,
    SourceState,
    Withheld,
    WithheldReason,
    closed_error,
    nothing,
)
from .visit import signature_of

SUFFIXES = (*PROFILE_SUFFIXES, ".dat")
"""Endings of files that may hold a profile."""

PATIENCE = 20
"""So many times longer a file is waited for that may be cut, or that can't be read."""

MOST_READ = 16
"""Files that one poll reads; reading one takes some hundredths of a second."""

MOST_CHECKED = 64
"""Files that one poll looks at again after they were delivered; others each time."""


class ProfileFolderSource:
    """A folder that fills with files of one powder profile each.

    Parameters
    ----------
    path
        The folder; it need not exist yet.
    told
        Wavelength, radiation, axis and `difc`, where the files do not say them.
    scan_shape
        (scan_y, scan_x) of a map: the number in a file's name, or the position, is its pixel
        then, as for images. None makes a line of the files in the order in which they came.
    order
        How the beam moves; for a map whose files have no number in their names.
    settle_seconds
        How long a file must stay unchanged. One that may be cut is waited for 20 times longer.
    origin
        Number of the first file of a map; by default that of the first one seen.
    clock
        Returns seconds; tests give their own.

    Notes
    -----
    One ending is followed: that of the first file that holds a profile. Hidden files are left
    out.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        told: ReadOptions | None = None,
        scan_shape: tuple[int, int] | None = None,
        order: ScanOrder | OrderKind | list[int] = RASTER,
        settle_seconds: float = 0.25,
        origin: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(path)
        self.told = told or ReadOptions()
        self.asked_shape = scan_shape
        self.order = as_order(order)
        self.settle_seconds = settle_seconds
        self.origin = origin
        self._clock = clock
        self._is_closed = False
        self.restart()

    @property
    def info(self) -> ScanInfo | None:
        """Return what is known about the scan; None before the first profile."""
        return self._info

    def open(self) -> None:
        """Do nothing: files are opened when they are read."""

    def close(self) -> None:
        """Refuse further polls."""
        self._is_closed = True

    def restart(self) -> None:
        """Forget everything and begin with the files that lie there now."""
        self._info: ScanInfo | None = None
        self._files: dict[str, ProfileFile] = {}
        self._suffix = ""
        self._numbering = Numbering(self.path, self.asked_shape, self.origin)
        self._taken: dict[int, str] = {}
        self._latest: Profile | None = None
        self._checked = 0

    def missing(self) -> NDArray[np.int64]:
        """Return the pixels without a profile, ascending, up to the last one that is known."""
        total = None if self._info is None else self._info.n_patterns
        found = [file.place for file in self._files.values() if file.mark is not None]
        return np.setdiff1d(np.arange(total or len(self._taken), dtype=np.int64), found)

    def poll(self, max_patterns: int | None = None) -> Arrival:
        """Return profiles that are new, whole, and of one axis; see :class:`LiveSource`."""
        if self._is_closed:
            raise closed_error(str(self.path))
        try:
            self._list()
        except FileNotFoundError:
            return self._gone("is not there")
        except OSError as error:
            return self._gone(f"can't be reached ({error.strerror or error})")
        except SourceError as fault:
            return nothing(self._info, fault.state, str(fault))
        return self._take(min(max_patterns or MOST_READ, MOST_READ))

    # What lies there.

    def _list(self) -> None:
        """Look for new files, and whether known ones changed."""
        now = self._clock()
        fresh: list[tuple[int, Any, Path]] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                is_ours = entry.name not in self._files and self._is_ours(entry.name)
                if not is_ours or entry.is_dir():
                    continue
                path = self.path / entry.name
                # When it came here, whatever its own time says: a copy may keep the old one.
                with contextlib.suppress(FileNotFoundError):
                    fresh.append((entry.stat().st_ctime_ns, natural_key(path), path))
        for _, _, path in sorted(fresh):
            self._files[path.name] = ProfileFile(path)
            if self._suffix:
                self._give_place(self._files[path.name])
        for file in self._to_check():
            file.look(signature_of(file.path), now)

    def _is_ours(self, name: str) -> bool:
        """Return whether a file may hold a profile of this series, by its name."""
        return name.lower().endswith(self._suffix or SUFFIXES) and not name.startswith(".")

    def _to_check(self) -> list[ProfileFile]:
        """Return the files that are not done with, and some of those that are."""
        files = list(self._files.values())
        done = [file for file in files if file.signature == file.done]
        start = self._checked if self._checked < len(done) else 0
        self._checked = start + MOST_CHECKED
        todo = [file for file in files if file.signature != file.done]
        return todo + done[start : start + MOST_CHECKED]

    def _give_place(self, file: ProfileFile) -> None:
        """Decide which pixel a file is; -1 where another one is there or it is outside."""
        arrival = len(self._taken)
        place = arrival
        if self.asked_shape is not None:
            place = self._numbering.place(file.path)
            if self._numbering.is_nameless(file.path):
                place = int(self.order.pixel_of(np.array([place]), self.asked_shape)[0])
            if not 0 <= place < self.asked_shape[0] * self.asked_shape[1]:
                place = -1
        if place < 0 or self._taken.setdefault(place, file.path.name) != file.path.name:
            place = -1
        file.place = place

    def _follow_suffix(self, suffix: str) -> None:
        """Leave files with another ending out, and give the others their place."""
        self._suffix = suffix
        self._files = {n: f for n, f in self._files.items() if f.path.suffix.lower() == suffix}
        for file in self._files.values():
            file.done = None  # what was said of it concerned no pixel
            self._give_place(file)

    # One poll.

    def _take(self, limit: int) -> Arrival:
        group: list[tuple[ProfileFile, Profile]] = []
        withheld: list[Withheld] = []
        unsettled = reads = 0
        due = [file for file in self._files.values() if file.is_due]
        for file in due:
            if len(group) >= limit or reads >= MOST_READ:
                break
            if self._suffix not in ("", file.path.suffix.lower()):
                continue  # it was decided while we went through them
            reads += not file.is_read
            known = self._judge(file)
            if known is None:
                unsettled += 1
            elif isinstance(known, Withheld):
                withheld.append(known)
            elif group and not known.has_axis_of(group[0][1]):
                break
            else:
                withheld += self._accept(file, known, group)
        self._describe(group)
        left = max(0, len(due) - len(group) - len(withheld) - unsettled)
        return self._answer(group, tuple(withheld), left, unsettled > 0)

    def _judge(self, file: ProfileFile) -> Profile | Withheld | None:
        """Return the profile of a file, what is wrong with it, or None if one must wait."""
        age = self._clock() - file.since
        if age < self.settle_seconds:
            return None
        file.open(self.told)
        if signature_of(file.path) != file.signature:
            return None
        is_late = age >= PATIENCE * self.settle_seconds
        if file.profile is None:
            if not is_late:
                return None
            file.done = file.signature
            problem = file.problem.replace(str(file.path), "it")
            words = f"{file.path.name} is no single powder profile: {problem}"
            return Withheld(file.place, WithheldReason.UNREADABLE, words, file.path.name)
        return file.profile if is_late or self._is_whole(file, file.profile) else None

    def _is_whole(self, file: ProfileFile, profile: Profile) -> bool:
        """Return whether a profile that stayed as it is for a moment may be believed."""
        before = self._latest
        was_passed = next(reversed(self._files)) != file.path.name and file.mark is None
        if profile.is_closed or was_passed:
            return True
        if before is None or profile.is_cut_of(before):
            return False
        return profile.ends_line or not before.ends_line

    def _accept(
        self, file: ProfileFile, profile: Profile, group: list[tuple[ProfileFile, Profile]]
    ) -> Iterator[Withheld]:
        """Deliver a file, unless it is what was delivered before, or belongs to no pixel."""
        if not self._suffix:
            self._follow_suffix(file.path.suffix.lower())
        file.done, file.profile = file.signature, None
        before, file.mark = file.mark, profile.mark
        self._latest = profile
        if file.place < 0:
            words = f"{file.path.name} belongs to no pixel: another file has its number, or it is "
            words += "outside the scan; it is left out"
            yield Withheld(-1, WithheldReason.UNREADABLE, words, file.path.name)
        elif before != file.mark:
            group.append((file, profile))

    def _describe(self, group: list[tuple[ProfileFile, Profile]]) -> None:
        """Say what the first profile tells of the scan."""
        if not group or self._info is not None:
            return
        profile, shape = group[0][1], self.asked_shape
        self._info = ScanInfo(
            (1, len(profile.counts)), np.dtype(np.float64), shape,
            None if shape is None else shape[0] * shape[1], "powder",
            axis=profile.axis, is_series=True,
        )  # fmt: skip

    def _answer(
        self,
        group: list[tuple[ProfileFile, Profile]],
        withheld: tuple[Withheld, ...],
        left: int,
        is_unsettled: bool,
    ) -> Arrival:
        """Return what a poll says."""
        message = withheld[0].message if withheld else ""
        if not group:
            state = SourceState.WAITING if self._info is None else SourceState.IDLE
            if withheld:
                state = SourceState.GROWING
            elif self._is_over():
                state = SourceState.ENDED
            if state is SourceState.WAITING:
                message = f"{self.path} holds no whole powder profile yet"
            arrival = nothing(self._info, state, message, withheld)
            return replace(arrival, backlog=left, is_unsettled=is_unsettled)
        return Arrival(
            np.array([file.place for file, _ in group], np.int64),
            np.stack([profile.counts for _, profile in group])[:, None],
            SourceState.GROWING, message, withheld, left, group[0][1].axis,
            tuple(file.path.name for file, _ in group), is_unsettled,
        )  # fmt: skip

    def _is_over(self) -> bool:
        total = None if self._info is None else self._info.n_patterns
        is_done = all(file.signature == file.done for file in self._files.values())
        return total is not None and is_done and len(self._taken) >= total

    def _gone(self, how: str) -> Arrival:
        if self._info is None:
            return nothing(None, SourceState.WAITING, f"{self.path} {how} yet")
        words = f"{self.path} {how} any more; what had arrived stays valid. It goes on when the "
        return nothing(self._info, SourceState.VANISHED, words + "folder comes back.")
