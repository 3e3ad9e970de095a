"""An orientation search from committed master patterns, none of which is nickel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.templates import cubic_templates
from napari_spacegroup.models.indexing import CubicIndexer


@pytest.fixture(scope="session")
def paper_masters(repository: Path) -> MasterSet:
    return MasterSet.load(repository / "recipes" / "ebsd-cubic" / "sets" / "k18.npz")


@pytest.fixture(scope="session")
def templates(paper_masters) -> torch.Tensor:
    """Of the fourteen materials of the EBSD paper that were held out."""
    weights = torch.ones(len(paper_masters))
    return cubic_templates(paper_masters.patterns, weights, 14, 48, InputContract())


@pytest.fixture(scope="session")
def indexer(templates) -> CubicIndexer:
    return CubicIndexer(templates)


@pytest.fixture(scope="session")
def nickel_patterns():
    """EMsoft's nickel through kikuchipy: returns a maker of patterns and orientations."""
    kp = pytest.importorskip("kikuchipy")
    from orix.quaternion import Rotation

    master = kp.data.nickel_ebsd_master_pattern_small(projection="lambert", hemisphere="both")

    def make(count, shape, center, *, tilt=0.0, noise=0.5, seed=0):
        rng = np.random.default_rng(seed)
        quaternions = rng.normal(size=(count, 4))
        quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        detector = kp.detectors.EBSDDetector(shape=shape, pc=center, sample_tilt=70, tilt=tilt)
        patterns = master.get_patterns(
            Rotation(quaternions), detector, energy=20, dtype_out="float32", compute=True,
            show_progressbar=False,
        ).data  # fmt: skip
        patterns = patterns.reshape(count, *shape)
        patterns = patterns + noise * patterns.std() * rng.normal(size=patterns.shape)
        to_detector = detector.sample_to_detector.to_matrix()[0]
        to_crystal = Rotation(quaternions).to_matrix()
        truth = torch.tensor(to_crystal @ to_detector.T, dtype=torch.float32)
        return patterns.astype(np.float32), truth

    return make
