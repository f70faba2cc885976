"""The embedded shapes: same bytes everywhere, ground truth that is true, hard for raw pixels."""

from __future__ import annotations

import math

import pytest
import torch

from contrastive_tutorial import metrics
from contrastive_tutorial.data import shapes
from contrastive_tutorial.errors import InputError


def test_layout_of_the_default_test_split():
    images, labels, factors = shapes.draw("test")
    assert images.shape == (shapes.SIZES["test"], 3, 32, 32)
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [200] * 10
    assert set(factors) == {"colour", "background", "texture", "x", "y", "radius", "rotation"}
    for name, values in factors.items():
        assert values.shape == labels.shape, name
        assert values.dtype == (
            torch.int64 if name in ("colour", "background", "texture") else torch.float32
        )


def test_factors_cover_their_ranges_and_tell_nothing_about_the_class():
    _, labels, factors = shapes.draw("test")
    assert factors["colour"].unique().tolist() == list(range(len(shapes.HUES)))
    assert factors["background"].unique().tolist() == list(range(len(shapes.GROUNDS)))
    assert factors["texture"].unique().tolist() == list(range(len(shapes.TEXTURES)))
    for name, low, high in (("x", 10, 22), ("y", 10, 22), ("radius", 9, 13), ("rotation", 0, 360)):
        assert low <= factors[name].min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < factors[name].max() <= high
    for values in factors.values():
        by_class = torch.stack([values[labels == label].double().mean() for label in range(10)])
        standard_error = values.double().std() / math.sqrt(200)
        assert (by_class - values.double().mean()).abs().max() < 4 * standard_error


def test_an_image_does_not_depend_on_how_many_are_drawn():
    few, few_labels, few_factors = shapes.draw("train", 97)
    many, many_labels, many_factors = shapes.draw("train", 333)
    assert torch.equal(few, many[:97])
    assert torch.equal(few_labels, many_labels[:97])
    assert all(torch.equal(few_factors[name], many_factors[name][:97]) for name in few_factors)


def _mask(index, label, factors):
    """Slow float oracle: which pixel centres lie inside the shape; None of the fixed point."""
    angle = math.radians(float(factors["rotation"][index]))
    r, x0, y0 = (float(factors[name][index]) for name in ("radius", "x", "y"))
    inside = torch.zeros(32, 32, dtype=torch.bool)
    for row in range(32):
        for column in range(32):
            x, y = column + 0.5 - x0, row + 0.5 - y0
            u = (x * math.cos(angle) + y * math.sin(angle)) / r
            v = (y * math.cos(angle) - x * math.sin(angle)) / r
            d = math.hypot(u, v)
            square = max(abs(u), abs(v))
            inside[row, column] = {
                "circle": d <= 15 / 16,
                "ring": 5 / 8 < d <= 1,
                "square": square <= 13 / 16,
                "frame": 1 / 2 < square <= 7 / 8,
                # an equilateral triangle and a pentagram by their corners
                "triangle": _in_triangle(u, v, 19 / 16),
                "star": _in_star(u, v, 9 / 8),
                "cross": square <= 1 and min(abs(u), abs(v)) <= 3 / 8,
                "stripes": abs(u) <= 7 / 8
                and (abs(v) <= 1 / 8 or 3 / 8 <= abs(v) <= 5 / 8 or 7 / 8 <= abs(v) <= 9 / 8),
                "dots": math.hypot(abs(u) - 9 / 16, abs(v) - 9 / 16) <= 11 / 32,
                "crescent": d <= 1 and math.hypot(u - 1 / 2, v) > 13 / 16,
            }[shapes.SHAPES[label]]
    return inside


def _left_of(ax, ay, bx, by, u, v):
    return (bx - ax) * (v - ay) - (by - ay) * (u - ax) >= 0


def _in_triangle(u, v, size):
    corners = [
        (size * math.cos(math.radians(a)), size * math.sin(math.radians(a))) for a in (30, 150, 270)
    ]
    return all(_left_of(*corners[i], *corners[(i + 1) % 3], u, v) for i in range(3))


def _in_star(u, v, size):
    """Inside the pentagram: left of at least four of the five lines between every second corner."""
    corners = [
        (size * math.cos(0.4 * math.pi * k), size * math.sin(0.4 * math.pi * k)) for k in range(5)
    ]
    return sum(_left_of(*corners[k], *corners[(k + 2) % 5], u, v) for k in range(5)) >= 4


@pytest.mark.parametrize("label", range(10), ids=shapes.SHAPES)
def test_pixels_agree_with_the_ground_truth(label):
    """Where the oracle says shape, the image is clearly unlike where it says background."""
    images, labels, factors = shapes.draw("val", 500)
    agreement = []
    plain = factors["texture"] == shapes.TEXTURES.index("plain")
    for index in ((labels == label) & plain).nonzero().flatten()[:3].tolist():
        inside = _mask(index, label, factors)
        grey = images[index].double().mean(0)
        middle = (grey[inside].median() + grey[~inside].median()) / 2
        brighter = grey[inside].median() > grey[~inside].median()
        agreement.append(((grey > middle) == (inside == brighter)).double().mean())
    assert len(agreement) == 3
    assert min(agreement) > 0.95  # all but the pixels on the outline


def test_raw_pixels_are_useless_for_clustering():
    train, _, _ = shapes.draw("train", 2_000)
    test, labels, _ = shapes.draw("test", 1_000)
    bank, queries = metrics.pixel_features(train, test, 256, centred=False)
    clusters = metrics.cluster(bank, queries, 10, 0, n_init=3)
    assert metrics.cluster_accuracy(labels, clusters) <= 0.20


def test_bytes_are_the_published_ones():
    """A change of the generator changes every record's data hash: it must be meant."""
    from contrastive_tutorial.data import load

    assert load("shapes", "test", num_images=100).content_hash == GOLDEN


GOLDEN = "055917659fd8fd5c8b8747405a7b9130a689641ed3d2d82e860302d59f915e0d"


@pytest.mark.parametrize("count", [0, 9, 1_000_001, -5])
def test_refuses_a_senseless_number_of_images(count):
    with pytest.raises(InputError, match=r"num_images: expected 10 to 1,000,000"):
        shapes.draw("train", count)
