"""Random hand-sized networks, worked by hand rightly and with slips, and graded."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import numpy as np

from app.engine.network import Config
from app.engine.state import State
from app.engine.verify import Verified, Verify, verify

from .hand import Hand, Mistake, Numbers, mistakes
from .networks import make, start
from .random_configs import ACTIVATIONS, CLIPS, LOSSES, OPTIMIZERS, targets

WAYS = ("rounded", "digits", "school")
DECIMALS = (2, 3, 4, 5, 6, None)
CLEAR, SAME = 3.0, 1.0  # units: a slip that moves a number by less is left out; what differs by less is the same
ALL_DIGITS = 12
SEEN = ("named", "no telling apart", "named wrongly", "not named", "first wrong missed", "later alarm")


def random_fields(rng: np.random.Generator, optimizers: bool = False) -> dict[str, Any]:
    """A network of 1 to 3 layers of 1 to 4 units over 1 to 3 samples, with every number explicit."""
    loss = LOSSES[rng.integers(len(LOSSES))]
    count, inputs, n = rng.integers(1, 4), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    layers: list[dict[str, Any]] = []
    below = inputs
    for index in range(count):
        kinds = ACTIVATIONS
        if index == count - 1 and loss["type"] == "bce":
            kinds = [kind for kind in ACTIVATIONS if kind["type"] in ("sigmoid", "softmax")]
        activation = kinds[rng.integers(len(kinds))]
        units = int(rng.integers(2 if activation["type"] == "softmax" else 1, 5))
        bias = ["per_unit", "shared", "none"][rng.integers(3)]
        shape = 1 if bias == "shared" else units
        init: dict[str, Any] = {"weight": rng.uniform(-1, 1, (units, below)).round(2).tolist()}
        if bias != "none":
            init["bias"] = rng.uniform(-1, 1, shape).round(2).tolist()
        layers.append({"name": f"l{index}", "units": units, "activation": activation, "bias": bias, "init": init})
        below = units
    if count > 1 and rng.random() < 0.1:
        layers[0]["trainable"] = False
    optimizer: dict[str, Any] = {"type": "sgd", "learning_rate": float(rng.choice([0.1, 0.3, 0.5]))}
    if optimizers:
        optimizer = {"learning_rate": 0.05, **OPTIMIZERS[rng.integers(len(OPTIMIZERS))]}
        optimizer["clip"] = CLIPS[rng.integers(len(CLIPS))]
    kind = ["classes", "probabilities"][rng.integers(2)]
    return {
        "network": {"inputs": inputs, "layers": layers},
        "loss": {**loss, "reduction": ["mean", "sum"][rng.integers(2)]},
        "optimizer": optimizer,
        "data": {
            "type": "inline",
            "inputs": rng.uniform(-1, 1, (n, inputs)).round(2).tolist(),
            "targets": targets(loss["type"], rng, n, below, kind),
        },
    }


def random_networks(seed: int, optimizers: bool = False) -> Iterator[tuple[dict[str, Any], np.random.Generator]]:
    """Networks without end, each with what to draw more numbers from."""
    rng = np.random.default_rng(seed)
    while True:
        yield random_fields(rng, optimizers), rng


def sent(written: dict[str, Numbers], names: list[str], decimals: int | None) -> dict[str, Any]:
    """Some of what was written, as it is sent: strings, or numbers with all their digits."""

    def entry(number: Any) -> Any:
        if isinstance(number, list):
            return [entry(item) for item in number]
        return float(number) if decimals is None else f"{number:.{decimals}f}"

    return {name: entry(written[name].tolist()) for name in names}


def grade(config: Config, state: State, rows: Any, values: dict[str, Any], **fields: Any) -> Verified:
    return verify(config, state, rows, Verify.model_validate({"values": values, **fields}))


def subset(rng: np.random.Generator, names: list[str]) -> list[str]:
    """All names, or some of them."""
    if rng.random() < 0.4:
        return names
    share = rng.choice([0.1, 0.3, 0.6])
    some = [name for name in names if rng.random() < share]
    return some or [names[rng.integers(len(names))]]


def finite(hand: Hand) -> bool:
    return all(np.isfinite(numbers).all() for numbers in hand.written.values())


class Trial:
    """One network, and what its grading has come to, in `counts`."""

    def __init__(self, fields: dict[str, Any], rng: np.random.Generator, counts: Counter[str]) -> None:
        self.fields, self.rng, self.counts = fields, rng, counts
        self.config = make(**fields)
        self.state, self.data = start(self.config)
        self.exact = Hand(fields, None).work()

    def hand(self, decimals: int | None, carries: str, mistake: Mistake | None = None) -> Hand:
        with np.errstate(all="ignore"):
            return Hand(self.fields, decimals, carries, mistake or Mistake("", "")).work()

    def graded(self, hand: Hand, names: list[str], decimals: int | None) -> Verified:
        values = sent(hand.written, names, decimals)
        return grade(self.config, self.state, self.data.train, values, decimals=decimals or ALL_DIGITS)

    def honest(self, decimals: int | None, carries: str) -> list[str]:
        """Grade right work; the names of what is called wrong."""
        hand = self.hand(decimals, carries)
        if not finite(hand):
            return []
        names = subset(self.rng, list(hand.written))
        graded = self.graded(hand, names, decimals)
        alarms = [item["name"] for item in graded["items"] if item["status"] not in ("correct", "rounded")]
        self.counts[f"honest {carries} {decimals}"] += len(graded["items"])
        self.counts[f"alarms {carries} {decimals}"] += len(alarms)
        return alarms

    def spoilt(self, mistake: Mistake, decimals: int | None, carries: str) -> str:
        """Grade work with one mistake; what came of it."""
        right, wrong = self.hand(decimals, carries), self.hand(decimals, carries, mistake)
        if not (finite(right) and finite(wrong)):
            return "not finite"
        names = subset(self.rng, list(wrong.written))
        unit = 10.0**-decimals if decimals else 1e-8
        off = {name: np.abs(wrong.written[name] - right.written[name]) / unit for name in names}
        first = next((name for name in names if off[name].max() > 0.9), None)
        if first is None or off[first].max() < CLEAR:
            return "too small to see"
        graded = self.graded(wrong, names, decimals)
        later = names[names.index(first) + 1 :]
        if mistake.term in names and any(
            item["status"] == "wrong" and item["name"] in later for item in graded["items"]
        ):
            return "later alarm"
        found = graded["first_wrong"]
        if found is None or found["name"] != first:
            return "first wrong missed" if len(names) == len(wrong.written) else "too small behind what was not sent"
        cause = graded["likely_cause"]
        if cause is None:
            return "not named"
        if cause["slip"] == mistake.slip:
            return "named"
        return "no telling apart" if self.same(cause, first, wrong, decimals, carries) else "named wrongly"

    def same(self, cause: Any, first: str, wrong: Hand, decimals: int | None, carries: str) -> bool:
        """Whether some mistake of the kind that was named gives the same numbers at this precision."""
        unit = 10.0**-decimals if decimals else 1e-8
        places = [tuple(item["index"]) for item in cause["items"]]
        for other in mistakes(self.fields):
            if other.slip != cause["slip"]:
                continue
            numbers = self.hand(decimals, carries, other).written[first]
            if all(abs(numbers[at] - wrong.written[first][at]) <= SAME * unit for at in places):
                return True
        return False


def campaign(networks: int, seed: int, slips: int, *, optimizers: bool = False) -> tuple[Counter[str], list[str]]:
    """Grade right work and so many slips on each of some networks: the counts, and what went wrong, to read."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    for fields, rng in islice(random_networks(seed, optimizers), networks):
        with np.errstate(all="ignore"):
            trial = Trial(fields, rng, counts)
        if not finite(trial.exact):
            continue
        for decimals, carries in product(DECIMALS, WAYS):
            if decimals or carries == "rounded":
                alarms = trial.honest(decimals, carries)
                failures += [f"alarm at {name} of {fields}, {carries} to {decimals}" for name in alarms]
        possible = [mistake for mistake in mistakes(fields) if can_be_made(fields, mistake)]
        for index in rng.permutation(len(possible))[:slips]:
            mistake, decimals, carries = (
                possible[index],
                DECIMALS[rng.integers(len(DECIMALS))],
                WAYS[rng.integers(len(WAYS))],
            )
            outcome = trial.spoilt(mistake, decimals, carries)
            counts[outcome] += 1
            if outcome in SEEN[2:]:
                failures.append(f"{outcome}: {mistake} in {fields}, {carries} to {decimals}")
    return counts, failures


def blamed(networks: int, seed: int, decimals: int) -> tuple[int, int]:
    """Of random wrong numbers, each sent alone: how many there were, and behind how many a slip was found."""
    wrong = found = 0
    for fields, rng in islice(random_networks(seed), networks):
        with np.errstate(all="ignore"):
            trial = Trial(fields, rng, Counter())
        for name in rng.choice(list(trial.exact.written), 4) if finite(trial.exact) else ():
            right = trial.exact.written[name]
            index = tuple(int(rng.integers(size)) for size in right.shape)
            number = float(right[index]) * rng.uniform(0.2, 2)
            values = {name + "".join(f"[{i}]" for i in index): f"{number:.{decimals}f}"}
            graded = grade(trial.config, trial.state, trial.data.train, values)
            wrong += graded["first_wrong"] is not None
            if (cause := graded["likely_cause"]) is not None:
                found += 1
                assert abs(cause["value"] - graded["items"][0]["given"]) <= 0.51 * 10**-decimals  # type: ignore[operator]
    return wrong, found


def can_be_made(fields: dict[str, Any], mistake: Mistake) -> bool:
    """Whether somebody can make this mistake, and somebody else can see it.

    No weight is updated before there is a norm to clip by. The shared bias of a softmax has a gradient of 0, but for
    the last bits of a computer's numbers: where these are divided by their own size, any update is as good as another.
    """
    by_norm = (fields["optimizer"].get("clip") or {}).get("type") == "norm"
    if by_norm and mistake.slip == "weight_updated_before_use":
        return False
    layer = next((layer for layer in fields["network"]["layers"] if mistake.term == f"{layer['name']}.bias.next"), None)
    zero = layer is not None and layer["bias"] == "shared" and layer["activation"]["type"] == "softmax"
    return not (zero and fields["optimizer"]["type"] != "sgd")
