"""Explanations: the geometry of what is drawn, and a network whose reasons are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from napari_spacegroup.errors import MissingPartError, ModelError, ScanError
from napari_spacegroup.infer.explain import cubic_geometry, directions_of, explain_pattern
from napari_spacegroup.infer.explain_figure import draw_explanation
from napari_spacegroup.infer.sphere import SphereImportance
from napari_spacegroup.models import Model, load_model
from napari_spacegroup.models.sector import sector_directions
from napari_spacegroup.models.sectornet import SectorNet
from napari_spacegroup.workflows import demo_scan_path, explain, explain_many

METHODS = ["integrated_gradients", "hires_cam", "grad_cam", "guided_grad_cam"]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("ebsd-cubic")


@pytest.fixture(scope="module")
def scan():
    import napari_spacegroup as nsg

    return nsg.read(demo_scan_path())


class OneZoneAxis(SectorNet):
    """Looks at the surroundings of [112] alone, in the sector."""

    def read(self, folded):
        places = sector_directions(folded.shape[-1])
        axis = torch.tensor([2.0, 1.0, 1.0]) / 6**0.5
        near = (places @ axis > np.cos(np.radians(5))).float()
        score = (folded[:, 0].abs() * near).sum((1, 2))
        zeros = torch.zeros(len(folded), 5)
        return torch.cat([zeros[:, :2], score[:, None], zeros[:, 2:]], 1)


def test_what_decides_is_found(model, scan):
    network = OneZoneAxis(6, width=20, bands=38)
    network.load_state_dict(model.network.state_dict())
    planted = Model(network, model.card)
    found = explain(scan, planted, (0, 0), space_group=225)
    near = SphereImportance.of(found).near_zone_axes()
    assert near["[112]"] > 5
    assert max(value for name, value in near.items() if name != "[112]") < 0.2
    marks = [(m.x, m.y) for m in found.zone_axes if m.name == "[112]"]
    y, x = np.nonzero(found.heat > 0.3)
    for row, column in zip(y, x, strict=True):
        # 5 degrees are at most 6 pixels on this screen, and the sector has cells of 1.4 degrees.
        assert min(np.hypot(column - u, row - v) for u, v in marks) < 8


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_picture(model, scan, method, tmp_path):
    found = explain(scan, model, (1, 1), method=method)
    assert found.space_group == 225
    assert found.heat.shape == found.seen.shape == found.pattern.shape
    assert np.nanmin(found.heat) >= 0
    assert np.nanmax(found.heat) <= 1.001
    if method in ("integrated_gradients", "hires_cam"):  # mean gradients may all speak against it
        assert np.nanmax(found.heat) > 0.5
    path = draw_explanation(found, tmp_path / "found.png")
    assert path.stat().st_size > 20_000


def test_the_mean_counts_each_pattern_once_and_is_relative_to_even(model, scan):
    sphere = explain_many(scan, model, patterns=4)
    assert sphere.count == 4
    step = np.linspace(0, 1, len(sphere.importance))
    assert np.nanmin(sphere.importance) >= 0
    assert set(sphere.near_zone_axes()) >= {"[001]", "[011]", "[111]"}
    assert len(step) == 32


def test_pictures_of_networks_without_orientations_have_no_sphere(scan):
    from napari_spacegroup.imaging import InputContract
    from napari_spacegroup.models import ModelCard, build

    for architecture, width in (("resnet18", {"width": 4}), ("bandnet", {"widths": [4, 8, 8, 8]})):
        card = ModelCard(
            name="untrained", technique="ebsd", classes=(225, 229), architecture=architecture,
            options=width, input=InputContract(),
        )  # fmt: skip
        plain = Model(build(architecture, 2, **width), card)
        for method in METHODS:
            found = explain(scan, plain, method=method)
            assert found.sector is None
            assert found.zone_axes == ()
            assert SphereImportance.of(found) is None


def test_heat_lies_on_the_central_square(model):
    pattern = np.random.default_rng(0).integers(0, 255, (40, 64)).astype(np.uint8)
    found = explain_pattern(model, pattern, pattern_center=np.array([0.5, 0.3, 0.6]))
    assert found.heat.shape == (40, 64)
    assert np.isnan(found.heat[:, :12]).all()
    assert np.isnan(found.heat[:, 52:]).all()
    assert np.isfinite(found.heat[:, 12:52]).all()


@pytest.mark.parametrize("shape", [(60, 60), (48, 64), (64, 48)])
def test_zone_axes_lie_where_their_bands_cross(shape):
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler("zxz", [20, 35, 50], degrees=True).as_matrix()
    marks, traces = cubic_geometry(rotation, np.array([0.45, 0.3, 0.55]), shape)
    assert marks
    on_bands = 0
    for mark in (m for m in marks if m.name in ("[001]", "[011]", "[111]")):
        for trace in traces:
            start, stop = np.array(trace.start), np.array(trace.stop)
            along = (stop - start) / np.linalg.norm(stop - start)
            apart = np.array([mark.x, mark.y]) - start
            on_bands += abs(apart[0] * along[1] - apart[1] * along[0]) < 0.2
    assert on_bands >= 4  # two {111}, {002} or {022} bands cross at each of them


def test_the_crystal_axis_along_the_screen_normal_is_at_the_pattern_center():
    marks, _ = cubic_geometry(np.eye(3), np.array([0.4, 0.3, 0.6]), (50, 80))
    (found,) = [m for m in marks if m.name == "[001]"]
    # A square of 50 pixels from column 15: 0.4 * 50 + 15 - 0.5, and 0.3 * 50 - 0.5.
    assert (found.x, found.y) == pytest.approx((34.5, 14.5))


def test_families_have_as_many_directions_as_they_should():
    assert [len(directions_of(f)) for f in ((0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 1, 2))] == [
        3, 6, 4, 12
    ]  # fmt: skip


def test_what_cannot_be_explained_is_told(model, scan, monkeypatch):
    with pytest.raises(ModelError, match="does not tell space group 14"):
        explain(scan, model, space_group=14)
    with pytest.raises(ScanError, match="there is no"):
        explain(scan, model, (7, 0))
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingPartError, match="pip install captum"):
        explain(scan, model)
