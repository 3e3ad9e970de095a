"""Small scan files of every vendor that hold the same patterns on a non-square grid.

Patterns are (scan_y, scan_x) = (3, 4) of 20 x 28 pixels; each file is one of the dummy
files that kikuchipy ships or makes, with its patterns, sizes and centers replaced.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import numpy as np

GRID = (3, 4)
FRAME = (20, 28)
STEP = (0.5, 0.25)
CENTER = np.array([0.42, 0.21, 0.55])
"""Mean pattern center, Bruker's convention."""


def kikuchipy_data() -> Path:
    import kikuchipy.data

    return Path(kikuchipy.data.__file__).parent


def patterns(dtype: str = "u1") -> np.ndarray:
    """Random patterns of which no two pixels, rows or columns agree by symmetry."""
    random = np.random.default_rng(12)
    return random.integers(1, 250, (*GRID, *FRAME)).astype(dtype)


def background() -> np.ndarray:
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    return (120 + 2 * y + x).astype(np.uint8)


def centers() -> np.ndarray:
    """One center per scan pixel, shape (scan_y, scan_x, 3)."""
    y, x = np.mgrid[: GRID[0], : GRID[1]]
    drift = np.stack([0.001 * x, 0.002 * y, 0.0005 * (x + y)], axis=-1)
    return CENTER + drift


def put(group: h5py.Group, values: dict) -> None:
    for name, value in values.items():
        if name in group:
            del group[name]
        group[name] = value


def kikuchipy_h5(path: Path, **dataset) -> Path:
    """A kikuchipy file; `dataset` are options for h5py, `count` cuts the patterns short."""
    shutil.copy(kikuchipy_data() / "kikuchipy_h5ebsd" / "patterns.h5", path)
    flat = patterns().reshape(-1, *FRAME)[: dataset.pop("count", None)]
    with h5py.File(path, "r+") as file:
        del file["Scan 2"], file["Scan 1/EBSD/CrystalMap"], file["Scan 1/EBSD/Data/patterns"]
        file["Scan 1/EBSD/Data"].create_dataset("patterns", data=flat, **dataset)
        header = {"n_rows": [GRID[0]], "n_columns": [GRID[1]]}
        header |= {"pattern_height": [FRAME[0]], "pattern_width": [FRAME[1]]}
        header |= {"step_y": [STEP[0]], "step_x": [STEP[1]], "static_background": background()}
        header |= {f"pc{axis}": centers()[..., i] for i, axis in enumerate("xyz")}
        put(file["Scan 1/EBSD/Header"], header)
    return path


def _vendor_center(attribute: str, center: np.ndarray) -> np.ndarray:
    from kikuchipy.detectors import EBSDDetector

    detector = EBSDDetector(shape=FRAME, pc=center)
    return np.asarray(getattr(detector, attribute)())


def edax_h5(path: Path) -> Path:
    shutil.copy(kikuchipy_data() / "edax_h5ebsd" / "patterns.h5", path)
    star = _vendor_center("pc_tsl", CENTER).ravel()
    with h5py.File(path, "r+") as file:
        put(file["Scan 1/EBSD/Data"], {"Pattern": patterns().reshape(-1, *FRAME)})
        header = {"nRows": [GRID[0]], "nColumns": [GRID[1]]}
        header |= {"Pattern Height": [FRAME[0]], "Pattern Width": [FRAME[1]]}
        header |= {"Step Y": np.float32([STEP[0]]), "Step X": np.float32([STEP[1]])}
        for axis, value in zip("xyz", star, strict=True):
            header[f"Pattern Center Calibration/{axis}-star"] = [value]
        put(file["Scan 1/EBSD/Header"], header)
    return path


def bruker_h5(path: Path, shuffled: bool = False) -> Path:
    """A Bruker file; `shuffled` stores the patterns in another order, as a region does."""
    from kikuchipy.data._dummy_files.bruker_h5ebsd import create_dummy_bruker_h5ebsd_roi_file

    create_dummy_bruker_h5ebsd_roi_file(path)
    count = GRID[0] * GRID[1]
    order = np.random.default_rng(5).permutation(count) if shuffled else np.arange(count)
    center = centers().reshape(-1, 3)[order]
    with h5py.File(path, "r+") as file:
        ebsd = file["Scan 0/EBSD"]
        data = {"RawPatterns": patterns().reshape(-1, *FRAME)[order]}
        data |= dict(zip(("PCX", "PCY", "DD"), center.T, strict=True))
        put(ebsd["Data"], data)
        header = {"NROWS": GRID[0], "NCOLS": GRID[1], "StaticBackground": background()}
        header |= {"PatternHeight": FRAME[0], "PatternWidth": FRAME[1]}
        put(ebsd["Header"], {**header, "YSTEP": STEP[0], "XSTEP": STEP[1]})
        put(ebsd["SEM"], {"IY": 7 + order // GRID[1], "IX": 3 + order % GRID[1]})
    return path


def oxford_h5(path: Path) -> Path:
    """An Oxford file whose unprocessed patterns are the processed ones plus 1."""
    from kikuchipy.data._dummy_files.oxford_h5ebsd import create_dummy_oxford_h5ebsd_file

    create_dummy_oxford_h5ebsd_file(path)
    flat = patterns().reshape(-1, *FRAME)
    center = _vendor_center("pc_oxford", centers()).reshape(-1, 3)
    names = ("Pattern Center X", "Pattern Center Y", "Detector Distance")
    with h5py.File(path, "r+") as file:
        data = {"Processed Patterns": flat, "Unprocessed Patterns": flat + 1}
        put(file["1/EBSD/Data"], {**data, **dict(zip(names, center.T, strict=True))})
        header = {"Y Cells": GRID[0], "X Cells": GRID[1], "Y Step": STEP[0], "X Step": STEP[1]}
        header |= {"Pattern Height": FRAME[0], "Pattern Width": FRAME[1]}
        put(file["1/EBSD/Header"], {**header, "Processed Static Background": background()})
    return path


def emsoft_h5(path: Path) -> Path:
    shutil.copy(kikuchipy_data() / "emsoft_ebsd" / "simulated_ebsd.h5", path)
    with h5py.File(path, "r+") as file:
        put(file["EMData/EBSD"], {"EBSDPatterns": patterns().reshape(-1, *FRAME)})
        names = file["NMLparameters/EBSDNameList"]
        # EMsoft: pixels from the detector's middle, and micrometres, for 50 µm pixels.
        x, y, z = CENTER
        put(names, {"numsy": [FRAME[0]], "numsx": [FRAME[1]], "delta": [50.0]})
        # Since version 5 its x points the other way.
        put(names, {"xpc": [FRAME[1] * (0.5 - x)], "ypc": [FRAME[0] * (0.5 - y)]})
        put(names, {"L": [FRAME[0] * 50.0 * z]})
    return path


def nordif_folder(path: Path) -> Path:
    path.mkdir()
    source = kikuchipy_data() / "nordif"
    text = (source / "Setting.txt").read_text(encoding="latin-1")
    area, head = "Number of samples\t3x3", "Resolution\t60x60"
    assert area in text
    assert head in text
    text = text.replace(area, f"Number of samples\t{GRID[0]}x{GRID[1]}")
    text = text.replace(head, f"Resolution\t{FRAME[1]}x{FRAME[0]}")
    (path / "Setting.txt").write_text(text, encoding="latin-1")
    (path / "Pattern.dat").write_bytes(patterns().tobytes())
    return path


def edax_up(path: Path) -> Path:
    """An up1 or up2 file of version 3, by ending."""
    dtype = "u1" if path.suffix == ".up1" else "<u2"
    scale = 1 if path.suffix == ".up1" else 200
    header = struct.pack("<IIII", 3, FRAME[1], FRAME[0], 42)
    header += struct.pack("<BIIB", 0, GRID[1], GRID[0], 0)
    header += struct.pack("<dd", STEP[1], STEP[0])
    assert len(header) == 42
    path.write_bytes(header + (patterns(dtype) * scale).astype(dtype).tobytes())
    return path


def oxford_ebsp(path: Path) -> Path:
    """An ebsp file with each pixel doubled (kikuchipy expects 1600 pixels at least).

    Its patterns lie in another order than the map's within rows, as they do in life.
    """
    flat = np.kron(patterns().reshape(-1, *FRAME), np.ones((1, 2, 2), dtype=np.uint8))
    count = len(flat)
    place = np.concatenate([row * GRID[1] + np.array([1, 0, 3, 2]) for row in range(GRID[0])])
    records = {}
    for index, pattern in enumerate(flat):
        y, x = divmod(index, GRID[1])
        record = struct.pack("<iiii", 0, *pattern.shape, pattern.nbytes) + pattern.tobytes()
        record += struct.pack("<?d?d", True, x * 0.25, True, y * 0.25)
        records[int(place[index])] = record
    starts = 8 + 8 * count + place * len(records[0])
    body = b"".join(records[i] for i in range(count))
    path.write_bytes(struct.pack("<q", -2) + starts.astype("<i8").tobytes() + body)
    return path
