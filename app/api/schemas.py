"""What answers look like, for the OpenAPI document. The answers themselves are written out elsewhere."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from app.engine.compare import Comparison
from app.engine.entries import Entry
from app.engine.health import Health
from app.engine.plan import Reason
from app.engine.position import Next, Operation
from app.engine.state import Phase
from app.exports.explanations import ExplanationJson
from app.sessions.runs import Status

Number = float | None
Vector = list[Number]
Matrix = list[Vector]
Tensor = Vector | Matrix


class ParameterSchema(TypedDict):
    """A parameter: its value, its gradient, and the optimizer's own values for it."""

    value: NotRequired[Tensor | None]
    gradient: NotRequired[Tensor | None]
    state: NotRequired[dict[str, Tensor | int | None]]


class LayerSchema(TypedDict):
    """The numbers of a layer; null where they have not been computed yet."""

    name: str
    activation: str
    z: NotRequired[Matrix | None]
    a: NotRequired[Matrix | None]
    da_dz: NotRequired[Matrix | list[Matrix] | None]
    dL_da: NotRequired[Matrix | None]
    dL_dz: NotRequired[Matrix | None]
    parameters: NotRequired[dict[Literal["weight", "bias"], ParameterSchema]]


class NonfiniteSchema(TypedDict):
    """An entry that JSON cannot say, and that is null in its array."""

    name: str
    index: list[int]
    value: Literal["NaN", "Infinity", "-Infinity"]


class SnapshotSchema(TypedDict):
    """Every number of a session as it stands; parts that were not asked for are left out."""

    session: str
    revision: int
    phase: Phase
    next: Next
    allowed: list[Operation]
    steps: int
    epochs: int
    loss: Number
    inputs: NotRequired[Matrix | None]
    targets: NotRequired[Matrix | list[int] | None]
    outputs: NotRequired[Matrix | None]
    layers: list[LayerSchema]
    health: NotRequired[Health]
    nonfinite: list[NonfiniteSchema]
    omitted: list[str]


class ForkSchema(TypedDict):
    """Where a session was forked from."""

    session: str
    revision: int
    epoch: int | None


class _SessionBase(TypedDict):
    id: str
    name: str | None
    created_at: str
    updated_at: str
    expires_at: str
    revision: int
    latest_revision: int
    phase: Phase
    next: Next
    allowed: list[Operation]
    steps: int
    epochs: int
    epoch_position: int
    loss: Number
    parameter_count: int
    forked_from: ForkSchema | None
    run: "RunSchema | None"


class StoppedSchema(TypedDict):
    """Why a training ended; `epoch` and `step` are the last done, `tensor` is null for the loss."""

    reason: Reason
    epoch: int
    step: int
    tensor: str | None
    threshold: Number
    actual: float | str | None


class SweepItemSchema(TypedDict):
    """One session of a sweep; what its training came to, once it has ended."""

    session: str
    settings: dict[str, Any]
    loss: Number
    test_loss: Number
    stopped: StoppedSchema | None
    curve: NotRequired[dict[str, list[Number]]]
    problem: NotRequired["Problem"]


class SweepSchema(TypedDict):
    """What a sweep has come to so far."""

    items: list[SweepItemSchema]


class RunSchema(TypedDict):
    """A training that goes on by itself, or how it went. A sweep has a `result`, and no `stopped` or `revision`."""

    id: str
    session: str
    status: Status
    epochs_done: int
    epochs_total: int
    loss: Number
    created_at: str
    started_at: str | None
    ended_at: str | None
    stopped: StoppedSchema | None
    revision: int | None
    problem: NotRequired["Problem"]
    result: NotRequired[SweepSchema]


class RunListSchema(TypedDict):
    """A page of a session's runs, newest last, and the URL of the next one."""

    items: list[RunSchema]
    next: str | None


class SessionItemSchema(_SessionBase):
    """A session in a list."""


class SessionSchema(_SessionBase):
    """A session, with its completed config."""

    config: dict[str, Any]


class SessionListSchema(TypedDict):
    """A page of sessions, and the URL of the next one."""

    items: list[SessionItemSchema]
    next: str | None


class EstimateSchema(TypedDict):
    """What a session would cost: its memory at most, and the work of a pass, in nanoseconds of one core or so."""

    bytes: int
    forward: int
    backward: int
    step: int


class DryRunSchema(TypedDict):
    """What a config would make."""

    config: dict[str, Any]
    parameter_count: int
    estimate: EstimateSchema


class RowsSchema(TypedDict):
    """Inputs and their targets."""

    inputs: Matrix
    targets: Matrix | list[int]


class RevisionSchema(TypedDict):
    """A change of a session, and how it stood after it. In `arguments`, null is what was too large to keep."""

    revision: int
    operation: str
    label: str
    arguments: dict[str, Any]
    phase: Phase
    steps: int
    epochs: int
    loss: Number
    state_hash: str
    at: str
    kept: bool
    epoch_from: NotRequired[int]
    epoch_to: NotRequired[int]
    run: NotRequired[str | None]


class HistorySchema(TypedDict):
    """A page of a session's revisions, newest last, and the URL of the next one."""

    items: list[RevisionSchema]
    next: str | None


class CurvesSchema(TypedDict):
    """The entries of a session's epochs as columns of equal length; what no entry has is left out."""

    epoch: list[int]
    steps: list[int]
    loss: list[Number]
    test_loss: NotRequired[list[Number]]
    accuracy: NotRequired[list[Number]]
    test_accuracy: NotRequired[list[Number]]
    gradient_norm: NotRequired[list[Number]]
    learning_rate: NotRequired[list[Number]]
    elapsed: NotRequired[list[Number]]


class ConfigDifferenceSchema(TypedDict):
    """A place where two configs differ."""

    pointer: str
    value: Any
    against: Any


class ComparisonSchema(Comparison):
    """How two states differ; `only_here` and `only_there` name the tensors that one of them alone has."""

    only_here: list[str]
    only_there: list[str]
    config: list[ConfigDifferenceSchema]


class DataSchema(TypedDict):
    """The rows of a session, null without; the names are null where nobody knows them, or there are no classes."""

    inputs: Matrix | None
    targets: Matrix | list[int] | None
    test: RowsSchema | None
    input_names: list[str] | None
    class_names: list[str] | None


class TrainedSchema(TypedDict):
    """What a training did, and the snapshot after it."""

    history: list[Entry]
    stopped: StoppedSchema
    snapshot: SnapshotSchema


class PredictedLayerSchema(TypedDict):
    """What a layer computed on the way."""

    name: str
    z: Matrix
    a: Matrix


class PredictionSchema(TypedDict):
    """What the network answers."""

    outputs: Matrix
    layers: NotRequired[list[PredictedLayerSchema]]
    nonfinite: list[NonfiniteSchema]


class WrittenSchema(TypedDict):
    """A formula in three notations."""

    text: str
    latex: str
    mathml: str


class KindSchema(TypedDict):
    """One kind of layer, activation, loss …: its options as a JSON schema, and its formulas where it has any.

    A loss says which targets it takes, a data set what its inputs and classes are called, by default.
    """

    type: str
    description: str
    options: dict[str, Any]
    formula: WrittenSchema | None
    derivative: WrittenSchema | None
    targets: NotRequired[str]
    input_names: NotRequired[list[str] | None]
    class_names: NotRequired[list[str] | None]
    input_shape: NotRequired[list[int] | None]


class PresetSchema(TypedDict):
    """A config that is ready to post."""

    name: str
    title: str
    config: dict[str, Any]


class CatalogSchema(TypedDict):
    """Everything that a config can be made of."""

    layers: list[KindSchema]
    activations: list[KindSchema]
    losses: list[KindSchema]
    optimizers: list[KindSchema]
    schedules: list[KindSchema]
    initializers: list[KindSchema]
    data: list[KindSchema]
    stop_conditions: list[KindSchema]
    presets: list[PresetSchema]


class FieldErrorSchema(TypedDict):
    """What is wrong at one place: a JSON pointer into the body, or the name of a query parameter or header."""

    pointer: NotRequired[str]
    parameter: NotRequired[str]
    detail: str


class Problem(TypedDict):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[FieldErrorSchema]]
    call_first: NotRequired[str]
    limit: NotRequired[int]
    estimate: NotRequired[int]
    setting: NotRequired[str]
    expired_at: NotRequired[str]
    request_id: NotRequired[str]


class ProblemKindSchema(TypedDict):
    """What a kind of problem means."""

    type: str
    title: str
    status: int
    description: str


class AboutSchema(TypedDict):
    """What this server is, and where to go from here."""

    name: str
    description: str
    version: str
    links: dict[str, str]


class TensorSchema(TypedDict):
    """One tensor, or one number of it."""

    name: str
    shape: list[int]
    dtype: str
    value: Any
    nonfinite: list[NonfiniteSchema]


class MovedSchema(TypedDict):
    """A parameter before and after a step, and the difference."""

    before: Tensor
    after: Tensor
    update: Tensor


class PreviewSchema(TypedDict):
    """What a step would do."""

    parameters: dict[str, MovedSchema]
    gradient_norm: Number


class WorkedExampleSchema(TypedDict):
    """Every number of the present step, in the order of computation."""

    items: list[ExplanationJson]


class HealthSchema(TypedDict):
    """Whether the server is up."""

    status: Literal["ok", "ready"]
