"""Sets that are made by a rule: without noise each point is where geometry puts it; with it, as far off as it says."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.engine.datasets import (
    MAX_SAMPLES,
    And,
    Checkerboard,
    Circles,
    Gaussians,
    Groups,
    Linear,
    Made,
    Moons,
    Notebook,
    Or,
    Plane,
    Sine,
    Spiral,
    Xor,
)

from .networks import assert_close

GROUPS = [Linear, Circles, Moons, Gaussians, Spiral, Checkerboard]
EVERY: list[Any] = [Xor, And, Or, *GROUPS, Sine, Plane]


def points(spec: Groups, group: int) -> Any:
    """The points of a class."""
    inputs, targets = spec.draw(0)
    return inputs[targets == group]


def angle(xy: Any) -> Any:
    return np.arctan2(xy[:, 1], xy[:, 0])


@pytest.mark.parametrize(("gate", "answers"), [(Xor, [0, 1, 1, 0]), (And, [0, 0, 0, 1]), (Or, [0, 1, 1, 1])])
def test_gates(gate: type[Made], answers: list[int]) -> None:
    inputs, targets = gate().draw(0)
    assert inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert targets.tolist() == answers
    inputs, targets = gate(samples=10, noise=0.01).draw(0)
    assert inputs.round().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] * 2 + [[0, 0], [0, 1]]
    assert targets.tolist() == answers * 2 + answers[:2]
    assert not gate().shuffle


@pytest.mark.parametrize("kind", GROUPS, ids=lambda kind: kind.type_name())
@pytest.mark.parametrize("samples", [2, 11, 200, 1001])
def test_classes_are_balanced_to_one(kind: type[Groups], samples: int) -> None:
    inputs, targets = kind(samples=samples).draw(0)
    assert len(inputs) == len(targets) == samples
    counts = np.bincount(targets, minlength=2)
    assert counts.max() - counts.min() <= 1
    assert kind().shuffle


@pytest.mark.parametrize(("kind", "option"), [(Spiral, "arms"), (Gaussians, "classes")])
@pytest.mark.parametrize("classes", [2, 3, 7, 10])
def test_as_many_classes_as_one_likes(kind: Any, option: str, classes: int) -> None:
    spec = kind(**{option: classes})
    counts = np.bincount(spec.draw(0).targets)
    assert len(counts) == len(set(spec.labels)) == classes
    assert counts.max() - counts.min() <= 1
    few = kind(samples=2, **{option: classes}).draw(0)  # fewer rows than classes: some have none
    assert few.targets.tolist() == [0, 1]


def test_linear() -> None:
    for group, sign in enumerate((-1, 1)):
        away = sign * points(Linear(margin=0.25), group) @ [1, 1] / 2**0.5
        assert away.min() >= 0.25 - 1e-12
        assert away.max() <= 1
        along = points(Linear(), group) @ [1, -1] / 2**0.5
        assert -1 <= along.min() < -0.9
        assert 0.9 < along.max() <= 1


def test_circles() -> None:
    spec = Circles(noise=0, factor=0.25, samples=16)
    for group, radius in enumerate((1, 0.25)):
        xy = points(spec, group)
        assert_close(np.hypot(*xy.T), np.full(8, radius), rtol=1e-14)
        assert_close(np.sort(angle(xy)), np.arange(-3, 5) * np.pi / 4, atol=1e-14)


def test_moons() -> None:
    spec = Moons(noise=0, samples=10)
    upper, lower = points(spec, 0), points(spec, 1)
    assert_close(np.hypot(*upper.T), np.ones(5), rtol=1e-14)
    assert_close(angle(upper), np.arange(5) * np.pi / 4, atol=1e-14)
    assert upper[:, 1].min() > -1e-15
    assert_close(np.hypot(*(lower - [1, 0.5]).T), np.ones(5), rtol=1e-14)
    assert_close(lower[[0, 2, 4]], [[0, 0.5], [1, -0.5], [2, 0.5]], atol=1e-14)


def test_gaussians() -> None:
    spec = Gaussians(noise=0, samples=8, classes=4, distance=2**0.5)
    for group, centre in enumerate([[1, 1], [-1, 1], [-1, -1], [1, -1]]):
        assert_close(points(spec, group), [centre] * 2, rtol=1e-14)
    cloud = points(Gaussians(samples=10_000, noise=2), 1)
    assert cloud.mean(axis=0) == pytest.approx([-(2**0.5)] * 2, abs=0.1)
    assert np.cov(cloud.T) == pytest.approx(np.eye(2) * 4, abs=0.2)


@pytest.mark.parametrize(("arms", "turns"), [(2, 1.0), (3, 0.5), (5, 2.5)])
def test_spiral(arms: int, turns: float) -> None:
    spec = Spiral(noise=0, arms=arms, turns=turns, samples=20 * arms)
    for group in range(arms):
        xy = points(spec, group)
        radius = np.hypot(*xy.T)
        assert_close(radius, np.linspace(0.1, 1, 20), rtol=1e-13)
        turned = (angle(xy) / (2 * np.pi) - turns * radius - group / arms) % 1
        assert_close(np.minimum(turned, 1 - turned), np.zeros(20), atol=1e-13)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_checkerboard(size: int) -> None:
    spec = Checkerboard(size=size, samples=2 * size**2)
    for group in range(2):
        squares = np.floor((points(spec, group) + 1) / 2 * size).astype(int)
        assert squares.min() >= 0
        assert squares.max() < size
        assert (squares.sum(axis=1) % 2 == group).all()
        used = np.unique(squares, axis=0, return_counts=True)[1]
        assert len(used) == (size**2 + 1 - group) // 2  # one more is dark where the sides are odd
        assert used.max() - used.min() <= 1


def test_sine() -> None:
    inputs, targets = Sine(noise=0, samples=9).draw(0)
    assert inputs.ravel().tolist() == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    half = 0.5**0.5
    assert_close(targets.ravel(), [0, -half, -1, -half, 0, half, 1, half, 0], atol=1e-15)
    assert_close(Sine(noise=0, periods=2, samples=9).draw(0).targets[5], [1], rtol=1e-15)


def test_plane() -> None:
    inputs, targets = Plane(noise=0).draw(0)
    assert_close(targets[:, 0], 2 * inputs[:, 0] - inputs[:, 1] + 0.5, rtol=1e-12, atol=1e-15)
    assert -1 <= inputs.min() < -0.95
    assert 0.95 < inputs.max() < 1


def test_notebook() -> None:
    inputs, targets = Notebook().draw(0)
    assert (inputs.tolist(), targets.tolist()) == ([[0.05, 0.1]], [[0.01]])


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.type_name())
def test_noise_has_the_deviation_that_it_says(kind: Any) -> None:
    """In the values of the sets that have values, in the inputs of the others."""
    exact, noisy = (kind(samples=4000, noise=noise).draw(5) for noise in (0, 0.25))
    moved, still = ("targets", "inputs") if kind in (Sine, Plane) else ("inputs", "targets")
    assert getattr(exact, still).tolist() == getattr(noisy, still).tolist()
    noise = getattr(noisy, moved) - getattr(exact, moved)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(0.25, rel=0.03)
    other = kind(samples=4000, noise=0.25).draw(6)
    assert not np.allclose(getattr(other, moved), getattr(noisy, moved))


def test_draws_are_part_of_every_result() -> None:
    """From the bits of Philox; the noise goes by logarithms, whose last digits may differ."""
    linear = [[-0.8514185033124143, 0.06301041496011744], [0.051920450870775514, 0.7866876188207009]]
    spiral = [[0.07475781902051942, 0.1024707746760479], [-0.06217333650022826, -0.05051014487221504]]
    assert_close(Linear(samples=2).draw(1).inputs, linear, rtol=1e-14)
    assert_close(Spiral(samples=2).draw(1).inputs, spiral, rtol=1e-13)
    assert_close(Plane(samples=2).draw(2**53 - 1).targets, [[-0.7404787716821528], [-1.1114841896168515]], rtol=1e-13)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Xor, {"samples": 1}),
        (Xor, {"samples": MAX_SAMPLES + 1}),
        (Xor, {"noise": -0.1}),
        (Xor, {"noise": 11}),
        (Xor, {"seed": -1}),
        (Xor, {"seed": 2**53}),
        (Linear, {"margin": 1}),
        (Circles, {"factor": 1}),
        (Circles, {"factor": 0}),
        (Gaussians, {"classes": 11}),
        (Gaussians, {"distance": -1}),
        (Spiral, {"arms": 1}),
        (Spiral, {"arms": 11}),
        (Spiral, {"turns": 0}),
        (Checkerboard, {"size": 1}),
        (Sine, {"periods": 0}),
        (Moons, {"factor": 0.5}),
        (Notebook, {"samples": 3}),
    ],
)
def test_options_have_bounds(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**options)
