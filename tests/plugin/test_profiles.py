"""Powder profiles in the window: opened as a scan, drawn as a line, asked of the model."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("qtpy")

from napari_spacegroup.patterns import from_profiles
from napari_spacegroup.plugin.inspect_pattern import make_view
from napari_spacegroup.plugin.painting import PatternImage, drawn_profile
from napari_spacegroup.plugin.provider import ZooProvider
from napari_spacegroup.plugin.reader import read_layers

ANGLE = np.arange(10.0, 90.0, 0.02)
COUNTS = 50 + 900 * np.exp(-0.5 * ((ANGLE - 30) / 0.1) ** 2)


def test_a_drawn_profile_shows_its_peak_where_it_stands():
    drawn = drawn_profile(COUNTS[None], rows=100, columns=200)
    assert drawn.shape == (100, 200)
    assert drawn.any(axis=0).all()  # an unbroken line
    top = np.flatnonzero(drawn[0])
    assert abs(top.mean() / 200 - 20 / 80) < 0.01
    assert drawn[-3:].any(axis=0).mean() > 0.9  # all else lies at the bottom


@pytest.mark.gui
def test_a_one_row_pattern_is_shown_as_a_line(qtbot):
    image = PatternImage("As measured", "")
    qtbot.addWidget(image)
    image.set_values(COUNTS[None])
    assert (image.image.width(), image.image.height()) == (240, 160)
    image.set_values(np.eye(12))
    assert image.image.width() == 12


@pytest.mark.gui
def test_a_profile_opens_as_a_layer(tmp_path):
    np.savetxt(tmp_path / "a.xye", np.column_stack([ANGLE, COUNTS, np.sqrt(COUNTS)]))
    layers = read_layers(str(tmp_path / "a.xye"))
    assert len(layers) == 1
    assert layers[0][0].shape == (1, 1)


@pytest.mark.gui
@pytest.mark.usefixtures("fake_models")
def test_the_only_profile_of_a_file_is_shown_at_once(make_napari_viewer, qtbot, tmp_path):
    from napari_spacegroup.plugin.pattern_dock import PatternDock
    from napari_spacegroup.plugin.session import session_of

    np.savetxt(tmp_path / "a.xye", np.column_stack([ANGLE, COUNTS, np.sqrt(COUNTS)]))
    viewer = make_napari_viewer()
    dock = PatternDock(viewer)
    viewer.window.add_dock_widget(dock)
    for layer_data in read_layers(str(tmp_path / "a.xye")):
        viewer._add_layer_from_data(*layer_data)
    state = session_of(viewer).pattern_state
    qtbot.waitUntil(lambda: state.view is not None, timeout=60_000)
    assert state.pinned is None


def test_the_dock_asks_the_model_along_the_axis(tmp_path, monkeypatch):
    import torch

    from napari_spacegroup.imaging import ProfileContract
    from napari_spacegroup.models import Model, ModelCard, build

    torch.manual_seed(0)
    options = {"points": 512, "widths": [8, 8], "blocks": [1, 1], "stem": 8, "layers": 1}
    card = ModelCard(name="tiny", technique="powder", classes=(225, 227), options=options,
                     architecture="profilenet", input=ProfileContract(points=512))  # fmt: skip
    Model(build("profilenet", 2, **options), card).save(tmp_path / "tiny")
    monkeypatch.setenv("NAPARI_SPACEGROUP_MODELS", str(tmp_path))
    scan = from_profiles(COUNTS, two_theta=ANGLE)
    view = make_view(scan, (0, 0), ZooProvider(), "tiny", None, "space_group", 0.0, asks_why=True)
    assert view.network.shape == (1, 512)
    assert view.network.max() == 1
    assert sum(bar.probability for bar in view.bars) == pytest.approx(1, abs=1e-5)


def test_a_model_of_another_technique_is_not_asked(tmp_path, monkeypatch):
    from napari_spacegroup.imaging import InputContract
    from napari_spacegroup.models import Model, ModelCard, build

    card = ModelCard(name="pictures", technique="ebsd", classes=(225, 227), architecture="resnet18",
                     options={"width": 4}, input=InputContract())  # fmt: skip
    Model(build("resnet18", 2, width=4), card).save(tmp_path / "pictures")
    monkeypatch.setenv("NAPARI_SPACEGROUP_MODELS", str(tmp_path))
    scan = from_profiles(COUNTS, two_theta=ANGLE)
    view = make_view(
        scan, (0, 0), ZooProvider(), "pictures", None, "space_group", 0.0, asks_why=True
    )
    assert "not for powder profiles" in view.missing
    assert not view.bars
    assert view.network is None


def nickel():
    """Counts of a cubic F lattice, a = 3.52 Å, whose angles read 0.05° too high."""
    counts = np.full(len(ANGLE), 60.0)
    for total, height in ((3, 900), (4, 420), (8, 200), (11, 210), (12, 60)):
        sine = 1.5406 * np.sqrt(total) / (2 * 3.52)
        if sine < 1:
            place = 2 * np.degrees(np.arcsin(sine)) + 0.05
            counts += height * np.exp(-0.5 * ((ANGLE - place) / 0.08) ** 2)
    return np.random.default_rng(0).poisson(counts).astype(float)


def test_ticks_stand_below_the_peaks():
    from napari_spacegroup.crystal.frequencies import space_group_shares
    from napari_spacegroup.imaging import ProfileAxis
    from napari_spacegroup.plugin.ticks import ROWS, tick_rows

    counts = nickel()
    axis = ProfileAxis(ANGLE, "two_theta", 1.5406)
    rows, joint = tick_rows(axis, counts[None], tuple(range(1, 231)), space_group_shares())
    assert joint.argmax() + 1 == 225
    assert 1 <= len(rows) <= ROWS
    first = rows[0]
    assert "3.5" in first.name
    assert ((first.places >= 0) & (first.places <= 1)).all()
    strongest = (counts.argmax() + 0.5) / len(counts)
    assert np.abs(first.places - strongest).min() < 0.1 / 80
    # The same profile backwards over d: its first column is its last angle.
    backwards = ProfileAxis(2 * np.pi / axis.q(), "d")
    other, _ = tick_rows(backwards, counts[None], tuple(range(1, 231)), space_group_shares())
    assert np.abs(other[0].places - strongest).min() < 0.3 / 80


def test_a_profile_is_indexed_once(monkeypatch):
    import napari_spacegroup.infer.powder_cell as cells
    from napari_spacegroup.crystal.frequencies import space_group_shares
    from napari_spacegroup.imaging import ProfileAxis
    from napari_spacegroup.plugin.ticks import tick_rows

    asked, real = [], cells.index_profile
    monkeypatch.setattr(cells, "index_profile", lambda *a: asked.append(1) or real(*a))
    axis = ProfileAxis(ANGLE, "two_theta", 1.5406)
    counts = nickel()[None] + 1  # of its own: the other tests keep theirs
    shares = space_group_shares()
    first = tick_rows(axis, counts, tuple(range(1, 231)), shares)
    again = tick_rows(ProfileAxis(ANGLE.copy(), "two_theta", 1.5406), counts.copy(),
                      tuple(range(1, 231)), shares)  # fmt: skip
    assert [row.name for row in again[0]] == [row.name for row in first[0]]
    assert len(asked) == 1
    tick_rows(ProfileAxis(ANGLE, "two_theta", 1.5418), counts, tuple(range(1, 231)), shares)
    assert len(asked) == 2
