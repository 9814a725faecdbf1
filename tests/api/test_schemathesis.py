"""Whatever fits the OpenAPI document, and whatever does not, is answered as the document says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.main import create_app
from app.settings import Settings

app = create_app(Settings(max_sessions=200, max_work=10**8, max_batch=1000, max_parameters=100_000))
schema = schemathesis.openapi.from_asgi("/openapi.json", app)

# A schema cannot say that rows must fit the network, so that what fits it may still be refused (422).
EXCLUDED = [positive_data_acceptance]
FEW = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@FEW
def test_every_operation(case: schemathesis.Case) -> None:
    case.call_and_validate(excluded_checks=EXCLUDED)


