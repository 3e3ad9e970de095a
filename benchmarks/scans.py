"""The scans that are followed: written by the simulated microscope, or sparse and huge."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
from row import SEED

PATTERN = (60, 60)
HEADER = 42
"""Bytes before the first pattern of an EDAX file."""

RECORD = PATTERN[0] * PATTERN[1] * 2
CENTER = (0.5, 0.25, 0.6)

CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number {number}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{name}1 {name} 0 0 0
"""


def start_microscope(
    folder: Path, out: Path, shape: tuple[int, int], rate: float
) -> subprocess.Popen[str]:
    """Start a simulated microscope in a process of its own; it draws first, then writes.

    Nickel, iron and aluminium, patterns of 60 x 60, noise as strong as the pattern.
    """
    cifs = folder / "cifs"
    cifs.mkdir(exist_ok=True)
    for name, number, a in (("Ni", 225, 3.524), ("Fe", 229, 2.866), ("Al", 225, 4.05)):
        text = CIF.format(name=name, number=number, a=a)
        (cifs / f"{name}.cif").write_text(text, encoding="utf-8")
    spec = {
        "phases": ["cifs"],
        "master": {"method": "kinematic", "half_size": 60},
        "scan_shape": shape,
        "pattern_shape": PATTERN,
        "pattern_center": CENTER,
        "rate": rate,
        "seed": SEED,
        "device": "cpu",
    }
    path = folder / f"{out.stem}.yaml"
    path.write_text(json.dumps(spec), encoding="utf-8")  # YAML takes JSON as it is
    return subprocess.Popen(
        [sys.executable, "-m", "napari_spacegroup.cli", "microscope", "--spec", str(path),
         "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def report_of(microscope: subprocess.Popen[str]) -> str:
    """Wait for a microscope, and return the rate that it reached, as text.

    Raises
    ------
    RuntimeError
        If it failed.
    """
    said = microscope.communicate()[0]
    if microscope.returncode:
        raise RuntimeError(f"the microscope failed: {said}")
    return next(
        line.split(": ", 1)[1].split(",")[0] for line in said.splitlines() if "wrote" in line
    )


ROWS, COLUMNS, WIDTH = 480, 640, 25
"""Detector pixels of the sparse scans, and patterns in one of their lines."""

DENSE = 5
"""So many lines at the beginning are whole, as in any scan: a full batch is the usual peak."""


def written_places(lines: int) -> list[int]:
    """Return which patterns of a sparse scan are written: its beginning, and some all over it."""
    some = sorted({*range(DENSE, lines, max(1, lines // 13)), lines - 1})
    return [*range(DENSE * WIDTH), *(line * WIDTH + p for line in some for p in range(0, WIDTH, 6))]


def sparse_array(path: Path, gigabytes: float) -> int:
    """Write a numpy file of that size, its beginning and a few patterns noise, the rest holes."""
    lines = round(gigabytes * 1e9 / (ROWS * COLUMNS)) // WIDTH
    shape = (lines, WIDTH, ROWS, COLUMNS)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    rng = np.random.default_rng(SEED)
    for place in written_places(lines):
        array[divmod(place, WIDTH)] = rng.integers(1, 255, (ROWS, COLUMNS), dtype=np.uint8)
    array.flush()
    return lines * WIDTH


def sparse_up2(path: Path, gigabytes: float) -> int:
    """Write an EDAX file of that size, its beginning and a few patterns noise, the rest holes.

    This is what a microscope leaves that lays its file out and skips most of the scan.
    """
    lines = round(gigabytes * 1e9 / (2 * ROWS * COLUMNS)) // WIDTH
    rng = np.random.default_rng(SEED)
    record = 2 * ROWS * COLUMNS
    with path.open("wb") as file:
        file.write(struct.pack("<IIIIBIIB", 3, COLUMNS, ROWS, HEADER, 0, WIDTH, lines, 0))
        file.write(struct.pack("<dd", 0.5, 0.5))
        for place in written_places(lines):
            noise = rng.normal(9000, 2000, (ROWS, COLUMNS)).clip(1, 65535)
            file.seek(HEADER + place * record)
            file.write(noise.astype("<u2").tobytes())
        file.truncate(HEADER + lines * WIDTH * record)
    return lines * WIDTH
