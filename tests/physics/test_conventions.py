"""The formulas on docs/conventions.md against kikuchipy's conversions and detector."""

from __future__ import annotations

import numpy as np
import pytest

W, H, BINNING, PIXEL = 80, 60, 2, 50.0
BRUKER = np.array([0.41, 0.27, 0.58])


def to_bruker(convention: str, pc: np.ndarray) -> np.ndarray:
    x, y, z = pc
    width, height = W * BINNING, H * BINNING
    return np.array(
        {
            "bruker": (x, y, z),
            "edax": (x, 1 - y, z * min(W, H) / H),
            "oxford": (x, 1 - y * W / H, z * W / H),
            "emsoft5": (0.5 - x / width, 0.5 - y / height, z / (height * PIXEL)),
            "emsoft4": (0.5 + x / width, 0.5 - y / height, z / (height * PIXEL)),
        }[convention]
    )


@pytest.mark.parametrize("convention", ["bruker", "edax", "oxford", "emsoft5", "emsoft4"])
def test_pattern_centers_agree_with_kikuchipy(convention: str) -> None:
    from kikuchipy.detectors import EBSDDetector

    detector = EBSDDetector(shape=(H, W), pc=BRUKER, binning=BINNING, px_size=PIXEL)
    theirs = {
        "bruker": detector.pc_bruker,
        "edax": detector.pc_tsl,
        "oxford": detector.pc_oxford,
        "emsoft5": lambda: detector.pc_emsoft(5),
        "emsoft4": lambda: detector.pc_emsoft(4),
    }[convention]()
    assert to_bruker(convention, np.ravel(theirs)) == pytest.approx(BRUKER, abs=1e-12)
    # A wrong convention would be off by far more than the tolerance.
    if convention != "bruker":
        assert np.abs(np.ravel(theirs) - BRUKER).max() > 0.05


def test_axes_are_as_drawn() -> None:
    """Surface normal, tilt axis and screen stand to each other as the side view shows."""
    from napari_spacegroup.simulate.projector import DetectorGeometry, sample_to_detector

    def axes(**angles: float) -> np.ndarray:
        geometry = DetectorGeometry.fixed((H, W), (0.5, 0.5, 0.5), **angles)
        return sample_to_detector(geometry)[0].numpy()

    # Rows are Xd, Yd, Zd in the sample frame. At 90 degrees the surface faces the screen.
    facing = axes(sample_tilt=90.0)
    assert facing == pytest.approx(np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), abs=1e-6)

    tilt = np.radians(70.0)
    down = np.array([np.sin(tilt), 0.0, -np.cos(tilt)])  # of the microscope, in the sample frame
    assert axes(sample_tilt=70.0)[2] @ down == pytest.approx(0.0, abs=1e-6)
    lowered = axes(sample_tilt=70.0, detector_tilt=10.0)[2] @ down
    assert lowered == pytest.approx(np.sin(np.radians(10.0)), abs=1e-6)
    assert np.linalg.det(axes(sample_tilt=70.0, detector_tilt=10.0)) == pytest.approx(1, abs=1e-6)


def test_the_formula_for_a_pixel_is_the_projector_s() -> None:
    import torch

    from napari_spacegroup.simulate.projector import (
        DetectorGeometry,
        pixel_directions,
        sample_to_detector,
    )

    geometry = DetectorGeometry.fixed((H, W), tuple(BRUKER))
    identity = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    seen = torch.stack(pixel_directions(geometry, identity), -1)[0].numpy()
    row, column = 13, 71
    u, v = (column + 0.5) / W, (row + 0.5) / H
    expected = [(u - BRUKER[0]) * W / H / BRUKER[2], (BRUKER[1] - v) / BRUKER[2], 1.0]
    in_detector = sample_to_detector(geometry)[0].numpy() @ seen[row, column]
    assert in_detector == pytest.approx(expected, abs=1e-5)
