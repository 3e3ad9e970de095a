"""A scan that is written over while it is classified is noticed, whatever the library caches."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.infer.witness import ScanWitness
from napari_spacegroup.patterns import read


def write(path: Path, seed: int) -> None:
    patterns = np.random.default_rng(seed).integers(1, 255, (6, 20, 24), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("patterns", data=patterns, chunks=(2, 20, 24))


@pytest.mark.parametrize("is_cropped", [False, True])
def test_an_hdf5_file_that_is_written_over(tmp_path: Path, is_cropped: bool) -> None:
    path, other = tmp_path / "scan.h5", tmp_path / "other.h5"
    write(path, 0)
    write(other, 1)
    scan = read(path, dataset="patterns")
    scan = scan.crop(0, 1, 1, 5) if is_cropped else scan
    witness = ScanWitness(scan)
    for start, patterns in scan.batches(2):
        witness.look(start, patterns)
    witness.check()
    with path.open("r+b") as file:
        file.write(other.read_bytes())
    with pytest.raises(ScanError, match="replaced or overwritten"):
        witness.check()
