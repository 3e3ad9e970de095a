from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest

from napari_spacegroup.errors import ModelError, ScanError, SpecError
from napari_spacegroup.infer import PixelStatus, SpaceGroupMap, classify_events
from napari_spacegroup.infer.classifier import READ_AHEAD
from napari_spacegroup.infer.map_start import fitting_batch
from napari_spacegroup.jobs import CancelToken, Done, JobState, Log, Partial, Progress, ThreadRunner
from napari_spacegroup.patterns import PatternScan


def run(scan, model, **options):
    events = list(classify_events(scan, model, **options))
    assert isinstance(events[-1], Done)
    return events[-1].result, events


def scan_of(array, **fields):
    return PatternScan.from_array(array, technique="ebsd", name="scan", **fields)


def test_events_and_map_of_a_scan_that_is_not_square(classifier, patterns):
    scan = scan_of(patterns, step=(0.5, 0.25), step_unit="um")
    result, events = run(scan, classifier, batch_size=4)
    partials = [event for event in events if isinstance(event, Partial)]
    assert [partial.start for partial in partials] == list(range(0, 35, 4))
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == [*range(4, 35, 4), 35]
    assert {event.total for event in progress} == {35}
    assert not events[-1].is_cancelled
    assert result.is_complete
    expected = np.array(classifier.classes)[patterns[..., 0, 0] % 6]
    np.testing.assert_array_equal(result.labels(), expected)
    facts = (result.step, result.step_unit, result.model_name, result.scan_name)
    assert facts == ((0.5, 0.25), "um", "fake-cubic", "scan")
    assert result.equivalence_sets == ((221, 229),)
    # The network runs on the thread of the consumer, the reader on another.
    assert classifier.threads == {threading.current_thread().name}

    rebuilt = SpaceGroupMap.empty(scan.scan_shape, classifier.classes)
    for partial in reversed(partials):
        rebuilt.merge(partial.start, partial.probabilities, partial.status)
    np.testing.assert_array_equal(rebuilt.probabilities, result.probabilities)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 35, 1000])
def test_batches_and_chunks_do_not_matter(make_classifier, patterns, batch_size):
    reference, _ = run(scan_of(patterns), make_classifier())
    for chunks in ((2, 3, 6, 8), (5, 7, 3, 4)):
        lazy = scan_of(da.from_array(patterns, chunks=chunks))
        result, _ = run(lazy, make_classifier(), batch_size=batch_size)
        np.testing.assert_array_equal(result.probabilities, reference.probabilities)


def test_provenance_says_what_made_the_map(classifier, patterns):
    result, _ = run(scan_of(patterns), classifier, batch_size=8, device="cpu")
    provenance = result.provenance
    assert provenance["spec"] == {"model": "fake-cubic", "batch_size": 8, "device": "cpu"}
    assert provenance["model"]["sha256"] == classifier.card.sha256
    assert provenance["scan"]["shape"] == [5, 7, 6, 8]
    assert provenance["versions"]["napari-spacegroup"]
    again, _ = run(scan_of(patterns), classifier)
    other, _ = run(scan_of(patterns + 1), classifier)
    prints = [r.provenance["scan"]["fingerprint"] for r in (result, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_patterns_that_say_nothing_get_no_class(classifier, patterns):
    values = patterns.astype(np.float32)
    values[0, 1] = 0
    values[2, 3, 1, 1] = np.nan
    values[4, 6] = 255
    values[3] = np.inf  # a whole line, hence whole batches
    result, events = run(scan_of(values), classifier, batch_size=4)
    expected = np.zeros((5, 7), np.uint8)
    expected[0, 1] = expected[4, 6] = PixelStatus.CONSTANT
    expected[2, 3] = expected[3] = PixelStatus.NOT_FINITE
    np.testing.assert_array_equal(result.status, expected)
    np.testing.assert_array_equal(result.labels() == 0, expected != 0)
    assert sum(classifier.sizes) == 35 - 2 - 8  # the network never saw them
    remarks = [event.message for event in events if isinstance(event, Log)]
    assert any(remark.startswith("2 of 35 pixels unknown") for remark in remarks)
    assert any(remark.startswith("8 of 35 pixels unknown") for remark in remarks)


def test_a_scan_of_dead_patterns_alone(classifier):
    result, _ = run(scan_of(np.zeros((3, 6, 8), np.uint8)), classifier)
    assert result.is_complete
    assert not result.labels().any()
    assert classifier.sizes == []
    assert result.legend()[0].symbol == "unknown"


def test_frames_that_were_lost_are_missing(classifier, patterns):
    present = np.ones((5, 7), bool)
    present[4, 2:] = False
    result, _ = run(scan_of(patterns, present=present), classifier)
    np.testing.assert_array_equal(result.status == PixelStatus.MISSING, ~present)


def test_what_lies_outside_the_screen_does_not_count(classifier, patterns):
    mask = np.ones((6, 8), bool)
    mask[:, -1] = False
    values = patterns.astype(np.float32)
    values[..., -1] = np.nan
    background = np.ones((6, 8))
    scan = scan_of(values, mask=mask, static_background=background)
    result, _ = run(scan, classifier)  # the fake refuses NaN
    assert (result.status == PixelStatus.OK).all()
    assert classifier.options[0]["mask"] is scan.mask
    assert classifier.options[0]["static_background"] is scan.static_background


def test_numbers_that_overflow_in_the_network_are_unknown(make_classifier, patterns):
    class Overflowing(make_classifier):
        def predict(self, patterns, **options):
            answer = super().predict(patterns, **options)
            answer[patterns[:, 0, 0] == patterns[0, 0, 0]] = np.nan
            return answer

    result, _ = run(scan_of(patterns), Overflowing(), batch_size=100)
    assert result.status[0, 0] == PixelStatus.NOT_FINITE
    assert result.labels()[0, 0] == 0


def test_a_model_for_another_technique(make_classifier, make_card, patterns):
    model = make_classifier(card=make_card(technique="powder"))
    with pytest.raises(ModelError, match="is ebsd, the model 'fake-cubic' is for powder"):
        run(scan_of(patterns), model)
    assert model.sizes == []


def test_an_unknown_technique_is_taken_with_a_remark(classifier, patterns):
    _, events = run(PatternScan.from_array(patterns), classifier)
    assert "taking it for ebsd" in events[0].message


def test_a_model_that_breaks_its_promise(make_classifier, patterns):
    class Short(make_classifier):
        def predict(self, patterns, **options):
            return super().predict(patterns, **options)[:, :-1]

    with pytest.raises(ModelError, match="its card names 6 classes"):
        run(scan_of(patterns), Short())


def test_options_that_make_no_sense(classifier, patterns):
    for options in ({"batch_size": 0}, {"device": "warp drive"}):
        with pytest.raises(SpecError):
            run(scan_of(patterns), classifier, **options)


def test_large_patterns_come_in_small_batches():
    scan = PatternScan.from_array(da.zeros((10, 10, 2048, 2048), chunks=(1, 1, -1, -1)))
    assert fitting_batch(scan, 256) == 8
    huge = PatternScan.from_array(da.zeros((1, 1, 8192, 8192), chunks=(1, 1, -1, -1)))
    assert fitting_batch(huge, 256) == 1
    assert fitting_batch(PatternScan.from_array(np.zeros((2, 60, 60))), 256) == 256


class Endless:
    """A scan with a gate at each batch, that counts what was read."""

    def __init__(self, scan: PatternScan, fail_at: int | None = None, error=None) -> None:
        self.scan, self.fail_at, self.error = scan, fail_at, error
        self.read = 0

    def __getattr__(self, name):
        return getattr(self.scan, name)

    def batches(self, size):
        for start, patterns in self.scan.batches(size):
            if self.fail_at is not None and start >= self.fail_at:
                raise self.error
            self.read += 1
            yield start, patterns


def test_cancel_answers_within_one_batch_and_keeps_the_rest(classifier, patterns):
    token = CancelToken()
    scan = Endless(scan_of(patterns))
    events = []
    for event in classify_events(scan, classifier, batch_size=1, cancel=token):
        events.append(event)
        if isinstance(event, Progress) and event.done == 5:
            token.cancel()
    assert len(classifier.sizes) == 5  # not one batch more
    assert scan.read <= 5 + READ_AHEAD + 1
    done = events[-1]
    assert done.is_cancelled
    assert done.result.n_done == 5
    assert (done.result.status.ravel()[:5] == PixelStatus.OK).all()
    assert (done.result.status.ravel()[5:] == PixelStatus.PENDING).all()
    assert not reader_threads()


def test_a_late_cancel_is_no_cancel(classifier, patterns):
    token = CancelToken()
    for event in classify_events(scan_of(patterns), classifier, batch_size=35, cancel=token):
        if isinstance(event, Done):
            assert not event.is_cancelled
            assert event.result.is_complete
        token.cancel()


def test_reading_ahead_is_bounded(make_classifier, patterns):
    scan = Endless(scan_of(patterns))
    ahead = []

    class Slow(make_classifier):
        def predict(self, patterns, **options):
            ahead.append(scan.read - len(self.sizes))
            return super().predict(patterns, **options)

    run(scan, Slow(), batch_size=1)
    # This batch, those that wait, and one on the reader's hands.
    assert max(ahead) <= 1 + READ_AHEAD + 1


@pytest.mark.parametrize(
    "error", [OSError("the disk is gone"), RuntimeError("the disk is gone"), ScanError("is gone")]
)
def test_a_reader_that_fails_says_so_and_the_map_keeps_the_rest(classifier, patterns, error):
    scan = Endless(scan_of(patterns), fail_at=8, error=error)
    into = SpaceGroupMap.empty((5, 7), classifier.classes)
    with pytest.raises(ScanError, match="is gone"):
        run(scan, classifier, batch_size=4, into=into)
    assert into.n_done == 8
    assert not reader_threads()


def test_a_map_to_fill_must_fit(classifier, patterns):
    for into in (
        SpaceGroupMap.empty((7, 5), classifier.classes),
        SpaceGroupMap.empty((5, 7), (1, 2)),
    ):
        with pytest.raises(ScanError, match="start a new map"):
            run(scan_of(patterns), classifier, into=into)


def test_closing_the_events_ends_the_reader(classifier, patterns):
    events = classify_events(scan_of(patterns), classifier, batch_size=1)
    next(events)
    events.close()
    assert not reader_threads()


def test_a_thread_runner_cancels_it(classifier, patterns):
    scan = scan_of(patterns)

    def listen(event):
        if isinstance(event, Partial):
            runner.cancel()

    runner = ThreadRunner(
        lambda cancel: classify_events(scan, classifier, batch_size=2, cancel=cancel),
        on_event=listen,
    )
    runner.start()
    assert runner.wait(20)
    assert runner.state is JobState.CANCELLED
    assert runner.result.n_done == 2


def reader_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("nsg-reader")]
