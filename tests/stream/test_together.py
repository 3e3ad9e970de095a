"""Microscope and source at the same time, at a real rate, on two threads."""

from __future__ import annotations

import pytest

from napari_spacegroup.stream import open_source


@pytest.mark.parametrize("layout", ["up2", "ebsp", "hdf5", "hdf5-closed", "zarr"])
def test_written_and_read_at_once(stage, layout: str) -> None:
    rig = stage(layout)
    rig.microscope.spec = rig.microscope.spec.replace(rate=200.0)
    follower = type(rig.follow())(open_source(rig.path, settle_seconds=0.02))
    thread = rig.microscope.start()
    while thread.is_alive() or len(follower.patterns) < 28:
        follower.poll()
        thread.join(0.005)
    follower.check(rig.patterns)
    assert not follower.withheld
