"""Which pattern center a scan is classified with, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from napari_spacegroup.infer import scan_center
from napari_spacegroup.infer.centers import SAMPLE
from napari_spacegroup.jobs import Done, Log
from napari_spacegroup.patterns import Geometry, PatternScan


@dataclass
class Answer:
    center: np.ndarray
    score: float
    start_score: float = float("nan")
    scores: tuple = (0.4,) * 24


@dataclass
class Finder:
    """Answers what it is told to, and keeps what it was asked."""

    answer: Answer
    needs_pattern_center: bool = True
    asked: list = field(default_factory=list)

    def find_pattern_center(self, patterns, *, static_background=None, mask=None, start=None):
        self.asked.append((patterns, static_background, mask, start))
        return self.answer


def scan(shape=(6, 7), geometry=None, dead=0) -> PatternScan:
    data = np.random.default_rng(0).integers(0, 255, (*shape, 12, 16), dtype=np.uint8)
    data.reshape(-1, 12, 16)[:dead] = 7
    return PatternScan.from_array(data, geometry=geometry)


STATED = Geometry(np.array([0.45, 0.25, 0.55]))


def test_a_scan_without_a_center_gets_a_found_one():
    finder = Finder(Answer(np.array([0.5, 0.3, 0.6]), 0.4))
    found = scan_center(scan(), finder)
    assert found.source == "found"
    np.testing.assert_array_equal(found.of(3, 9), [0.5, 0.3, 0.6])
    assert "found from the patterns: (0.500, 0.300, 0.600)" in found.sentence()
    patterns, _, _, start = finder.asked[0]
    assert start is None
    assert len(patterns) <= SAMPLE


def test_a_good_center_of_the_file_is_kept():
    finder = Finder(Answer(STATED.pattern_center + 0.001, 0.41, 0.40))
    found = scan_center(scan(geometry=STATED), finder)
    assert found.source == "file"
    np.testing.assert_array_equal(found.centers, STATED.pattern_center)
    np.testing.assert_array_equal(finder.asked[0][3], STATED.pattern_center)


def test_a_nearly_right_one_is_refined():
    finder = Finder(Answer(STATED.pattern_center + 0.02, 0.40, 0.25))
    found = scan_center(scan(geometry=STATED), finder)
    assert found.source == "file, refined"
    np.testing.assert_allclose(found.centers, STATED.pattern_center + 0.02)


def test_centers_per_pixel_move_together():
    each = np.broadcast_to(STATED.pattern_center, (6, 7, 3)) + np.linspace(0, 0.02, 7)[:, None]
    middle = each.reshape(-1, 3).mean(0)
    finder = Finder(Answer(middle + 0.02, 0.40, 0.25))
    found = scan_center(scan(geometry=Geometry(each)), finder)
    np.testing.assert_allclose(found.of(0, 42), each.reshape(-1, 3) + 0.02)
    assert found.of(5, 8).shape == (3, 3)


def test_a_wrong_one_is_set_aside_and_that_is_said(caplog):
    finder = Finder(Answer(np.array([0.45, 0.75, 0.55]), 0.45, 0.08))
    with caplog.at_level("WARNING"):
        found = scan_center(scan(geometry=STATED), finder)
    assert found.source == "found"
    assert "the file's pattern center (0.450, 0.250, 0.550) explains 8 %" in caplog.text


def test_patterns_that_nothing_cubic_explains():
    found = scan_center(scan(), Finder(Answer(np.array([0.5, 0.3, 0.6]), 0.07)))
    assert "explains only 7%" in found.sentence()


def test_a_small_stack_may_have_as_many_centers_as_patterns():
    class Lone(Finder):
        def find_pattern_center(self, patterns, **options):
            if len(patterns) > 1:
                return super().find_pattern_center(patterns, **options)
            self.asked.append((patterns, None, None, None))
            alone = np.array([0.5, 0.16, 0.7])
            return Answer(alone, 0.5 if len(self.asked) == 2 else 0.1)

    first = Answer(np.array([0.5, 0.3, 0.6]), 0.2, scores=(0.5, 0.05, 0.4, 0.06))
    finder = Lone(first)
    stack = scan((1, 4))
    found = scan_center(stack, finder)
    assert found.source == "found one by one"
    assert len(finder.asked) == 3  # together, and each of the two poor ones
    np.testing.assert_array_equal(finder.asked[1][0][0], stack.pattern(0, 1))
    np.testing.assert_allclose(found.of(0, 4)[1], [0.5, 0.16, 0.7])
    np.testing.assert_allclose(found.of(0, 4)[[0, 2, 3]], np.tile(first.center, (3, 1)))


def test_dead_patterns_are_not_asked():
    finder = Finder(Answer(np.array([0.5, 0.3, 0.6]), 0.4))
    scan_center(scan(dead=30), finder)
    assert all(pattern.std() > 0 for pattern in finder.asked[0][0])


def test_a_scan_of_dead_patterns_has_no_center():
    finder = Finder(Answer(np.array([0.5, 0.3, 0.6]), 0.4))
    assert scan_center(scan(dead=42), finder).explained == 0
    assert finder.asked == []


def test_it_is_looked_for_once_per_scan_and_model():
    finder, patterns = Finder(Answer(np.array([0.5, 0.3, 0.6]), 0.4)), scan()
    scan_center(patterns, finder, "a")
    scan_center(patterns, finder, "a")
    assert len(finder.asked) == 1
    scan_center(patterns, finder, "b")
    scan_center(scan(), finder, "a")
    assert len(finder.asked) == 3


@pytest.mark.parametrize("needs", [True, False])
def test_the_classifier_hands_it_on(make_classifier, needs):
    from napari_spacegroup.infer import classify_events

    class Geometric(make_classifier):
        needs_pattern_center = needs
        centers: tuple = ()

        def find_pattern_center(self, patterns, **options):  # noqa: ARG002
            return Answer(np.array([0.5, 0.3, 0.6]), 0.4)

        def predict(self, patterns, *, pattern_center=None, **options):
            self.centers = (*self.centers, pattern_center)
            return super().predict(patterns, **options)

    model = Geometric()
    events = list(classify_events(scan(), model, batch_size=20))
    result = next(e.result for e in events if isinstance(e, Done))
    if needs:
        assert all(np.allclose(c, [0.5, 0.3, 0.6]) for c in model.centers)
        assert any("Pattern center found" in e.message for e in events if isinstance(e, Log))
        assert result.provenance["pattern_center"]["source"] == "found"
    else:
        assert set(model.centers) == {None}
        assert "pattern_center" not in result.provenance
