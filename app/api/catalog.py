"""What a config can be made of, for clients that build forms: all of it read from the spec classes."""

from functools import cache
from inspect import getdoc
from typing import Any

from fastapi import APIRouter, Response

from app.api import examples
from app.api.responses import json_response
from app.api.routing import AnyCall, Route
from app.api.schemas import CatalogSchema
from app.engine.activations import AnyActivation
from app.engine.data import DataSpec
from app.engine.datasets import AnyData
from app.engine.initializers import AnyInitializer
from app.engine.layers import AnyLayer
from app.engine.losses import AnyLoss, Loss
from app.engine.notation import written
from app.engine.optimizers import AnyOptimizer
from app.engine.presets import PRESETS
from app.engine.schedules import AnySchedule
from app.engine.spec import Spec, kinds
from app.engine.stops import AnyStop

router = APIRouter(prefix="/v1", route_class=Route)


@router.get(
    "/catalog", response_model=CatalogSchema, summary="What there is to build with", tags=["Catalogue"],
    responses=examples.problems(),
)  # fmt: skip
async def read_catalog(call: AnyCall) -> Response:
    """Every layer type, activation, loss, optimizer and so on, with its options, its formulas, and configs to post."""
    return await json_response(call, _catalog)


@cache
def _catalog() -> dict[str, Any]:
    unions: dict[str, tuple[type[Spec], ...]] = {
        "layers": kinds(AnyLayer),
        "activations": kinds(AnyActivation),
        "losses": kinds(AnyLoss),
        "optimizers": kinds(AnyOptimizer),
        "schedules": kinds(AnySchedule),
        "initializers": kinds(AnyInitializer),
        "data": kinds(AnyData),
        "stop_conditions": kinds(AnyStop),
    }
    catalog: dict[str, Any] = {name: [_kind(spec) for spec in specs] for name, specs in unions.items()}
    catalog["presets"] = [preset._asdict() for preset in PRESETS]
    return catalog


def _kind(spec: type[Spec]) -> dict[str, Any]:
    options = spec.model_json_schema()
    options["properties"].pop("type")
    for key in ("title", "description"):
        options.pop(key, None)
    kind: dict[str, Any] = {
        "type": spec.type_name(),
        "description": getdoc(spec),
        "options": options,
        "formula": written(spec.formula) if spec.formula else None,
        "derivative": written(spec.derivative) if spec.derivative else None,
    }
    if issubclass(spec, Loss):
        kind["targets"] = spec.targets
    if issubclass(spec, DataSpec):
        kind |= {name: getattr(spec, name) for name in ("input_names", "class_names", "input_shape")}
    return kind
