"""Maps on disk: HDF5 that h5py, Matlab or HDFView read without this package.

The layout is written down in ``docs/map_file.md``; :func:`save_map` and :func:`load_map`
are its only writer and reader here.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import h5py
import numpy as np

from .._version import __version__
from ..crystal.levels import LEVELS, level_name, level_names
from ..errors import ResultError, SpaceGroupError
from .pixel_status import PixelStatus
from .provenance import now
from .ranking import Ranking
from .spacegroup_map import SpaceGroupMap
from .whole_file import SteadyFile, whole_file

_log = logging.getLogger(__name__)

MAP_FORMAT = "napari-spacegroup map"
MAP_VERSION = 1

_BLOCK_BYTES = 8 * 2**20
_CHUNK_ROWS = 16
_TEXT = h5py.string_dtype("utf-8")


def save_map(result: SpaceGroupMap, path: str | Path) -> Path:
    """Write a map, whole or not at all.

    An older map of ours at ``path`` is replaced; any other file is left alone.

    Parameters
    ----------
    result
        The map; one that is not complete can be saved too.
    path
        Usually ends in ``.h5``.

    Returns
    -------
    path
        Where it stands now.

    Raises
    ------
    ResultError
        If another kind of file stands there, the folder does not exist, or the file
        can't be written. Nothing half-written is left.
    """
    path = Path(path)
    _refuse_foreign(path)
    with whole_file(path) as file:
        steady = SteadyFile(file.raw)
        with h5py.File(steady, "w") as store:
            _write(result, store, steady)
        steady.check()
    _log.info("saved %r to %s", result, path)
    return path


def load_map(path: str | Path) -> SpaceGroupMap:
    """Return the map in a file that :func:`save_map` wrote.

    Parameters
    ----------
    path
        An HDF5 file.

    Returns
    -------
    result
        Equal to the saved one, bit for bit.

    Raises
    ------
    ResultError
        If there is no such file, it is no map, it is damaged, or a later version of this
        package wrote it.
    """
    path = Path(path)
    if not path.is_file():
        raise ResultError(f"there is no file {path}; give a map that `classify` saved")
    try:
        with h5py.File(path, "r") as store:
            if store.attrs.get("format") != MAP_FORMAT:
                raise ResultError(
                    f"{path} is an HDF5 file, but no map; give a file that `classify` saved"
                )
            version = int(store.attrs["format_version"])
            if version > MAP_VERSION:
                raise ResultError(
                    f"{path} has layout version {version}, this package reads up to "
                    f"{MAP_VERSION}; update napari-spacegroup"
                )
            return _read(store)
    except SpaceGroupError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ResultError(
            f"{path} can't be read as a map ({error}); it is truncated, damaged or of another "
            "kind: classify the scan again or take a copy"
        ) from error


def is_map_file(path: str | Path) -> bool:
    """Return whether a file says that it is a map of this package."""
    try:
        with h5py.File(path, "r") as store:
            return bool(store.attrs.get("format") == MAP_FORMAT)
    except (OSError, RuntimeError):
        return False


def _refuse_foreign(path: Path) -> None:
    if path.is_file() and path.stat().st_size > 0 and not is_map_file(path):
        raise ResultError(
            f"{path} exists and is not a map that napari-spacegroup wrote; it stays as it is: "
            "choose another name, or remove it yourself"
        )


def _write(result: SpaceGroupMap, store: h5py.File, steady: SteadyFile) -> None:
    store.attrs["format"] = MAP_FORMAT
    store.attrs["format_version"] = MAP_VERSION
    store.attrs["package_version"] = __version__
    store.attrs["created"] = now()
    group = store.create_group("map")
    group.attrs["scan_name"] = result.scan_name
    group.attrs["model_name"] = result.model_name
    group.attrs["step_unit"] = result.step_unit
    group.attrs["finest_level"] = result.finest_level
    if result.step is not None:
        group.attrs["step"] = np.asarray(result.step, np.float64)
        group.attrs["step_axes"] = "scan_y, scan_x"
    group.attrs["n_pixel_done"] = result.n_done
    _write_classes(result, store.create_group("classes"))
    text = json.dumps(result.provenance, ensure_ascii=False, indent=1)
    store.create_dataset("provenance", data=text, dtype=_TEXT)
    _write_pixels(result, group, steady)


def _write_classes(result: SpaceGroupMap, group: h5py.Group) -> None:
    number = group.create_dataset("number", data=np.array(result.classes, np.int16))
    number.attrs["description"] = "space group of each class, in the order of /map/probabilities"
    symbols = [level_name(space_group, "space_group") for space_group in result.classes]
    group.create_dataset("symbol", data=symbols, dtype=_TEXT)
    group.attrs["equivalence_sets"] = json.dumps([list(s) for s in result.equivalence_sets])
    for level in LEVELS:
        labels = result.level_classes(level)
        part = group.create_group(f"levels/{level}")
        part.create_dataset("label", data=np.array(labels, np.int16))
        names = level_names(level)
        part.create_dataset("name", data=[names[label - 1] for label in labels], dtype=_TEXT)


def _write_pixels(result: SpaceGroupMap, group: h5py.Group, steady: SteadyFile) -> None:
    rows, columns = result.scan_shape
    n_class = len(result.classes)
    n_chunk = max(1, _BLOCK_BYTES // (4 * columns * n_class * _CHUNK_ROWS))
    n_row = n_chunk * _CHUNK_ROWS  # whole chunks: each is compressed once
    tile = (min(rows, _CHUNK_ROWS), min(columns, 1024))
    probabilities = group.create_dataset(
        "probabilities",
        (rows, columns, n_class),
        np.float32,
        chunks=(tile[0], min(columns, 64), n_class),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    _describe(probabilities, "1", "scan_y, scan_x, class", "sums to 1 where /map/status is 0")
    status = group.create_dataset("status", data=result.status, compression="gzip")
    _describe(status, "", "scan_y, scan_x", "0 means that the pixel has an answer")
    for value in PixelStatus:
        status.attrs[f"meaning_{value.value}"] = value.reason or "ok"
    labels, confidences = {}, {}
    for level in LEVELS:
        labels[level] = group.create_dataset(
            f"labels/{level}", (rows, columns), np.int16, chunks=tile, compression="gzip"
        )
        text = "label of the likeliest class, see /classes/levels; 0 is unknown; no threshold"
        _describe(labels[level], "", "scan_y, scan_x", text)
        confidences[level] = group.create_dataset(
            f"confidence/{level}",
            (rows, columns),
            np.float32,
            chunks=tile,
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        _describe(confidences[level], "1", "scan_y, scan_x", "probability of the likeliest class")
    for start in range(0, rows, n_row):
        block = result.probabilities[start : start + n_row]
        probabilities[start : start + n_row] = block
        flat = block.reshape(-1, n_class)
        for level in LEVELS:
            ranking = Ranking.empty(len(flat))
            ranking.update(np.arange(len(flat)), flat, result.aggregate(level))
            labels[level][start : start + n_row] = ranking.best.reshape(block.shape[:2])
            confidences[level][start : start + n_row] = ranking.confidence.reshape(block.shape[:2])
        steady.check()


def _describe(dataset: h5py.Dataset, units: str, axes: str, description: str) -> None:
    dataset.attrs["units"] = units
    dataset.attrs["axes"] = axes
    dataset.attrs["description"] = description


def _read(store: h5py.File) -> SpaceGroupMap:
    group = store["map"]
    step = group.attrs.get("step")
    return SpaceGroupMap(
        group["probabilities"][()],
        group["status"][()],
        [int(number) for number in store["classes/number"][()]],
        step=None if step is None else (float(step[0]), float(step[1])),
        step_unit=str(group.attrs["step_unit"]),
        model_name=str(group.attrs["model_name"]),
        scan_name=str(group.attrs["scan_name"]),
        equivalence_sets=json.loads(store["classes"].attrs["equivalence_sets"]),
        finest_level=str(group.attrs.get("finest_level", "space_group")),
        provenance=json.loads(store["provenance"].asstr()[()]),
    )
