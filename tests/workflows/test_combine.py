"""The verb combine, from pictures in files to the next zone axis, and spot stacks as scans."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

import napari_spacegroup as nsg
from napari_spacegroup.cli import main
from napari_spacegroup.config import (
    BlochIntensities,
    HolderSpec,
    TwoBeamIntensities,
    sad_condition,
)
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError, ScanError, SpecError
from napari_spacegroup.imaging import SpotContract
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.patterns import virtual_image
from napari_spacegroup.simulate.bloch import crystal_potential
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spot_patterns import draw_patterns
from napari_spacegroup.simulate.thick_spots import bloch_scatter, two_beam_scatter
from napari_spacegroup.workflows import simulate
from napari_spacegroup.workflows.combine_patterns import PatternEvidence, views_of

CLASSES = (221, 225, 227, 229)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A network without training: the verb is tried, not the answers."""
    torch.manual_seed(0)
    network = build("spotnet", len(CLASSES), width=16)
    card = ModelCard(
        name="toy", technique="sad", classes=CLASSES, architecture="spotnet",
        options={"width": 16}, input=SpotContract(), training={"independence": 0.5},
    )  # fmt: skip
    return Model(network, card).save(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    """Sodium chloride near zone axes: a png, a negative as jpg, and a tif of another size."""
    folder = tmp_path_factory.mktemp("pictures")
    crystal = simulate_reflections(library_phase("NaCl"), 1.3)
    generator = torch.Generator().manual_seed(1)
    asked = sad_condition("clean").replace(zone_share=1.0, mistilt=0.3)
    drawn = draw_patterns([crystal] * 3, asked, generator).numpy()
    bytes_ = (255 * (drawn / drawn.max(axis=(1, 2), keepdims=True)).clip(0, 1) ** 0.4).astype("u1")
    imageio.imwrite(folder / "a.png", bytes_[0])
    imageio.imwrite(folder / "b.jpg", 255 - bytes_[1])
    imageio.imwrite(folder / "c.tif", np.kron(bytes_[2], np.ones((2, 2), "u1")))
    return [folder / name for name in ("a.png", "b.jpg", "c.tif")]


def test_photographs_are_joined(model_folder, pictures):
    joint = nsg.combine(pictures, model_folder, holder=HolderSpec(alpha=5.0))
    assert joint.evidence.names == ("a", "b", "c")
    assert joint.evidence.each.shape == (3, 4)
    assert joint.evidence.probabilities.sum() == pytest.approx(1)
    assert joint.is_indexed.all()
    assert joint.rotation is not None
    np.testing.assert_allclose(joint.rotation @ joint.rotation.T, np.eye(3), atol=1e-4)
    assert joint.suggestions
    # The card's power is used: a power of 1 is surer.
    sure = nsg.combine(pictures, model_folder, independence=1.0)
    assert sure.evidence.probabilities.max() > joint.evidence.probabilities.max()


def test_the_command_line_says_the_same(model_folder, pictures, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["combine", *map(str, pictures), "--model", str(model_folder), "--alpha", "5",
                 "--json", str(report)]) == 0  # fmt: skip
    shown = capsys.readouterr().out
    assert "next: [" in shown
    stored = json.loads(report.read_text())
    joint = nsg.combine(pictures, model_folder, holder=HolderSpec(alpha=5.0))
    assert stored == json.loads(json.dumps(joint.to_dict()))
    assert len(stored["patterns"]) == 3
    assert stored["next"][0]["gain_bits"] >= stored["next"][-1]["gain_bits"] or any(
        row["alpha"] is None for row in stored["next"]
    )


def test_a_wrong_request_is_refused(model_folder, pictures, capsys):
    arguments = ["combine", str(pictures[0]), "--model", str(model_folder)]
    assert main([*arguments, "--method", "vote"]) == 2
    assert "method" in capsys.readouterr().err
    assert main([*arguments, "--alpha", "80"]) == 2
    assert "alpha is 80" in capsys.readouterr().err


def test_a_region_of_a_scan(model_folder):
    crystal = simulate_reflections(library_phase("NaCl"), 1.2)
    drawn = draw_patterns([crystal] * 6, sad_condition("clean"), torch.Generator().manual_seed(2))
    scan = nsg.PatternScan.from_array(drawn.numpy().reshape(2, 3, 256, 256))
    region = np.array([[True, False, False], [False, True, True]])
    joint = nsg.combine(scan, model_folder, region=region)
    assert len(joint.evidence.names) == 3
    with pytest.raises(ScanError, match="region has shape"):
        nsg.combine(scan, model_folder, region=region.T)
    with pytest.raises(ScanError, match="no pattern could be classified"):
        nsg.combine(np.zeros((1, 64, 64)), model_folder)


def test_a_blo_stack_is_classified(model_folder, shared_data):
    """The material is not stated, so nothing is said of the answer."""
    path = next((shared_data / "sad" / "sped_blo_unlabelled_rosettasciio").glob("*.blo"))
    scan = nsg.read(path)
    assert scan.technique == "sad"
    scan = replace(scan, navigation=virtual_image(scan))
    assert scan.navigation_image().shape == scan.scan_shape
    assert scan.navigation_image().std() > 0
    result = nsg.classify(scan, model_folder)
    assert result.labels("space_group").shape == scan.scan_shape
    assert (result.labels("space_group") > 0).all()


def test_evaluate_draws_spot_patterns(model_folder):
    report = nsg.evaluate(
        str(model_folder), phases=[library_phase("Si"), library_phase("Fe")], condition="clean",
        patterns_per_phase=4,
    )  # fmt: skip
    assert report["n"] == 8
    assert set(report["per_phase"]) == {"Si", "Fe"}
    assert report["made"]["g_max_per_angstrom"] > 1


def test_a_model_of_spots_is_whole_and_has_nothing_to_explain(model_folder, pictures):
    assert nsg.check_model(model_folder) == []
    nsg.load_model(model_folder).warm_up(4)
    with pytest.raises(ModelError, match="reads spots, not pictures"):
        nsg.explain(pictures[0], model_folder)


def test_simulate_writes_spot_patterns(tmp_path):
    cif = Path(__file__).parents[1] / "data" / "cif" / "quartz_levien.cif"
    spec = nsg.SimulateSpec.from_mapping(
        {"phases": [cif], "output": {"kind": "sad", "patterns_per_phase": 3}, "seed": 2}
    )
    with np.load(simulate(spec, tmp_path / "sad.npz")) as content:
        assert content["patterns"].shape == (3, 256, 256)
        assert content["patterns"].std(axis=(1, 2)).min() > 0
        assert set(content["space_groups"]) <= {152, 154}
    scan = nsg.read(tmp_path / "sad.npz", dataset="patterns")
    assert scan.n_patterns == 3


@pytest.mark.parametrize("kind", ["two_beam", "bloch"])
def test_simulate_writes_spot_patterns_of_thick_crystals(tmp_path, kind):
    cif = Path(__file__).parents[1] / "data" / "cif" / "quartz_levien.cif"

    def drawn(name, **intensities):
        output = {"kind": "sad", "condition": "clean", "patterns_per_phase": 3}
        spec = nsg.SimulateSpec.from_mapping(
            {"phases": [cif], "output": output | {"intensities": intensities}, "seed": 2}
        )
        with np.load(simulate(spec, tmp_path / name)) as content:
            stored = json.loads(str(content["spec"]))["intensities"]
            return content["patterns"], stored

    thin, said = drawn("thin.npz", kind=kind, thickness=[100, 101])
    assert said["kind"] == kind
    assert said["thickness"] == [100, 101]
    thick, _ = drawn("thick.npz", kind=kind, thickness=[700, 701])
    kinematic, _ = drawn("kinematic.npz", kind="kinematic")
    assert thin.shape == thick.shape == kinematic.shape == (3, 256, 256)
    assert np.isfinite(thick).all()
    assert np.abs(thin - thick).max() > 0.1
    again, _ = drawn("again.npz", kind=kind, thickness=[700, 701])
    assert (again == thick).all()


@pytest.mark.parametrize("thickness", [(0.0, 100.0), (300.0, 200.0)])
def test_a_crystal_has_a_thickness(thickness):
    for kind in (BlochIntensities, TwoBeamIntensities):
        with pytest.raises(SpecError, match="thickness"):
            kind.from_mapping({"thickness": thickness})


def test_bloch_waves_draw_the_spots_of_two_beams_where_the_crystal_is_thin():
    silicon = library_phase("Si")
    reflections = simulate_reflections(silicon, 1.3)
    asked = sad_condition("clean").replace(precession=(0.0, 0.0), zone_share=1.0)

    def pictures(scatter):
        generator = torch.Generator().manual_seed(5)
        return draw_patterns([reflections] * 4, asked, generator, scatter=scatter)

    def depths():
        return torch.Generator().manual_seed(1)

    thin = (12.0, 12.0)
    few = pictures(two_beam_scatter(reflections, thin, depths()))
    many = pictures(bloch_scatter(crystal_potential(silicon), thin, depths()))
    both = torch.stack([few.flatten(), many.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.99


def test_patterns_from_one_side_are_one_view():
    def turned(degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    half = np.full(2, 0.5, np.float32)
    views = views_of([
        PatternEvidence("a", half, turned(0)),
        PatternEvidence("b", half, turned(91)),  # a quarter turn and a degree: the same side
        PatternEvidence("c", half, turned(20)),
        PatternEvidence("d", half),
        PatternEvidence("e", half),
        PatternEvidence("f", half, turned(40), "grain"),
        PatternEvidence("g", half, None, "grain"),
    ])  # fmt: skip
    assert views == [0, 0, 1, 2, 3, 4, 4]


def test_the_pixels_of_a_region_are_one_view(model_folder):
    data = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64), dtype=np.uint8)
    model = nsg.load_model(model_folder)
    region = np.array([[True, True, False], [False, True, True]])
    joint = nsg.combine(data, model, region=region)
    alone = [nsg.combine(data, model, region=region & (np.arange(6).reshape(2, 3) == i))
             for i in np.flatnonzero(region)]  # fmt: skip
    logs = np.log(np.stack([each.evidence.probabilities for each in alone])).mean(axis=0)
    expected = np.exp(logs) / np.exp(logs).sum()
    np.testing.assert_allclose(joint.evidence.probabilities, expected, rtol=1e-5)
