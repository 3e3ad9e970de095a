"""Master patterns on disk, found again by what they were computed from.

The key is a hash over everything that the result depends on: the atoms, the spec, the
source of the simulators here and the version of the simulators there. A key therefore
never goes stale; a changed program simply asks for other keys.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ResultError
from .masters import MasterPattern, renamed, simulate_master, versions
from .spec import DynamicalSpec, KinematicSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..crystal.phase import Phase

log = logging.getLogger(__name__)

CACHE_VARIABLE = "NAPARI_SPACEGROUP_CACHE"
"""Environment variable that names another folder for the cache."""

_SOURCES = {
    "dynamical": ("dynamical.py", "montecarlo.py", "lambert.py", "masters.py"),
    "kinematic": ("kinematic.py", "lambert.py", "masters.py"),
}
_PACKAGES = {"dynamical": ("de-ebsd",), "kinematic": ("diffsims", "kikuchipy", "orix")}


def cache_folder() -> Path:
    """Return where master patterns are kept: the variable's folder or the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser() / "masters"
    import platformdirs

    return Path(platformdirs.user_cache_dir("napari-spacegroup", appauthor=False)) / "masters"


def master_key(phase: Phase, spec: KinematicSpec | DynamicalSpec) -> str:
    """Return the name under which a master pattern is kept.

    Parameters
    ----------
    phase
        Its cell, atoms and operators count; its name does not.
    spec
        All of it counts.

    Returns
    -------
    key
        SHA-256, 64 hexadecimal digits.
    """
    known = versions(*_PACKAGES[spec.method])
    content = {
        "space_group": phase.space_group,
        "hall": phase.hall,
        "lattice": [float(x) for x in phase.lattice],
        "sites": [
            [s.element, [float(x) for x in s.position], float(s.occupancy), float(s.b_iso)]
            for s in phase.sites
        ],
        "spec": spec.model_dump(mode="json"),
        "code": _source_hash(spec.method),
        "packages": {name: known[name] for name in _PACKAGES[spec.method]},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class MasterCache:
    """Master patterns in a folder.

    Several processes may share the folder: files appear whole or not at all.

    Parameters
    ----------
    folder
        Where; :func:`cache_folder` if not given.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = cache_folder() if folder is None else Path(folder)

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / key[:2] / f"{key}.h5"

    def get(self, phase: Phase, spec: KinematicSpec | DynamicalSpec) -> MasterPattern | None:
        """Return the stored pattern, or None; a damaged file is removed and forgotten."""
        path = self.path(master_key(phase, spec))
        if not path.is_file():
            return None
        try:
            return renamed(MasterPattern.load(path), phase.name)
        except ResultError as error:
            log.warning("dropped a damaged entry of the master pattern cache: %s", error)
            try:
                path.unlink(missing_ok=True)
            except OSError as reason:
                log.warning("can't remove %s: %s", path, reason)
            return None

    def put(
        self, phase: Phase, spec: KinematicSpec | DynamicalSpec, master: MasterPattern
    ) -> Path | None:
        """Store a pattern; a full or read-only disk is logged, not raised.

        Returns
        -------
        path
            Where it lies, or None if it could not be written.
        """
        path = self.path(master_key(phase, spec))
        try:
            master.save(path)
        except ResultError as error:
            log.warning("the master pattern of %s is not cached: %s", phase.name, error)
            return None
        return path

    def fetch(
        self,
        phase: Phase,
        spec: KinematicSpec | DynamicalSpec,
        *,
        device: str = "cpu",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> MasterPattern:
        """Return the pattern from the cache, simulated and stored if it is not there."""
        master = self.get(phase, spec)
        if master is None:
            master = simulate_master(phase, spec, device=device, on_progress=on_progress)
            self.put(phase, spec, master)
        return master

    def size(self) -> tuple[int, int]:
        """Return how many patterns the cache holds and how many bytes."""
        files = [path.stat().st_size for path in self.folder.glob("??/*.h5")]
        return len(files), sum(files)

    def clear(self) -> int:
        """Remove all patterns and return how many there were."""
        paths = list(self.folder.glob("??/*.h5"))
        for path in paths:
            path.unlink(missing_ok=True)
        return len(paths)


@lru_cache
def _source_hash(method: str) -> str:
    digest = hashlib.sha256()
    here = resources.files(__package__)
    for name in _SOURCES[method]:
        # Line endings differ between a checkout and a wheel; the code does not.
        digest.update((here / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
