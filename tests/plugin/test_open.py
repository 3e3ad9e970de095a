"""File > Open and File > Open Sample, and what the manifest says."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer
from npe2 import DynamicPlugin, PluginManifest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import FILE_SUFFIXES, PatternScan
from napari_spacegroup.plugin import overview as overview_module
from napari_spacegroup.plugin.layers import (
    SCAN_KEY,
    VIEW_KEY,
    navigation_layer,
    validate_map_layer,
    validate_scan_layer,
)
from napari_spacegroup.plugin.overview import overview
from napari_spacegroup.plugin.reader import SUFFIXES, get_reader, read_layers
from napari_spacegroup.plugin.sample import nickel


def test_the_sample_is_a_navigation_image_with_scale_and_units():
    (data,) = nickel()
    layer = Layer.create(*data)
    assert validate_scan_layer(layer) == []
    assert layer.name == "Nickel"
    assert tuple(layer.scale) == (1.5, 1.5)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.metadata[SCAN_KEY].pattern_shape == (60, 60)
    assert layer.data.shape == (3, 3)


def test_a_saved_map_opens_as_map_layers(result, tmp_path):
    path = tmp_path / "map.h5"
    result.save(path)
    layers = [Layer.create(*data) for data in get_reader(str(path))(str(path))]
    assert [layer._type_string for layer in layers] == ["image", "labels"]
    for layer in layers:
        assert validate_map_layer(layer) == []
        assert tuple(layer.scale) == (0.5, 0.25)
    np.testing.assert_array_equal(layers[1].data, result.labels())


def test_a_saved_map_opens_at_the_level_that_its_model_tells_apart(result, tmp_path):
    path = tmp_path / "map.h5"
    result.finest_level = "crystal_system"
    result.save(path)
    layers = [Layer.create(*data) for data in get_reader(str(path))(str(path))]
    assert [layer.metadata[VIEW_KEY].level for layer in layers] == ["crystal_system"] * 2
    np.testing.assert_array_equal(layers[1].data, result.labels("crystal_system"))


def test_a_foreign_file_is_refused_in_words(tmp_path):
    path = tmp_path / "notes.h5"
    path.write_bytes(b"this is no HDF5 file")
    with pytest.raises(ScanError):
        read_layers(str(path))
    assert get_reader(str(tmp_path / "picture.png")) is None
    assert get_reader([str(path), str(path)]) is None


def test_the_reader_claims_what_the_library_reads(repository):
    manifest = PluginManifest.from_file(repository / "napari.yaml")
    (reader,) = manifest.contributions.readers
    claimed = {pattern.lstrip("*") for pattern in reader.filename_patterns}
    assert claimed == set(SUFFIXES)
    assert claimed <= set(FILE_SUFFIXES)


def test_every_command_of_the_manifest_can_be_called(repository):
    manifest = PluginManifest.from_file(repository / "napari.yaml")
    manifest.validate_imports()
    used = {widget.command for widget in manifest.contributions.widgets}
    used |= {reader.command for reader in manifest.contributions.readers}
    used |= {sample.command for sample in manifest.contributions.sample_data}
    assert set(manifest.contributions.menus) == {"napari/layers/classify", "napari/file/acquire"}
    for entries in manifest.contributions.menus.values():
        used |= {entry.command for entry in entries}
    assert used == {command.id for command in manifest.contributions.commands}
    assert isinstance(DynamicPlugin("probe").manifest, PluginManifest)


@pytest.mark.gui
def test_a_large_scan_opens_at_once_and_its_overview_fills_in(
    make_napari_viewer, qtbot, make_patterns, monkeypatch
):
    monkeypatch.setattr(overview_module, "LARGE_BYTES", 10)
    scan = PatternScan.from_array(make_patterns((30, 50)), name="large")
    viewer = make_napari_viewer()
    image = overview(scan)
    data, keywords, _ = navigation_layer(scan, image)
    layer = viewer.add_image(data, **keywords)
    qtbot.waitUntil(lambda: not overview_module._running, timeout=15_000)
    np.testing.assert_allclose(layer.data, scan.navigation_image())
    assert layer.contrast_limits == pytest.approx([layer.data.min(), layer.data.max()])
    overview(scan)
    (running,) = overview_module._running
    running.close()
    assert not overview_module._running
