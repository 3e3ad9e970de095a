"""All conventions at once: measured ferrite patterns against dynamical ones.

899 patterns of a ferrite map with the geometry and the Euler angles of its ``.ang`` file,
used as they are (see SOURCE.md beside the data). Only the camera tilt of 5° is not in the
file. A wrong frame, pattern-center convention or handedness brings the correlation to
nothing: the tolerance is far below the smallest wrong convention.

433 patterns share the highest confidence index, 0.952; the first 20 of them in scan order
are used. They correlate at 0.713 as tested here, at 0.697 with a Lambert grid of 161 instead
of 201, at 0.723 with 241 and two energies down to 12 keV, and higher by about 0.03 if both
patterns are blurred by a pixel first.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.crystal import AtomSite, Phase
from napari_spacegroup.simulate import DynamicalSpec, MasterPattern, simulate_master
from napari_spacegroup.simulate.projector import DetectorGeometry, project

pytest.importorskip("de_ebsd")

SIDE = 120
BINNING = 2
PATTERN_CENTER_EDAX = (0.5017, 0.7189, 0.5342)
SAMPLE_TILT, CAMERA_TILT = 70.0, 5.0


def cubic(name: str, number: int, a: float, *atoms) -> Phase:
    sites = [AtomSite(element, position, 1.0, 0.4) for element, position in atoms]
    return Phase.from_asymmetric_unit(name, number, (a, a, a, 90.0, 90.0, 90.0), sites)


# Diamond at the origin of gemmi's choice 1 of Fd-3m.
CANDIDATES = (
    cubic("FeAl", 221, 2.909, ("Fe", (0, 0, 0)), ("Al", (0.5, 0.5, 0.5))),
    cubic("Ta", 229, 3.303, ("Ta", (0, 0, 0))),
    cubic("Ge", 227, 5.658, ("Ge", (0, 0, 0))),
    cubic("Si", 227, 5.431, ("Si", (0, 0, 0))),
    cubic("Ni", 225, 3.524, ("Ni", (0, 0, 0))),
)
IRON = cubic("Fe", 229, 2.866, ("Fe", (0, 0, 0)))


def master_of(phase: Phase) -> MasterPattern:
    d_min = 0.5 if phase.lattice[0] < 4 else 0.6
    spec = DynamicalSpec(
        d_min=d_min, half_size=100, energy_bins=1, cutoffs=(8, 8.1, 50), electrons=5000
    )
    return simulate_master(phase, spec)


@pytest.fixture(scope="module")
def ferrite(shared_data):
    """The 20 patterns of highest confidence index, ties in scan order, and their angles."""
    stored = np.load(shared_data / "ebsd" / "fe_ferrite_openxy" / "fe_ferrite_899_binned4.npz")
    best = np.argsort(-stored["ci"], kind="stable")[:20]
    patterns = stored["patterns"][best].astype(np.float64)
    assert patterns.shape == (20, SIDE, SIDE)
    return patterns, stored["euler_rad"][best]


@pytest.fixture(scope="module")
def screen() -> np.ndarray:
    """True inside the round screen, without its rim."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.hypot(x, y) < 56


def local_contrast(pattern: np.ndarray, screen: np.ndarray) -> np.ndarray:
    """Local mean 0 and local standard deviation 1, over 8 pixels inside the screen."""
    from scipy.ndimage import gaussian_filter

    inside = screen.astype(float)
    weight = np.maximum(gaussian_filter(inside, 8), 1e-9)
    centered = (pattern - gaussian_filter(pattern * inside, 8) / weight) * inside
    deviation = np.sqrt(gaussian_filter(centered**2, 8) / weight)
    return (centered / np.maximum(deviation, 1e-9))[screen]


def correlations(simulated, measured, screen) -> np.ndarray:
    return np.array(
        [
            np.corrcoef(local_contrast(a, screen), local_contrast(b, screen))[0, 1]
            for a, b in zip(simulated, measured, strict=True)
        ]
    )


def binned(patterns: np.ndarray) -> np.ndarray:
    shape = (len(patterns), SIDE, BINNING, SIDE, BINNING)
    return np.asarray(patterns, dtype=np.float64).reshape(shape).mean(axis=(2, 4))


def detector():
    from kikuchipy.detectors import EBSDDetector

    return EBSDDetector(
        shape=(SIDE * BINNING, SIDE * BINNING),
        pc=PATTERN_CENTER_EDAX,
        convention="edax",
        sample_tilt=SAMPLE_TILT,
        tilt=CAMERA_TILT,
    )


def projected(master: MasterPattern, euler: np.ndarray) -> np.ndarray:
    """The patterns of our own projector."""
    from orix.quaternion import Rotation

    geometry = DetectorGeometry.fixed(
        (SIDE * BINNING, SIDE * BINNING),
        tuple(float(x) for x in detector().pc.ravel()),
        sample_tilt=SAMPLE_TILT,
        detector_tilt=CAMERA_TILT,
        count=len(euler),
    )
    rotations = torch.as_tensor(Rotation.from_euler(euler).data, dtype=torch.float32)
    return binned(project(torch.as_tensor(master.weighted())[None], geometry, rotations).numpy())


@pytest.fixture(scope="module")
def iron() -> MasterPattern:
    return master_of(IRON)


def test_iron_through_kikuchipy(ferrite, screen, iron):
    from orix.quaternion import Rotation

    measured, euler = ferrite
    signal = iron.to_kikuchipy().get_patterns(
        Rotation.from_euler(euler), detector(), compute=True, show_progressbar=False
    )
    found = correlations(binned(signal.data), measured, screen)
    assert found.mean() >= 0.70
    assert found.min() > 0.45
    ours = correlations(projected(iron, euler), measured, screen)
    np.testing.assert_allclose(ours, found, atol=1e-3)


@pytest.mark.slow
def test_iron_ranks_first(ferrite, screen, iron):
    measured, euler = ferrite
    best = correlations(projected(iron, euler), measured, screen).mean()
    others = {
        phase.name: correlations(projected(master_of(phase), euler), measured, screen).mean()
        for phase in CANDIDATES
    }
    assert max(others.values()) < best, others
    # FeAl has iron's bands and 1.5 % more lattice; nickel has other bands.
    assert others["FeAl"] == max(others.values()), others
    assert others["Ni"] < 0.5, others


def test_inverse_rotations_show(ferrite, screen, iron):
    from orix.quaternion import Rotation

    measured, euler = ferrite
    right = correlations(projected(iron, euler), measured, screen).mean()
    flipped = (~Rotation.from_euler(euler)).to_euler()
    assert correlations(projected(iron, flipped), measured, screen).mean() < right - 0.4
