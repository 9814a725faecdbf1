"""Rows in the body of a request: data as JSON has it, a table as CSV, or the arrays of an npz."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from app.api.routing import Parameters, SessionCall
from app.engine.data import Arrays, DataSpec
from app.errors import FieldError, InvalidInput
from app.exports.table import from_arrays, read_csv


class DataQuery(Parameters):
    """What a table does not say of itself, and what is to become of the rows of a table or an npz."""

    targets: Annotated[
        str | None, Field(max_length=10_000, description="Which columns of a table are targets, by name: a comma list.")
    ] = None
    test_fraction: Annotated[
        float | None, Field(gt=0, lt=1, description="The share of the rows to set aside to test on.")
    ] = None
    standardize: Annotated[bool, Field(description="Each input to mean 0 and standard deviation 1.")] = False
    shuffle: Annotated[bool, Field(description="The rows in an order drawn from the seed.")] = False


async def rows_of(call: SessionCall, body: Any, query: DataQuery) -> DataSpec | Arrays:
    """The rows in a body: data as JSON has it, the text of a table, or named arrays."""
    given = query.model_dump(exclude_unset=True)
    targets = given.pop("targets", None)
    if targets is not None and not isinstance(body, str):
        raise InvalidInput([FieldError("?targets", "goes with text/csv alone")])
    if isinstance(body, DataSpec):
        if given:
            raise InvalidInput([FieldError(f"?{next(iter(given))}", "is a field of the body where this is JSON")])
        return body
    if isinstance(body, dict):
        arrays = from_arrays(body)
        if arrays.test and query.test_fraction:
            raise InvalidInput([FieldError("?test_fraction", "takes arrays without test_inputs and test_targets")])
        return replace(arrays, **given)
    if not targets:
        raise InvalidInput([FieldError("?targets", "is needed: the names of the columns that are targets")])
    names, config = [name.strip() for name in targets.split(",")], call.session.config
    max_rows = call.sessions.settings.max_batch
    table = await call.sessions.parsing.run(lambda: read_csv(body, names, config, max_rows))
    return replace(table, **given)
