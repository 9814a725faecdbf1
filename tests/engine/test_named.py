"""Named sets fit the network and the loss, or say what does not."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.engine.data import Inline, build_data
from app.engine.datasets import AnyData, Spiral
from app.engine.losses import AnyLoss
from app.engine.named import NamedSet
from app.engine.network import Config
from app.engine.rows import Data
from app.engine.spec import kinds
from app.errors import InvalidInput

from .networks import there

SETS = [kind for kind in kinds(AnyData) if issubclass(kind, NamedSet)]
LOSSES = [kind.type_name() for kind in kinds(AnyLoss)]


def build(data: Any, inputs: int = 2, units: int = 1, loss: str = "mse", seed: int = 0, dtype: str = "float64") -> Data:
    network = {"inputs": inputs, "layers": [{"units": units}]}
    config = Config.model_validate({"network": network, "loss": loss, "data": data, "seed": seed, "dtype": dtype})
    return build_data(config, there(config.data))


def test_a_bare_name_is_the_set_with_its_defaults() -> None:
    read: Any = TypeAdapter(AnyData).validate_python
    assert read("spiral") == read({"type": "spiral"}) == read(Spiral()) == Spiral()
    assert isinstance(read({"inputs": [[1]], "targets": [[2]]}), Inline)
    wrong: Any
    for wrong in ("spirals", "inline", {"type": None}, 5, [], {}, {"type": "spiral", "inputs": [[1]]}):
        with pytest.raises(ValidationError):
            read(wrong)


@pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.type_name())
@pytest.mark.parametrize("loss", LOSSES)
def test_every_set_with_every_loss(kind: Any, loss: str) -> None:
    """It builds rows that the loss takes, or is refused in words."""
    spec = kind()
    for units in (1, len(spec.labels or ()) or 2):
        try:
            data = build({"type": kind.type_name()}, len(spec.input_names), units, loss)
        except InvalidInput as refused:
            assert refused.errors[0].pointer == "/data"  # noqa: PT017
            assert refused.errors[0].detail.startswith(f"the set {kind.type_name()} has ")  # noqa: PT017
            continue
        targets = data.train.targets
        assert data.count == len(data.train) == len(targets) == spec.count == spec.train_count
        assert data.train.inputs.shape == (spec.count, len(spec.input_names))
        if spec.labels is None:
            assert targets.shape == (spec.count, 1)
        elif loss in ("nll", "cross_entropy"):
            assert targets.dtype == np.int64
            assert targets.shape == (spec.count,)
            assert set(targets.tolist()) == set(range(len(spec.labels)))
        else:
            assert set(targets.ravel().tolist()) == {0, 1}
            assert targets.shape == (spec.count, units)
        assert not data.train.inputs.flags.writeable
        assert not targets.flags.writeable


def test_targets_follow_the_loss() -> None:
    indices = build("xor", units=2, loss="cross_entropy").train.targets
    assert indices.tolist() == [0, 1, 1, 0]
    assert build("xor", units=5, loss="nll").train.targets.tolist() == [0, 1, 1, 0]
    for loss in ("mse", "bce", "bce_with_logits", "huber"):
        assert build("xor", loss=loss).train.targets.tolist() == [[0], [1], [1], [0]]
        assert build("xor", units=2, loss=loss).train.targets.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert build("notebook", loss="bce").train.targets.tolist() == [[0.01]]


@pytest.mark.parametrize(
    ("data", "fields", "detail"),
    [
        ("iris", {"units": 3}, "the set iris has 4 inputs; the network takes 2"),
        ("iris", {"inputs": 4, "units": 2},
         "the set iris has 3 classes, for which the loss mse takes 3 outputs; the network has 2"),
        ("iris", {"inputs": 4, "units": 4, "loss": "bce"},
         "the set iris has 3 classes, for which the loss bce takes 3 outputs; the network has 4"),
        ("moons", {"units": 3, "loss": "bce"},
         "the set moons has 2 classes, for which the loss bce takes 1 or 2 outputs; the network has 3"),
        ({"type": "spiral", "arms": 5}, {"units": 4, "loss": "nll"},
         "the set spiral has 5 classes, for which the loss nll takes at least 5 outputs; the network has 4"),
        ({"type": "gaussians", "classes": 3}, {},
         "the set gaussians has 3 classes, for which the loss mse takes 3 outputs; the network has 1"),
        ("plane", {"units": 2}, "the set plane has one value in a row; the network has 2 outputs"),
        ("plane", {"loss": "nll"}, "the set plane has values; the loss nll takes classes"),
        ("sine", {"inputs": 1, "loss": "cross_entropy"},
         "the set sine has values; the loss cross_entropy takes classes"),
        ("plane", {"loss": "bce"},
         "the set plane has values below 0 or above 1; the loss bce takes probabilities"),
    ],
)  # fmt: skip
def test_what_does_not_fit(data: Any, fields: dict[str, Any], detail: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        build(data, **fields)
    assert [tuple(error) for error in refused.value.errors] == [("/data", detail)]


def test_the_seed_is_the_session_s_or_its_own() -> None:
    def numbers(of_session: int, **own: Any) -> Any:
        data = build({"type": "moons", "test_fraction": 0.2, **own}, seed=of_session)
        return [array.tolist() for array in data.arrays]

    assert numbers(3) == numbers(3) == numbers(0, seed=3)
    assert numbers(3) != numbers(4)
    assert numbers(3, seed=7) == numbers(4, seed=7)


def test_options_of_all_sets() -> None:
    data = build({"type": "spiral", "samples": 50, "test_fraction": 0.2, "standardize": True}, dtype="float32")
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (40, 10)
    assert data.train.inputs.dtype == data.train.targets.dtype == np.float32
    assert data.train.inputs.std(axis=0) == pytest.approx([1, 1], abs=1e-5)
    with pytest.raises(InvalidInput, match="/data/test_fraction: leaves none of 1 rows to train on"):
        build({"type": "notebook", "test_fraction": 0.5})
