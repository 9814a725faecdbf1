"""A template says of a session exactly what its arrays do."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.api.contents import View, write
from app.api.snapshots import dumps, snapshot, snapshot_json
from app.api.tiny import MOST, tiny_snapshot
from app.engine.data import Inline
from app.engine.health import health
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.sessions.edits import NewData
from app.sessions.memory import MemoryStore
from app.sessions.operations import Backward, Forward, Step, Train
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.settings import Settings

LAYERS = [
    {"name": "a", "units": 2, "activation": "sigmoid", "bias": "shared"},
    {"name": "b-2", "units": 3, "bias": "none", "trainable": False},
    {"name": "_c", "units": 1, "activation": "softmax"},
]
CONFIGS: dict[str, dict[str, Any]] = {
    "notebook": {},
    "three layers, a softmax": {"network": {"inputs": 2, "layers": LAYERS}},
    "classes": {
        "network": {"inputs": 2, "layers": [{"units": 3}]},
        "loss": "cross_entropy",
        "data": {"inputs": [[0, 1], [1, 0], [1, 1]], "targets": [0, 2, 1]},
    },
    "no data": {"data": None},
}


def sessions() -> Sessions:
    settings = Settings()
    return Sessions(MemoryStore(settings, time.time), settings, time.time)


async def create(service: Sessions, **fields: Any) -> Session:
    return await service.create(service.draft(Config.model_validate({**NOTEBOOK, **fields})))


async def _stops(**fields: Any) -> list[Session]:
    """A session at many of the places where one can stand."""
    service = sessions()
    session = await create(service, **fields)
    found = [session]
    first, last = session.config.network.names[0], session.config.network.names[-1]
    rows = Forward(inputs=[[0.5, -0.5]]) if session.data is None else Forward(until=first)
    operations: list[Any] = [rows, Forward()] if session.data is not None else [rows]
    if session.data is not None:
        operations += [
            Backward(until=last), Backward(), Step(parameters=[f"{last}.weight"]), Step(), Train(epochs=3),
            Forward(), NewData(session_data(session)),
        ]  # fmt: skip
    found += [(await service.change(session.id, operation)).session for operation in operations]
    service.close()
    return found


def session_data(session: Session) -> Inline:
    assert session.data is not None
    rows = session.data.train
    return Inline(inputs=rows.inputs.tolist(), targets=rows.targets.tolist())


def _all_stops() -> Iterator[Any]:
    for name, fields in CONFIGS.items():
        for number, session in enumerate(asyncio.run(_stops(**fields))):
            yield pytest.param(session, id=f"{name}-{number}")


@pytest.mark.parametrize("session", list(_all_stops()))
def test_a_template_says_what_the_arrays_do(session: Session) -> None:
    tiny = tiny_snapshot(session, View())
    state = session.state
    plain = {**write(session, View()), "health": health(session.config, state), "nonfinite": [], "omitted": []}
    assert tiny == dumps(plain) == snapshot_json(session, View())


@pytest.mark.parametrize(
    "view",
    [
        View(decimals=3),
        View(layers=[0]),
        View(samples=slice(0, 1)),
        View(parts=frozenset({"gradients"})),
        View(limit=20),
    ],
)
def test_other_views_have_no_template(view: View) -> None:
    session = asyncio.run(_stops())[1]
    assert tiny_snapshot(session, view) is None
    assert snapshot_json(session, view) == dumps(snapshot(session, view))


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "float32"},
        {"optimizer": "adam"},
        {"network": {"inputs": 2, "layers": [{"units": MOST}, {"units": 1}]}},
    ],
)
def test_other_sessions_have_no_template(fields: dict[str, Any]) -> None:
    assert tiny_snapshot(asyncio.run(_stops(**fields))[1], View()) is None


def test_what_is_not_finite_has_no_template() -> None:
    init = {"weight": [[1e308, 1e308]], "bias": 0.0}
    network = {"inputs": 2, "layers": [{"name": "only", "units": 1, "init": init}]}
    data = {"inputs": [[10.0, 10.0]], "targets": [[0.0]]}

    async def forward() -> Session:
        service = sessions()
        session = await create(service, network=network, data=data)
        return (await service.change(session.id, Forward())).session

    session = asyncio.run(forward())
    assert tiny_snapshot(session, View()) is None
    names = {entry["name"] for entry in snapshot(session, View())["nonfinite"]}
    assert names == {"loss", "only.z", "only.a", "outputs"}


def test_templates_of_one_network_are_bounded() -> None:
    async def many() -> int:
        service = sessions()
        session = await create(service)
        most = 0
        for n in range(1, 40):
            for operation in (Forward(inputs=[[0.1, 0.2]] * n, until="hidden"), Forward()):
                changed = await service.change(session.id, operation)
                tiny_snapshot(changed.session, View())
                most = max(most, len(changed.session.config.network.templates))
        return most

    assert asyncio.run(many()) == 64


def test_a_layer_name_is_only_a_string_in_a_template() -> None:
    network = {"inputs": 2, "layers": [{"units": 2, "name": "__import__"}]}
    session = asyncio.run(_stops(network=network, data={"inputs": [[1, 2]], "targets": [[1, 2]]}))[0]
    assert json.loads(tiny_snapshot(session, View()) or b"")["layers"][0]["name"] == "__import__"
