"""Draws are pinned: whoever uses the same seed gets these very numbers, on any machine and for ever."""

import numpy as np
import pytest

from app.engine import random
from app.engine.random import Purpose

from .networks import assert_close

MASK = (1 << 64) - 1


def philox(key: tuple[int, int], counter: int) -> list[int]:
    """Four words of Philox-4x64 with ten rounds, as its inventors define it."""
    a, b, c, d = ((counter >> 64 * i) & MASK for i in range(4))
    k0, k1 = key
    for _ in range(10):
        one, other = a * 0xD2E7470EE14C6C93, c * 0xCA5A826395121157
        a, b, c, d = (other >> 64) ^ b ^ k0, other & MASK, (one >> 64) ^ d ^ k1, one & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return [a, b, c, d]


def test_this_philox_gives_the_published_answer() -> None:
    published = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox((0, 0), 0) == published


@pytest.mark.parametrize("seed", [0, 1, 2**53 - 1])
@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("index", [0, 999])
def test_raw_is_philox_by_its_definition(seed: int, purpose: Purpose, index: int) -> None:
    words = random.raw(seed, purpose, index, 10).tolist()
    key = seed, (purpose << 48) + index
    assert words == [word for counter in (1, 2, 3) for word in philox(key, counter)][:10]


def test_pinned() -> None:
    assert random.raw(0, Purpose.WEIGHT, 0, 2).tolist() == [0x88A3FF887B56733, 0xAD0C7C491ACFE4CF]
    assert random.raw(2**53 - 1, Purpose.SPLIT, 7, 2).tolist() == [0xE2320AFD89A71DCC, 0xEF46D708EE3D4835]
    assert random.uniform(1, Purpose.WEIGHT, 0, 2).tolist() == [0.7721752418663869, 0.9386931312182579]
    assert random.permutation(3, Purpose.SHUFFLE, 5, 8).tolist() == [5, 1, 2, 7, 4, 3, 6, 0]
    # The inverse of the normal distribution function is arithmetic with logarithms: the last digits may differ.
    normal = random.normal(1, Purpose.BIAS, 2, 3)
    assert_close(normal, [2.1995228378341136, 0.30809330223879255, -1.1496532905062329], rtol=1e-14)


def test_purposes_keep_their_numbers() -> None:
    values = {"WEIGHT": 1, "BIAS": 2, "SHUFFLE": 3, "SPLIT": 4, "DATA": 5, "ORDER": 6}
    assert {purpose.name: purpose.value for purpose in Purpose} == values


def test_draws_differ_by_seed_purpose_and_index() -> None:
    draws = [(0, Purpose.WEIGHT, 0), (1, Purpose.WEIGHT, 0), (0, Purpose.BIAS, 0), (0, Purpose.WEIGHT, 1)]
    assert len({random.raw(*draw, 1)[0] for draw in draws}) == 4


def test_a_longer_draw_begins_as_a_shorter_one() -> None:
    assert random.normal(0, Purpose.WEIGHT, 0, 70_000)[:5].tolist() == random.normal(0, Purpose.WEIGHT, 0, 5).tolist()


def test_uniform_is_uniform() -> None:
    u = random.uniform(0, Purpose.WEIGHT, 0, 100_000)
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(1 / 2, abs=0.005)
    assert u.std() == pytest.approx(12**-0.5, abs=0.005)
    assert np.histogram(u, 10, (0, 1))[0].min() > 9_500


def test_normal_is_normal() -> None:
    x = random.normal(0, Purpose.WEIGHT, 0, 100_000)
    assert np.isfinite(x).all()
    assert x.mean() == pytest.approx(0, abs=0.01)
    assert x.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(x) < 1.96).mean() == pytest.approx(0.95, abs=0.005)


def test_permutation_is_one() -> None:
    for count in (1, 2, 1000):
        assert sorted(random.permutation(0, Purpose.SHUFFLE, 0, count).tolist()) == list(range(count))
    firsts = [random.permutation(seed, Purpose.SHUFFLE, 0, 5)[0] for seed in range(1000)]
    assert np.bincount(firsts).min() > 150
