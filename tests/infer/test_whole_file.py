from __future__ import annotations

import errno
import io
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer.whole_file import SteadyFile, whole_file


class FullDisk(io.FileIO):
    """A file on a disk with room for so many bytes."""

    room = 0

    def write(self, data):
        end = self.tell() + len(data)
        if end > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_the_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "out.bin"
    with whole_file(target) as file:
        file.write(b"new")
        assert not target.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(ResultError, match=r"No space left.*free some space"), whole_file(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(KeyboardInterrupt), whole_file(target):
        raise KeyboardInterrupt
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_places_where_no_file_can_be(tmp_path):
    with pytest.raises(ResultError, match="is a folder"), whole_file(tmp_path):
        pass
    with pytest.raises(ResultError, match="does not exist"), whole_file(tmp_path / "no" / "out"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with whole_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize("room", [0, 1000, 20_000, 60_000])
def test_hdf5_survives_a_disk_that_fills_up(tmp_path, room):
    values = np.random.default_rng(0).random((100, 100))
    with FullDisk(tmp_path / "disk", "w+b") as disk:
        disk.room = room
        steady = SteadyFile(disk)
        with h5py.File(steady, "w") as store:
            for name in "abc":
                store.create_dataset(name, data=values, chunks=(10, 100), compression="gzip")
            for name in "abc":  # what could not be written can still be read back
                np.testing.assert_array_equal(store[name][()], values)
        with pytest.raises(OSError, match="No space left"):
            steady.check()


def test_a_steady_file_is_a_plain_file_on_a_good_disk(tmp_path):
    values = np.arange(5000).reshape(50, 100)
    with io.FileIO(tmp_path / "good.h5", "w+b") as file:
        steady = SteadyFile(file)
        with h5py.File(steady, "w") as store:
            store["a"] = values
        steady.check()
    with h5py.File(tmp_path / "good.h5") as store:
        np.testing.assert_array_equal(store["a"][()], values)


SAVE_ON_FULL_DISK = """
import sys
import numpy as np
from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer import SpaceGroupMap

result = SpaceGroupMap.empty((300, 300), range(1, 21))
rows = np.random.default_rng(0).dirichlet(np.ones(20), 90000).astype(np.float32)
result.merge(0, rows, np.zeros(90000, np.uint8))
try:
    result.save(sys.argv[1])
except ResultError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_a_real_full_disk_ends_with_a_message_and_no_crash(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a file system here")
    try:
        command = [sys.executable, "-c", SAVE_ON_FULL_DISK, str(tmp_path / "map.h5")]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        left = list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert run.returncode == 0, run.stderr
    assert "refused: could not write" in run.stdout
    assert "No space left" in run.stdout
    assert run.stderr == ""
    assert left == []
