"""Whatever fits the OpenAPI document, and whatever does not, is answered as the document says."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import schemathesis
from conftest import WithoutLifespan
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from app.engine.presets import PRESETS
from app.exports.npz import to_npz
from app.main import create_app
from app.settings import Settings

from .calls import NPZ

app = create_app(Settings(max_work=10**8, max_batch=1000, max_parameters=100_000, max_sessions=100_000))


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    app.state.sessions.close()


@schemathesis.serializer(NPZ)
def as_bytes(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def npz(names: list[str], shape: list[int]) -> bytes:
    return to_npz({name: np.ones(shape) for name in names})


NAMES = st.lists(st.sampled_from(["hidden.z", "loss", "hidden.weight", "zebra"]), unique=True)
SHAPES = st.lists(st.integers(0, 3), max_size=3)
schemathesis.openapi.media_type(NPZ, st.binary() | st.builds(npz, NAMES, SHAPES))
schema = schemathesis.openapi.from_asgi("/openapi.json", WithoutLifespan(app))
client = TestClient(app)

# A schema cannot say that rows must fit the network, so that what fits it may still be refused (422).
EXCLUDED: Any = [positive_data_acceptance]
SMALL = [preset.config for preset in PRESETS if "inputs" in preset.config["data"]]  # quick to look through
MANY, ONE_IN = 100, 13  # cases of one operation
FEW: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


def session_id(index: int) -> str:
    """A new session, in one phase or another."""
    answer = client.post("/v1/sessions", json=SMALL[index % len(SMALL)])
    url = answer.headers["Location"]
    for call in ("forward", "backward", "step")[: index % 4]:
        client.post(f"{url}/{call}")
    return str(url.rpartition("/")[2])


def call(case: "schemathesis.Case[Any]") -> None:
    if "session_id" in case.path_parameters:
        index = len(repr(case.body)) + len(repr(case.query))
        if index % 5:  # otherwise one that is not there
            case.path_parameters["session_id"] = session_id(index)
    case.call_and_validate(excluded_checks=EXCLUDED)


calls: Counter[str] = Counter()
every: Counter[str] = Counter()


@schema.parametrize()
@settings(max_examples=15, **FEW)
def test_every_operation(case: "schemathesis.Case[Any]") -> None:
    """A body of many options has thousands of cases, alike but for one of them: of these, some."""
    calls[case.operation.label] += 1
    if calls[case.operation.label] <= MANY or calls[case.operation.label] % ONE_IN == 0:
        call(case)


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=260, **FEW)
def test_every_case_of_every_operation(case: "schemathesis.Case[Any]") -> None:
    every["of an operation"] += 1
    call(case)


class Workflow(schema.as_state_machine()):  # type: ignore[misc]
    def validate_response(self, response: Any, case: Any, additional_checks: Any = (), **kwargs: Any) -> None:
        every["in workflows"] += 1
        case.validate_response(response, excluded_checks=EXCLUDED, **kwargs)


class LongWorkflow(Workflow):
    pass


TestWorkflow = Workflow.TestCase
TestWorkflow.settings = settings(max_examples=8, stateful_step_count=10, **FEW)
TestLongWorkflow = pytest.mark.long(LongWorkflow.TestCase)
TestLongWorkflow.settings = settings(max_examples=120, stateful_step_count=25, **FEW)


@pytest.mark.long
def test_there_were_enough_cases(report: Callable[[str], None]) -> None:
    """Of the long tests above, in all their phases: examples, the edges of each schema, random ones, and in a row."""
    report(f"schemathesis: {', '.join(f'{count:,} cases {kind}' for kind, count in every.items())}")
    assert every.total() >= 20_000
