"""Worked examples for the OpenAPI document: a body for each call, a problem for each error."""

from typing import Any

from app.api.problems import (
    MEDIA_TYPE,
    STATUS,
    BodyTooLarge,
    KeyReused,
    MalformedBody,
    NotAcceptable,
    UnsupportedMediaType,
    problem,
)
from app.engine.presets import PRESETS
from app.errors import (
    Busy,
    FieldError,
    Full,
    GradstepError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    QuotaExceeded,
    RequestUnderWay,
    RevisionGone,
    RevisionMismatch,
    SessionCorrupt,
    SessionExpired,
    SessionNotFound,
    Stopping,
    StoreAway,
    TooManyRequests,
    TrainingFailed,
    Unauthorized,
    Unavailable,
    WrongPhase,
)

_SESSION = "/v1/sessions/2f1c0d9be8a74c55b1d0a6f3e7c84a19"

CONFIGS = {preset.name: {"summary": preset.title, "value": preset.config} for preset in PRESETS}
CHANGES = {
    "rename": {"summary": "Another name", "value": {"name": "second try"}},
    "rate": {"summary": "Another learning rate, all else as it was", "value": {"optimizer": {"learning_rate": 0.1}}},
    "optimizer": {"summary": "Another optimizer, with its defaults", "value": {"optimizer": "adam"}},
}
DATA = {
    "set": {"summary": "A named set", "value": {"type": "spiral", "turns": 1.5, "test_fraction": 0.25}},
    "rows": {"summary": "Two rows", "value": {"inputs": [[0.05, 0.1], [0.2, 0.4]], "targets": [[0.01], [0.99]]}},
    "test": {
        "summary": "A third of the rows set aside to test on",
        "value": {"inputs": [[0, 0], [0, 1], [1, 1]], "targets": [[0], [1], [0]], "test_fraction": 0.33},
    },
}
DATA_BODY = {
    "requestBody": {
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "width,height,kind\n1.5,0.5,flat\n0.25,2,tall\n",
            },
            "application/x-npz": {"schema": {"type": "string", "format": "binary"}},
        }
    },
}
FORWARD = {
    "whole": {"summary": "The whole pass over the session's data", "value": {}},
    "layer": {"summary": "Up to one layer", "value": {"until": "hidden"}},
    "rows": {"summary": "Over other rows", "value": {"inputs": [[0.3, 0.7]], "targets": [[0.5]]}},
}
BACKWARD = {
    "whole": {"summary": "The whole pass", "value": {}},
    "layer": {"summary": "Down to one layer", "value": {"until": "output"}},
    "current": {"summary": "With the weights as they are now", "value": {"using": "current"}},
}
STEP = {
    "all": {"summary": "All trainable parameters", "value": {}},
    "one": {"summary": "One of them", "value": {"parameters": ["output.weight"]}},
}
TRAIN = {
    "epochs": {"summary": "100 epochs, an entry for every tenth", "value": {"epochs": 100, "report_every": 10}},
    "batches": {
        "summary": "Mini-batches in a random order",
        "value": {"epochs": 5, "batch_size": 32, "shuffle": True},
    },
    "until": {
        "summary": "Until something happens",
        "value": {
            "epochs": 1000,
            "stop": [
                {"type": "loss_below", "value": 0.01},
                {"type": "parameter_outside", "parameter": "hidden.weight[0][1]", "low": -5, "high": 5},
                {"type": "expression", "value": "loss > 2 * best_loss"},
            ],
        },
    },
    "probe": {
        "summary": "With what the network answers to some inputs, for a stream",
        "value": {"epochs": 100, "report_every": 10, "probe": {"inputs": [[0.1, 0.2], [0.8, 0.9]]}},
    },
}
SWEEP = {
    "rates": {
        "summary": "Three learning rates, each from two starts",
        "value": {"vary": {"learning_rate": [0.01, 0.1, 1.0], "seed": [1, 2]}, "train": {"epochs": 100}},
    },
    "optimizers": {
        "summary": "Two optimizers",
        "value": {"vary": {"optimizer": [{"type": "sgd", "learning_rate": 0.5}, "adam"]}, "train": {"epochs": 50}},
    },
}
PREDICT = {
    "own": {"summary": "The session's own inputs", "value": {}},
    "rows": {"summary": "Other inputs", "value": {"inputs": [[0.3, 0.7]]}},
}

REWIND = {
    "revision": {"summary": "To a revision", "value": {"revision": 2}},
    "epoch": {"summary": "To where an epoch ended, though it lies inside a training", "value": {"epoch": 35}},
}
FORK = {
    "here": {"summary": "From where the session stands", "value": {"name": "another learning rate"}},
    "epoch": {"summary": "From where an epoch ended", "value": {"epoch": 35}},
}
TENSORS = {
    "deltas": {
        "summary": "What another implementation got",
        "value": {"hidden.z": [[0.3775, 0.3925]], "hidden.dL_dz": [[0.0134, 0.015]]},
    }
}
EDITS = {
    "number": {"summary": "One number", "value": {"hidden.weight[0][1]": 0.5}},
    "tensor": {"summary": "A whole tensor", "value": {"output.bias": [0.1]}},
}
VERIFY = {
    "deltas": {
        "summary": "Deltas worked out by hand, one of them wrong",
        "value": {"values": {"output.dL_dz": [["0.13850"]], "hidden.dL_dz": [["0.01199", "0.01362"]]}},
    },
    "blanks": {
        "summary": "A sheet with a blank, and only the first mistake given away",
        "value": {"values": {"hidden.a": [[0.5933, None]], "loss": 0.2748}, "reveal": "first_wrong"},
    },
}
GRADCHECK = {
    "all": {"summary": "Every parameter", "value": {}},
    "one": {
        "summary": "One number, with an eps of one's own",
        "value": {"parameters": ["hidden.weight[0][1]"], "eps": 1e-5},
    },
}
PREVIEW = {
    "own": {"summary": "What step would do", "value": {}},
    "other": {"summary": "Under another optimizer", "value": {"optimizer": {"type": "adam", "learning_rate": 0.01}}},
}
NPZ_BODY = {
    "requestBody": {"content": {"application/x-npz": {"schema": {"type": "string", "format": "binary"}}}},
}

_EXAMPLES: dict[type[GradstepError], tuple[GradstepError, str]] = {
    type(error): (error, path)
    for error, path in (
        (MalformedBody("the body is no JSON: expected value at line 1 column 14"), "/v1/sessions"),
        (Unauthorized("this server does not know this API key"), "/v1/sessions"),
        (NotFound("nothing is at this path; /docs lists what there is"), "/v1/session"),
        (SessionNotFound("no session has this id"), _SESSION),
        (SessionExpired("this session was not changed for too long and is gone", expired_at=1795000000.0), _SESSION),
        (
            RevisionGone("the session went back to before this revision and on from there, which cut it off"),
            f"{_SESSION}/snapshot",
        ),
        (NotAcceptable("this can be had as application/json"), _SESSION),
        (WrongPhase("there are no gradients to step from", "backward"), f"{_SESSION}/step"),
        (Busy("work on this session is under way"), f"{_SESSION}/step"),
        (RequestUnderWay("a request with this Idempotency-Key is under way; ask again when it has ended"), _SESSION),
        (KeyReused("this key was used for a request with another body or query; take a new one for this"), _SESSION),
        (SessionCorrupt("what is stored of this session is damaged: its checksum is another"), _SESSION),
        (Stopping("this server is stopping, and did not get to the end of this request", retry_after=1), _SESSION),
        (StoreAway("the store of the sessions cannot be reached", retry_after=1), _SESSION),
        (RevisionMismatch("the session has moved on: it is at revision 8"), f"{_SESSION}/step"),
        (
            BodyTooLarge(
                "takes a body of at most 8,388,608 bytes (GRADSTEP_MAX_BODY)",
                limit=8_388_608, setting="GRADSTEP_MAX_BODY",
            ),
            "/v1/sessions",
        ),
        (UnsupportedMediaType("takes application/json"), "/v1/sessions"),
        (
            InvalidInput([FieldError("/network/layers/0/units", "got 0; should be greater than or equal to 1")]),
            "/v1/sessions",
        ),
        (
            LimitExceeded(
                "/network/layers", "the number of parameters",
                limit=20_000_000, estimate=1_000_001_000, setting="GRADSTEP_MAX_PARAMETERS",
            ),
            "/v1/sessions",
        ),
        (
            Full(
                "this server has no room: 10,001 sessions would be more than its limit of 10,000",
                retry_after=60, limit=10_000, estimate=10_001, setting="GRADSTEP_MAX_SESSIONS",
            ),
            "/v1/sessions",
        ),
        (
            QuotaExceeded(
                "there is no room: 21 sessions of one key would be more than the limit of 20",
                retry_after=60, limit=20, estimate=21, setting="GRADSTEP_OWNER_SESSIONS",
            ),
            "/v1/sessions",
        ),
        (
            TooManyRequests(
                "each may make 60,000 calls a minute here, of which one that is long counts as many",
                retry_after=23, limit=60_000, setting="GRADSTEP_OWNER_RATE",
            ),
            f"{_SESSION}/train",
        ),
        (
            TrainingFailed(
                "the process that was at it has ended; the session stands where its last checkpoint was", retry_after=2
            ),
            f"{_SESSION}/train",
        ),
    )
}  # fmt: skip

_ALWAYS: tuple[type[GradstepError], ...] = (NotAcceptable, InvalidInput)
_GROUPS: dict[str, tuple[type[GradstepError], ...]] = {
    "key": (Unauthorized,),
    "unknown": (NotFound,),
    "session": (SessionNotFound, SessionExpired, SessionCorrupt),
    "once": (RequestUnderWay, KeyReused),
    "body": (UnsupportedMediaType, BodyTooLarge, MalformedBody, LimitExceeded, QuotaExceeded, Full),
    "change": (RevisionMismatch, Busy, WrongPhase, RequestUnderWay, KeyReused, QuotaExceeded, Full),
    "past": (RevisionGone, Full),
    "failed": (TrainingFailed,),
    "phase": (WrongPhase,),
    "limit": (LimitExceeded,),
}
_ETAG = {"description": "The revision, as an entity tag.", "schema": {"type": "string"}, "example": '"7"'}
_CHANGED = {
    "ETag": _ETAG,
    "Content-Location": {"description": "Where this revision can be read.", "schema": {"type": "string"}},
}
_RETRY_AFTER = {"description": "In how many seconds to try again.", "schema": {"type": "integer"}}
_RATE = {
    "RateLimit": {
        "description": "How many calls are left, and in how many seconds as many again as ever: on all answers about "
        "sessions, where there is a limit.",
        "schema": {"type": "string"}, "example": '"calls";r=59971;t=23',
    },
    "RateLimit-Policy": {
        "description": "How many calls there are (`q`) in how many seconds (`w`).",
        "schema": {"type": "string"}, "example": '"calls";q=60000;w=60',
    },
}  # fmt: skip
_LOCATION = {"description": "Where the new session is.", "schema": {"type": "string"}}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_NPZ = {"application/x-npz": {"schema": {"type": "string", "format": "binary"}}}


def header(name: str, description: str, example: str) -> dict[str, Any]:
    """A header that a call looks at, as its operation in the OpenAPI document names it."""
    parameter = {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
    return {"parameters": [{**parameter, "description": description, "example": example}]}


def problems(*groups: str, snapshot: bool = False, not_modified: bool = False) -> dict[int | str, dict[str, Any]]:
    """The error answers of a call: those of every call, and of its groups (see `_GROUPS`)."""
    kinds = dict.fromkeys([*_ALWAYS, *(kind for group in groups for kind in _GROUPS[group])])
    kinds |= {TooManyRequests: None, Full: None, StoreAway: None, Stopping: None}
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        error, path = _EXAMPLES[kind]
        answer = responses.setdefault(
            STATUS[kind],
            {"description": kind.title, "content": {MEDIA_TYPE: {"schema": _PROBLEM, "examples": {}}}},
        )
        if issubclass(kind, Unavailable):
            answer["headers"] = {"Retry-After": _RETRY_AFTER}
        if kind is TooManyRequests:
            answer["headers"] |= _RATE
        example = {"summary": kind.title, "value": problem(error, path)}
        answer["content"][MEDIA_TYPE]["examples"][kind.slug] = example
    if snapshot:
        responses[200] = {"content": _NPZ, "headers": {"ETag": _ETAG}}
    if {"body", "change"} <= set(groups):
        responses.setdefault(200, {})["headers"] = _CHANGED
    if not_modified:
        responses[304] = {"description": "The client has this revision already"}
    return responses


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that whoever runs this server gave out. A session belongs to the key that made it.",
}


def need_key(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document that calls about sessions need a key."""
    document["components"]["securitySchemes"] = {"key": _KEY}
    refused = problems("key")[STATUS[Unauthorized]]
    challenge = {"description": "How to send a key.", "schema": {"type": "string"}, "example": "Bearer"}
    refused["headers"] = {"WWW-Authenticate": challenge}
    for path, operations in document["paths"].items():
        if path.startswith("/v1/sessions"):
            for operation in operations.values():
                operation["security"] = [{"key": []}]
                operation["responses"][str(STATUS[Unauthorized])] = refused


def tensor() -> dict[int | str, dict[str, Any]]:
    """The answers of the call that reads one tensor."""
    npy = {"application/x-npy": {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": npy, "headers": {"ETag": _ETAG}}, **problems("session", "past", "phase", "unknown")}


def explanation() -> dict[int | str, dict[str, Any]]:
    """The answers of the call that explains a number."""
    page = {"text/markdown": {"schema": {"type": "string"}}}
    return {200: {"content": page}, **problems("session", "past", "phase", "limit")}


def exported() -> dict[int | str, dict[str, Any]]:
    """The answers of the call that exports a session."""
    script = {"text/x-python": {"schema": {"type": "string"}, "example": _SCRIPT}}
    return {200: {"content": script}, **problems("session", "past")}


_SCRIPT = '''"""notebook, revision 0, epoch 0: in PyTorch."""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)

layers = {
    "output": nn.Linear(2, 1),
}
model = nn.Sequential(
    layers["output"], nn.Sigmoid(),
)
with torch.no_grad():
    layers["output"].weight.copy_(torch.tensor([[0.4, 0.45]]))
    layers["output"].bias.copy_(torch.tensor([0.6]))

loss_function = nn.MSELoss()

trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.SGD(trainable, lr=0.5)

inputs = torch.tensor([[0.05, 0.1]])
targets = torch.tensor([[0.01]])

outputs = model(inputs)
loss = loss_function(outputs, targets)
print("loss", loss.item())
optimizer.zero_grad()
loss.backward()
optimizer.step()
for name, layer in layers.items():
    print(name, dict(layer.named_parameters()))
'''


def forked() -> dict[int | str, dict[str, Any]]:
    """The answers of the call that forks a session."""
    return {201: {"headers": {"Location": _LOCATION, **_CHANGED}}, **problems("session", "body", "past", "once")}


_ENTRY = '{"event":"epoch","epoch":10,"steps":10,"loss":0.118,"gradient_norm":0.09,"learning_rate":0.5,"elapsed":0.001}'
_STREAMED = {
    "text/event-stream": {"schema": {"type": "string"}, "example": f"event: epoch\ndata: {_ENTRY}\nid: 10\n\n"},
    "application/jsonl": {"schema": {"type": "string"}, "example": f"{_ENTRY}\n"},
}
_RUN_LOCATION = {"description": "Where the run is.", "schema": {"type": "string"}}


def streamed(*groups: str) -> dict[int | str, dict[str, Any]]:
    """The answers of the call that follows a run."""
    nothing = {"description": "The run is over, and the client has had all of it"}
    return {200: {"content": _STREAMED}, 204: nothing, **problems(*groups)}


def accepted(*groups: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a call that begins a run."""
    return {202: {"headers": {"Location": _RUN_LOCATION}}, **problems(*groups)}


def trained(run: type) -> dict[int | str, dict[str, Any]]:
    """The answers of the call that trains."""
    responses = problems("session", "body", "change", "failed")
    responses[200] |= {"content": _STREAMED}
    applied = {"description": "`respond-async`", "schema": {"type": "string"}}
    headers = {"Location": _RUN_LOCATION, "Preference-Applied": applied}
    responses[202] = {"description": "It goes on by itself (`Prefer: respond-async`)", "model": run, "headers": headers}
    return responses


def create(dry_run: type) -> dict[int | str, dict[str, Any]]:
    """The answers of the call that makes a session."""
    return {
        200: {"description": "What it would make (`dry_run`)", "model": dry_run},
        201: {"headers": {"Location": _LOCATION, **_CHANGED}},
        **problems("body", "once"),
    }
