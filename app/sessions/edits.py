"""Changes made by hand: a session's name and optimizer, its rows, and single numbers of its parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import orjson
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, RootModel, Tag, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from app.engine import cost, names
from app.engine.data import Arrays, DataSpec, build_data
from app.engine.layers import Matrix, Vector
from app.engine.named import NamedSet
from app.engine.network import Config
from app.engine.optimizers import SGD, AnyOptimizer
from app.engine.rows import finite_array
from app.engine.spec import MAX_FIELDS, Array, read_only
from app.engine.state import carry_slots
from app.errors import FieldError, InvalidInput, field_errors, pointer_to
from app.sessions import limits
from app.sessions.operations import MAX_ARGUMENTS, NO_ARGUMENTS, Arguments, Job, Outcome, Request, kept
from app.sessions.session import Session, live_config, to_json, with_data
from app.settings import Settings

OptimizerPatch = Annotated[dict[str, Any], Field(max_length=MAX_FIELDS)] | str | None


class Change(Request):
    """Rename a session, or change its optimizer: options that are not named stay as they are, null is the default.

    Another `type` starts from that optimizer's defaults and with empty slots. (RFC 7396, JSON Merge Patch.)
    """

    operation: ClassVar[str] = "change"
    name: Annotated[str, Field(max_length=200)] | None = None
    optimizer: OptimizerPatch = None

    def arguments(self) -> Arguments:
        """The fields that were given: here null says something."""
        return kept(self.model_dump(mode="json", exclude_unset=True))

    def prepare(self, session: Session, settings: Settings) -> Job:
        name = self.name if "name" in self.model_fields_set else session.name
        if "optimizer" not in self.model_fields_set:
            return Job(0, session.nbytes, lambda _: Outcome({"name": name}))
        before, state = session.config, session.state
        config_json = with_optimizer(session.config_json, self.optimizer)
        after = live_config(config_json)
        nbytes = session.text_bytes + cost.state_bytes(after, session.trace_count, session.row_count)
        limits.check_bytes(settings, nbytes)

        def run(_: Callable[[], bool]) -> Outcome:
            return Outcome({"name": name, "config_json": config_json, "state": carry_slots(before, after, state)})

        return Job(cost.update_work(after), nbytes, run)


def with_optimizer(config_json: bytes, patch: dict[str, Any] | str | None) -> bytes:
    """A session's config with a patch merged into its optimizer; raises InvalidInput where that makes none."""
    values = orjson.loads(config_json)
    values["optimizer"] = _merge_optimizer(values["optimizer"], patch)
    return to_json(values)


def _merge_optimizer(current: dict[str, Any], patch: dict[str, Any] | str | None) -> dict[str, Any]:
    """The completed optimizer with a patch merged in."""
    given: Any = {"type": patch} if isinstance(patch, str) else patch
    merged = {"type": SGD.type_name()} if given is None else _merge(current, given)
    try:
        optimizer = TypeAdapter[Any](AnyOptimizer).validate_python(merged)
    except ValidationError as error:
        raise InvalidInput(field_errors(error, merged, "/optimizer")) from None
    values: dict[str, Any] = optimizer.model_dump(mode="json")
    return values


def _merge(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """An object with another merged in, as RFC 7396 has it; one of another `type` starts from nothing."""
    merged = dict(value) if patch.get("type", value.get("type")) == value.get("type") else {}
    for key, item in patch.items():
        if item is None:
            merged.pop(key, None)
        elif isinstance(item, dict):
            before = merged.get(key)
            merged[key] = _merge(before if isinstance(before, dict) else {}, item)
        else:
            merged[key] = item
    return merged


@dataclass(frozen=True, slots=True)
class NewData:
    """Other rows to train on; trace and gradients become null, and an epoch under way starts anew."""

    operation: ClassVar[str] = "data"
    rows: DataSpec | Arrays

    def arguments(self) -> Arguments:
        """A named set; other rows are kept as arrays."""
        return kept(self.rows.model_dump(mode="json")) if isinstance(self.rows, NamedSet) else NO_ARGUMENTS

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, n = session.config, self.rows.count
        limits.check_rows(settings, n, self.rows.counted_at)
        config_json = with_data(session.config_json, self.rows)
        nbytes = len(config_json) + len(session.init_json) + cost.state_bytes(config, self.rows.train_count, n)
        limits.check_bytes(settings, nbytes)
        rows = build_data(config, self.rows, "")
        state = session.state.without_trace()._replace(epoch_position=0, begun=None)
        return Job(0, nbytes, lambda _: Outcome({"data": rows, "config_json": config_json, "state": state}))


def _form(value: Any) -> str:
    """Which form the numbers of an edit have."""
    if not isinstance(value, list):
        return "number"
    return "matrix" if value and isinstance(value[0], list) else "vector"


def _as_array(rows: Any) -> Any:
    """The numbers as an array, here, as a large body is validated outside the event loop."""
    try:
        return np.array(rows, np.float64)
    except ValueError:
        raise PydanticCustomError("rows", "takes rows of equal length") from None


Numbers = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[Vector, AfterValidator(_as_array), Tag("vector")]
    | Annotated[Matrix, AfterValidator(_as_array), Tag("matrix")],
    Discriminator(_form),
]


class Edit(RootModel[Annotated[dict[str, Numbers], Field(min_length=1, max_length=10_000)]]):
    """New values of parameters by name: one number, `"hidden.weight[0][1]"`, or a whole tensor, `"output.bias"`.

    Trace and gradients stay as they are.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)
    operation: ClassVar[str] = "edit"

    def arguments(self) -> Arguments:
        """The edits, or their names alone."""
        if 2 * sum(map(np.size, self.root.values())) > MAX_ARGUMENTS:
            return kept(dict.fromkeys(self.root))._replace(complete=False)
        return kept({name: np.asarray(given).tolist() for name, given in self.root.items()})

    def prepare(self, session: Session, settings: Settings) -> Job:
        config, state = session.config, session.state
        parts = [_part(config, name, given) for name, given in self.root.items()]
        n = session.trace_count
        nbytes = session.text_bytes + cost.state_bytes(config, n, session.row_count)
        limits.check_bytes(settings, nbytes)

        def run(_: Callable[[], bool]) -> Outcome:
            parameters = state.parameters.copy()
            for place, numbers in parts:
                parameters[place] = numbers
            return Outcome({"state": state._replace(parameters=read_only(parameters), edited=True)})

        return Job(config.network.parameter_count, nbytes, run)


def _part(config: Config, name: str, given: Any) -> tuple[slice, Array]:
    """Where in the packed vector an edit goes, and the numbers to put there; raises InvalidInput."""
    pointer = pointer_to(name)
    address = names.find(config, name, pointer)
    parameter = address.parameter
    if parameter is None or address.part:
        detail = "is no parameter; takes names such as hidden.weight, or hidden.weight[0][1] for one number"
        raise InvalidInput([FieldError(pointer, detail)])
    if address.index:
        names.check_index(parameter.shape, address, pointer)
    shape = () if address.index else parameter.shape
    array = finite_array(given, config.dtype, pointer)
    if array.shape != shape:
        takes = " x ".join(map(str, shape)) + " numbers" if shape else "one number"
        raise InvalidInput([FieldError(pointer, f"has another shape; takes {takes}")])
    if not address.index:
        return parameter.place, array.reshape(-1)
    at = parameter.place.start + int(np.ravel_multi_index(address.index, parameter.shape))
    return slice(at, at + 1), array.reshape(1)
