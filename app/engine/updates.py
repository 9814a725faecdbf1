"""Where the value of a parameter comes from: the update that made it, an initialiser, the config, or a hand.

An update's formula is the optimizer's own rule, over the numbers that it starts from: what its options, the clipping
and the schedule put in is there, and what they leave out is not.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from app.engine import names, passes
from app.engine.explanation import Explanation, Letter, Term, computable
from app.engine.expressions import Add, Call, Div, Expression, Mul, Neg, Number, Pow, Symbol, mapped
from app.engine.initializers import Even, Initializer
from app.engine.letters import NORM, Letters, Numbers
from app.engine.names import Address
from app.engine.network import Config, Parameter
from app.engine.notation import plain_name, symbol_names
from app.engine.optimizers import After, Before, Optimizer
from app.engine.state import State

_ETA = Symbol("eta")
_CLOSE = {"float64": 1e-13, "float32": 5e-7}  # parts of the value, now or before, within which a formula gives it


def explain_next(config: Config, state: State, address: Address) -> Explanation:
    """What the next step makes of an entry of a parameter.

    Raises:
        WrongPhase: there are no gradients to step from.
    """
    value = float(names.read(config, state, address)[address.index])
    update = _Update(config, state, address)
    present = update.parameter_term
    letter = _next(update.letter)
    if update.why_unchanged is not None:
        title = f"{present.of} stays as it is: {update.why_unchanged}"
        return Explanation(str(address), "update", title, letter, present.symbol, (present,), value)
    title = f"{present.of} after {update.title}"
    return update.explain(address, "update", title, letter, update.rule.p, value, present.value)


def explain_slot(config: Config, before: State, address: Address) -> Explanation:
    """What an entry of an optimizer's slot becomes by the step from a state with gradients.

    Raises:
        WrongPhase: there are no gradients to step from; or the parameter is not stepped, and the slot does not exist.
    """
    update = _Update(config, before, address)
    slot = address.slot
    letter = _next(update.slot_letter(slot))
    if update.why_unchanged is not None:
        value = names.read(config, before, address)[address.index].item()  # a count is an int
        kept, title = update.slot_term(slot), f"{address} stays as it is: {update.why_unchanged}"
        return Explanation(str(address), "slot", title, letter, kept.symbol, (kept,), value)
    after = passes.update(config, before, [update.parameter.name])
    value = names.read(config, after, address)[address.index].item()
    kept = update.slot_term(slot)
    formula = kept.symbol + 1 if slot == "step" else update.rule.slots[slot]
    return update.explain(address, "slot", f"{address} after {update.title}", letter, formula, value, kept.value)


def looking_back(explained: Explanation) -> Explanation:
    """An update told after it was made: what it came to has the number's own letter, and what was before is `prior`."""
    after = explained.symbol
    assert isinstance(after, Symbol)
    now = replace(after, sub=str(after.sub).removesuffix("next").removesuffix(",") or None)
    prior = replace(now, sub=f"{now.sub},prior" if now.sub else "prior")

    def letter(symbol: Letter) -> Letter:
        return prior if symbol == now else symbol

    terms = tuple(replace(term, symbol=letter(term.symbol)) for term in explained.terms)
    formula, stable = explained.formula, explained.stable
    return replace(
        explained, symbol=now, terms=terms, formula=mapped(formula, letter),
        stable=None if stable is None else mapped(stable, letter),
    )  # fmt: skip


def explain_unset_slot(config: Config, address: Address) -> Explanation:
    """An entry of a slot that no update has set yet."""
    value: float = 0
    if address.slot != "step":
        value = float(np.asarray(config.optimizer.initial(address.slot) or 0.0, config.dtype))
    letter = _slot_letter(config, Letters(config).parameter(_parameter(address), _entry(address)), address.slot)
    return _leaf(address, "slot", f"{address} as it starts, before any update", letter, value)


def explain_initial(config: Config, address: Address, value: float, init: Any) -> Explanation:
    """An entry of a parameter as it was at the start: `init` is a number, numbers, or the initialiser that drew it."""
    parameter = _parameter(address)
    letter = Letters(config).parameter(parameter, address.index)
    if not isinstance(init, Initializer):
        return _leaf(address, "initial", f"{address}, given in the config", letter, value)
    how = init.type_name()
    spread = init.spread(parameter.shape, config.network.sizes[parameter.layer])
    if spread is None:
        return _leaf(address, "initial", f"{address}, set by the initialiser {how}", letter, value)
    title = f"{address}, drawn by the initialiser {how}: "
    if isinstance(spread, Even):
        title += f"uniform from {spread.low:.5g} to {spread.high:.5g}"
        low, high, drawn = Symbol("low"), Symbol("high"), Symbol("u")
        formula, letters, start, width = low + (high - low) * drawn, (low, high), spread.low, spread.high - spread.low
    else:
        title += f"normal with mean {spread.mean:.5g} and standard deviation {spread.std:.5g}"
        mean, std, drawn = Symbol("mean"), Symbol("std"), Symbol("n")
        formula, letters, start, width = mean + std * drawn, (mean, std), spread.mean, spread.std
    terms = [Term(None, symbol, number) for symbol, number in zip(letters, spread, strict=True)]
    terms.append(Term(None, drawn, (value - start) / width if width else 0.0))
    number = Number(value, str(address))
    return Explanation(str(address), "initial", title, letter, formula, tuple(terms), value, number)


def explain_edit(config: Config, address: Address, value: float) -> Explanation:
    """An entry of a parameter that was set by hand."""
    letter = Letters(config).parameter(_parameter(address), address.index)
    return _leaf(address, "edit", f"{address}, set by hand", letter, value)


class _Update:
    """The update of one entry of a parameter, from a state with gradients."""

    def __init__(self, config: Config, state: State, address: Address) -> None:
        self.config, self.state = config, state
        self.optimizer: Optimizer = config.optimizer
        self.parameter, self.index = _parameter(address), _entry(address)
        self.numbers = Numbers(config, state)
        self.letter = self.numbers.parameter(self.parameter, self.index)
        self.t = state.updates[self.parameter.index] + 1

    @property
    def why_unchanged(self) -> str | None:
        """Why the step leaves the parameter as it is; None where it does not."""
        if not self.parameter.trainable:
            return "its layer is frozen"
        if self.parameter.name in self.state.stepped:
            return "it has already been stepped from this gradient"
        return None

    @property
    def title(self) -> str:
        """The update in words."""
        units = self.config.network.layers[self.parameter.layer].units
        shared = f", shared by {units} units" if self.parameter.shape == (1,) and units > 1 else ""
        return f"update {self.t} by {self.optimizer.type_name()}{shared}"

    @cached_property
    def parameter_term(self) -> Term:
        """The entry as it is."""
        return self.numbers.of_parameter(self.parameter, self.state.parameters, *self.index)

    @cached_property
    def gradient_term(self) -> Term:
        """Its gradient."""
        return self.numbers.of_gradient(self.parameter, *self.index)

    @cached_property
    def rule(self) -> After:
        """What the optimizer does with it."""
        g: Expression = self.gradient_term.symbol
        if self.optimizer.clip is not None:
            g = self.optimizer.clip.rule(g, NORM)
        slots = {slot: self.slot_letter(slot) for slot in self.optimizer.slot_names()}
        schedule = self.optimizer.schedule
        rate: Expression = schedule.rule(self.state.steps) if schedule else _ETA
        return self.optimizer.rule(Before(self.letter, g, slots, rate), self.t == 1)

    def explain(
        self, address: Address, kind: str, title: str, letter: Symbol, formula: Expression, value: float, before: float
    ) -> Explanation:
        """The explanation, with those of the terms that are in its formula; `before` is the value before the update."""
        used = symbol_names(formula)
        terms = tuple(term for term in self._terms() if plain_name(term.symbol) in used)
        # The update takes squares as products, which do not raise where they overflow, and in its own order.
        candidates = (make(formula) for make in (lambda e: e, _with_products))
        close = _CLOSE[self.config.dtype] * max(abs(value), abs(before))
        stable = computable(candidates, terms, value, close)
        return Explanation(
            str(address), kind, title, letter, formula, terms, value, None if stable is formula else stable
        )

    def _terms(self) -> list[Term]:
        """All numbers that a rule may be made of."""
        terms = [self.parameter_term, self.gradient_term, *map(self.slot_term, names.slot_names(self.config))]
        clip, schedule = self.optimizer.clip, self.optimizer.schedule
        if clip is not None and clip.type == "norm":
            address = Address("gradient_norm", "gradient_norm")
            terms.append(Term("gradient_norm", NORM, float(names.read(self.config, self.state, address))))
        letters = self.optimizer.letters(self.t)
        if schedule is not None:
            letters |= schedule.letters(self.state.steps)
        return [*terms, *(Term(None, symbol, value) for symbol, value in letters.items())]

    def slot_letter(self, slot: str) -> Symbol:
        """The letter of a slot's entry before the update."""
        return _slot_letter(self.config, self.letter, slot)

    def slot_term(self, slot: str) -> Term:
        """A slot's entry before the update."""
        letter, name = self.slot_letter(slot), f"{self.parameter.name}.state.{slot}"
        if slot == "step":
            return Term(name, letter, self.t - 1)
        at = self.optimizer.slot_names().index(slot)
        value = float(self.parameter.view(self.state.slots[at])[self.index])
        return Term(name + "".join(f"[{i}]" for i in self.index), letter, value)


def _with_products(e: Expression) -> Expression:
    """The tree with x * x for each square of x."""
    match e:
        case Pow(base, Number(2.0)):
            square = _with_products(base)
            return Mul((square, square))
        case Add(parts):
            return Add(tuple(map(_with_products, parts)))
        case Mul(parts):
            return Mul(tuple(map(_with_products, parts)))
        case Call(function, parts):
            return Call(function, tuple(map(_with_products, parts)))
        case Neg(operand):
            return Neg(_with_products(operand))
        case Div(left, right):
            return Div(_with_products(left), _with_products(right))
    return e


def _leaf(address: Address, kind: str, title: str, letter: Symbol, value: float) -> Explanation:
    """A number that is made of no others."""
    return Explanation(str(address), kind, title, letter, Number(value, str(address)), (), value)


def _parameter(address: Address) -> Parameter:
    assert address.parameter is not None
    return address.parameter


def _entry(address: Address) -> tuple[int, ...]:
    """The index of the parameter's entry; the first for the count of updates, which is the tensor's."""
    return (0,) * len(_parameter(address).shape) if address.slot == "step" else address.index


def _slot_letter(config: Config, parameter: Symbol, slot: str) -> Symbol:
    """The letter of an optimizer's slot, with the indices of the parameter's."""
    if slot == "step":
        return Symbol("step")
    letter = config.optimizer.slot_letters.get(slot, Symbol(slot))
    return Symbol(letter.name, parameter.sup, ",".join(filter(None, (letter.sub, parameter.sub))) or None)


def _next(letter: Symbol) -> Symbol:
    """The letter of what something becomes."""
    return Symbol(letter.name, letter.sup, f"{letter.sub},next" if letter.sub else "next")
