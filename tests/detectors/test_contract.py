"""What every registered detector promises; a new one is tested here without an edit."""

import importlib
import pickle
import re
from dataclasses import is_dataclass, replace
from math import isfinite, isinf

import pytest
import torch

from scaling_ood.detectors import (
    Detector,
    MissingOutputError,
    NonFiniteOutputError,
    NotApplicableError,
    Outputs,
    OutputsList,
    build_detector,
    detector_class,
    detector_names,
    field_of,
)
from scaling_ood.detectors.novelty import NoveltyDetector

from .conftest import MARGIN, NEEDS, Classifier, map_fields, with_fields

DENSE = [name for name in detector_names() if detector_class(name).dense]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

every_detector = pytest.mark.parametrize("name", detector_names())
every_dense_detector = pytest.mark.parametrize("name", DENSE)


@pytest.fixture
def fitted(name, view) -> Detector:
    return build_detector(name).fit(view)


@pytest.fixture
def pixels(chunk):
    """The same images as pixels: 2 images of 4 x 6, logits (2, C, 4, 6)."""
    return as_pixels(chunk, (2, 4, 6))


def as_pixels(outputs, shape):
    """Images (N, ...) as the pixels of fewer images (n, H, W); features are of images only."""
    made = map_fields(with_fields(outputs, features=None), lambda tensor: tensor.reshape(*shape, *tensor.shape[1:]))
    return map_fields(made, lambda tensor: tensor.movedim(-1, 1).contiguous() if tensor.ndim > len(shape) else tensor)


FLOAT32 = {field_of(need) for need in NEEDS if need.float32}


def cast(outputs, dtype):
    """As they are stored: what says that it is too fine for half precision stays in single."""
    half = torch.finfo(dtype).bits == 16
    return Outputs(
        **{name: tensor if half and name in FLOAT32 else tensor.to(dtype) for name, tensor in outputs.fields.items()}
    )


def take(outputs, rows):
    return map_fields(outputs, lambda tensor: tensor[rows])


def assert_same(actual, expected, rtol=1e-6):
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=1e-12)


@every_detector
def test_declaration(name):
    cls = detector_class(name)
    package, _, file = cls.__module__.rpartition(".")
    assert file == name
    assert (package == "scaling_ood.detectors") == (cls.package == "")
    assert importlib.import_module(cls.__module__).__doc__
    assert cls.needs
    assert build_detector(name).requires <= Classifier.gives
    assert isinstance(cls.dense, bool)
    assert build_detector(name).needs == cls.needs
    assert not cls.sources


def test_needs_can_be_told_apart():
    """Their fields are part of names and keys; a class without the decorator would hide its own."""
    classes = {type(need) for need in NEEDS}
    assert len({cls.name for cls in classes}) == len(classes)
    assert not {cls.name for cls in classes} & Classifier.gives
    for need in NEEDS:
        assert is_dataclass(need)
        assert "__dataclass_fields__" in vars(type(need))
        assert pickle.loads(pickle.dumps(need)) == need == replace(need)


@every_detector
def test_needs_are_all_that_is_read(name, make_view, view, chunk):
    """What a detector does not name may be missing."""

    def only_needs(outputs):
        return Outputs(**{field: outputs[field] for field in map(field_of, detector_class(name).needs)})

    lean_view = replace(view, chunks=[only_needs(part) for part in view])
    lean = build_detector(name).fit(lean_view).score(only_needs(chunk))
    assert_same(lean, build_detector(name).fit(view).score(chunk), rtol=0)


@every_detector
def test_a_missing_output_is_named(name, fitted, chunk):
    for field in map(field_of, detector_class(name).needs):
        message = rf"^detector '{name}' reads '{re.escape(field)}', which these outputs lack \(they have: \w+, .+\)$"
        with pytest.raises(MissingOutputError, match=message):
            fitted.score(with_fields(chunk, **{field: None}))


@every_detector
def test_fitting_returns_the_detector(name, view):
    detector = build_detector(name)
    assert detector.fit(view) is detector


@every_detector
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_finite_score_per_image_in_every_precision(fitted, chunk, dtype):
    scores = fitted.score(cast(chunk, dtype))
    assert scores.shape == (48,)
    assert scores.dtype in (torch.float32, torch.float64)
    assert scores.isfinite().all()
    different = 32 if dtype == torch.bfloat16 else 40  # of 8 bits each
    assert len(scores.unique()) > different, "scores tie: is a need too fine for half precision? Say float32 = True"


@every_dense_detector
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_finite_score_per_pixel_in_every_precision(fitted, pixels, dtype):
    scores = fitted.score(cast(pixels, dtype))
    assert scores.shape == (2, 4, 6)
    assert scores.dtype in (torch.float32, torch.float64)
    assert scores.isfinite().all()


@every_detector
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_before_any_arithmetic(fitted, chunk, dtype):
    half = cast(chunk, dtype)
    assert_same(fitted.score(half), fitted.score(cast(half, torch.float32)), rtol=0)


@every_detector
def test_double_precision_is_kept(fitted, chunk):
    scores = fitted.score(cast(chunk, torch.float64))
    assert scores.dtype == torch.float64
    torch.testing.assert_close(fitted.score(chunk).double(), scores, rtol=1e-4, atol=1e-6)


@every_detector
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_score_does_not_depend_on_the_rest_of_the_chunk(fitted, chunk, dtype):
    chunk = cast(chunk, dtype)
    whole = fitted.score(chunk)
    alone = torch.cat([fitted.score(take(chunk, slice(i, i + 1))) for i in range(len(chunk))])
    backwards = fitted.score(take(chunk, torch.arange(47, -1, -1))).flip(0)
    parts = torch.cat([fitted.score(take(chunk, rows)) for rows in (slice(0, 31), slice(31, 48))])
    for other in (alone, backwards, parts):
        assert_same(other, whole, rtol=1e-9 if dtype == torch.float64 else 1e-5)


@every_detector
def test_one_image(fitted, chunk):
    assert fitted.score(take(chunk, slice(0, 1))).shape == (1,)


@every_detector
def test_same_scores_every_time(name, view, chunk):
    first, second = (build_detector(name).fit(view) for _ in range(2))
    expected = first.score(chunk)
    assert_same(first.score(chunk), expected, rtol=0)
    assert_same(second.score(chunk), expected, rtol=0)
    assert_same(first.fit(view).score(chunk), expected, rtol=0)


@every_detector
@pytest.mark.parametrize("sizes", [(1,), (180,), (33, 2, 64)])
def test_fitting_does_not_depend_on_how_the_view_is_cut(name, view_of_sizes, view, chunk, sizes):
    expected = build_detector(name).fit(view).score(chunk)
    assert_same(build_detector(name).fit(view_of_sizes(*sizes)).score(chunk), expected)


@every_detector
def test_in_distribution_images_score_lower_than_foreign_ones(fitted, classifier):
    """Whatever a detector looks at, an image far from all classes, with logits of 0, has less of it."""
    typical = fitted.score(classifier.outputs(classifier.in_dist_features(1, seed=6)))
    foreign = fitted.score(classifier.foreign())
    assert (fitted.score(classifier.centres()) < foreign).all()
    assert typical.median() < foreign


@every_dense_detector
def test_in_distribution_pixels_score_lower_than_foreign_ones(fitted, classifier):
    images = classifier.outputs(MARGIN * torch.stack([classifier.weight[4], 3 * classifier.unknown[0]]))
    typical, foreign = fitted.score(as_pixels(images, (1, 1, 2))).flatten()
    assert typical < foreign


@every_detector
def test_extreme_logits_have_finite_scores(fitted, chunk):
    """6e4 is nearly the largest half; softmaxes of such logits are exactly 0 and 1."""
    for factor in (0.0, 1e-30, 1e3, 6e3):
        assert fitted.score(map_fields(chunk, lambda tensor, factor=factor: tensor * factor)).isfinite().all()


def sorted_needs(name):
    return sorted(detector_class(name).needs, key=field_of)


FIELDS = [(name, field) for name in detector_names() for field in map(field_of, sorted_needs(name))]


def spoilt(outputs, field, value, row=3):
    """The same outputs with one number of one image replaced."""
    tensor = outputs[field].clone()
    tensor[row].view(-1)[-1] = value
    return with_fields(outputs, **{field: tensor})


@pytest.mark.parametrize(("name", "field"), FIELDS)
@pytest.mark.parametrize("form", ["images", "pixels"])
def test_nan_never_becomes_a_score(name, field, form, fitted, chunk, pixels):
    if form == "pixels" and not detector_class(name).dense:
        pytest.skip("for whole images only")
    images = chunk if form == "images" else pixels
    message = (
        rf"^detector '{name}' was given {re.escape(field)} that are NaN, of 1 of {len(images)} images .*number 2 of"
    )
    with pytest.raises(NonFiniteOutputError, match=message) as caught:
        fitted.score(spoilt(images, field, torch.nan, row=1))
    assert (caught.value.field, caught.value.rows) == (field, [1])


@pytest.mark.parametrize(("name", "field"), FIELDS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nothing_is_learnt_from_what_is_no_number(name, field, value, view, chunk):
    first, *others = view
    bad = replace(view, chunks=[first, spoilt(others[0], field, value), *others[1:]])
    if reads_in_fitting(name, field, view):
        what = "infinite" if isinf(value) else "NaN"
        with pytest.raises(
            NonFiniteOutputError, match=rf"^detector '{name}' was given {re.escape(field)} that are {what}, of 1 of 50"
        ):
            build_detector(name).fit(bad)
    else:
        assert_same(build_detector(name).fit(bad).score(chunk), build_detector(name).fit(view).score(chunk), rtol=0)


def reads_in_fitting(name, field, view):
    """Whether fitting fails without the field."""
    try:
        build_detector(name).fit(replace(view, chunks=[with_fields(part, **{field: None}) for part in view]))
    except MissingOutputError:
        return True
    return False


@pytest.mark.parametrize(("name", "field"), FIELDS)
@pytest.mark.parametrize("value", [torch.inf, -torch.inf])
def test_infinite_outputs_have_a_score_or_are_refused_by_name(name, field, value, fitted, chunk):
    """Features are always refused; of other outputs the score is what the formula says, NaN where it says nothing."""
    bad = spoilt(chunk, field, value)
    like_features = {"features", *(field_of(need) for need in NEEDS if need.in_place_of == "features")}
    if field in like_features or isinstance(fitted, NoveltyDetector):
        with pytest.raises(
            NonFiniteOutputError, match=rf"^detector '{name}' was given {re.escape(field)} that are infinite"
        ):
            fitted.score(bad)
    else:
        assert_same(take_scores(fitted.score(bad), 3), take_scores(fitted.score(chunk), 3), rtol=0)


def take_scores(scores, left_out):
    return torch.cat([scores[:left_out], scores[left_out + 1 :]])


@every_detector
def test_inputs_are_left_as_they_are(name, view, chunk):
    before = [map_fields(part, torch.clone) for part in (*view, chunk)]
    build_detector(name).fit(view).score(chunk)
    for part, copy in zip((*view, chunk), before, strict=True):
        assert all(torch.equal(part[field], copy[field]) for field in copy.fields)


@every_detector
def test_no_gradient_is_asked_for(fitted, chunk):
    """Outputs are read in inference mode, where in-place operations on them are refused."""
    with torch.inference_mode():
        scores = fitted.score(cast(chunk, torch.float32))
    assert not scores.requires_grad


@every_dense_detector
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_pixel_scores_like_an_image(fitted, chunk, order):
    chunk = cast(chunk, torch.float64)
    expected = torch.cat([fitted.score(take(chunk, slice(i, i + 1))) for i in range(len(chunk))]).reshape(2, 4, 6)
    pixels = as_pixels(chunk, (2, 4, 6))
    ordered = with_fields(pixels, logits=pixels.logits.contiguous(memory_format=order))
    assert_same(fitted.score(ordered), expected, rtol=1e-9)


@every_detector
def test_a_stored_detector_scores_the_same(fitted, chunk):
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same(copy.score(chunk), fitted.score(chunk), rtol=0)
    assert copy.diagnostics() == fitted.diagnostics()


@every_detector
def test_diagnostics_are_finite_numbers(fitted):
    for key, value in fitted.diagnostics().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
        assert isinstance(value, float)
        assert isfinite(value)


@every_detector
@pytest.mark.parametrize("known", ["class_groups", "targets", "head", "class_names"])
def test_what_is_not_known_is_not_needed_or_named_as_a_gap(name, view, chunk, known):
    without = replace(view, **{known: None})
    try:
        build_detector(name).fit(without)
    except NotApplicableError:
        with pytest.raises(NotApplicableError, match=r"\w+ \w+"):
            build_detector(name).fit(without)
    else:
        assert build_detector(name).fit(without).score(chunk).isfinite().all()


@every_detector
def test_a_view_without_images_is_enough_for_what_does_not_learn_and_only_for_that(name, view, chunk):
    passed = []

    class Counted(OutputsList):
        def __iter__(self):
            passed.append(self)
            return super().__iter__()

    known = {
        "class_groups": view.class_groups,
        "targets": view.targets,
        "head": view.head,
        "class_names": view.class_names,
    }
    expected = build_detector(name).fit(Counted(view.chunks, **known)).score(chunk)
    assert bool(passed) == detector_class(name).learns
    if not detector_class(name).learns:
        assert_same(build_detector(name).fit(OutputsList([], **known)).score(chunk), expected, rtol=0)


@every_detector
def test_a_misspelt_option_is_an_error(name):
    with pytest.raises(ValueError, match=rf"detector '{name}' has no option 'no_such_option'.* \(known: .+\)$"):
        build_detector(name, no_such_option=1)
