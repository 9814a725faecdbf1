"""Slips that are often made by hand, and the search for the one behind a wrong term.

A term is computed again with one slip in it, or in a term before it that was not written down. Most slips are one
thing taken for another: z for a, ∂L/∂a for ∂L/∂z, weights after their update for those before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from app.engine.handwork import (
    Key,
    Page,
    Step,
    Term,
    by_hand,
    compute,
    gradient_term,
    same_objects,
    update_term,
)
from app.engine.network import Config
from app.engine.spec import Array

Slip = Literal[
    "activation_derivative_omitted",
    "activation_omitted",
    "bias_omitted",
    "weight_updated_before_use",
    "weight_transposed",
    "bias_gradient_not_summed",
    "learning_rate_omitted",
    "update_added",
    "sign_flipped",
    "wrong_factor",
]
SLIPS: tuple[Slip, ...] = get_args(Slip)
_HOME = {"activation_derivative_omitted": "dL_dz", "activation_omitted": "a"}
MOST_SHARES = 64  # of samples, units and both, that are looked at one by one


@dataclass(frozen=True, slots=True)
class Made:
    """A term with a slip in it.

    Attributes:
        slip: which.
        term: the term in which it was made.
        result: what the term comes to.
        instead_of: the parent in whose place something else was taken; None where nothing was.
        took: what was taken.
        right: what should have been.
        factor: a wrong factor in words.
        share: whose share of a bias's gradient was taken for all of it.
        whole: whether a wrong factor is on all of the term; otherwise on its update alone.
    """

    slip: Slip
    term: Term
    result: Array
    instead_of: Key | None = None
    took: NDArray[Any] | None = None
    right: NDArray[Any] | None = None
    factor: str = ""
    share: str = ""
    whole: bool = True


def search(
    pages: Sequence[Page], found: Sequence[Term], explains: Callable[[Page, Array], bool]
) -> tuple[Made, Array] | None:
    """The first slip, in the order of `SLIPS`, that explains the last of these terms, and what that comes to with it.

    Args:
        pages: ways in which the terms may have been worked.
        found: the wrong term and those before it in which a slip may have been made, in the order of computation.
        explains: whether what the wrong term comes to on a page explains what was written.
    """
    distinct = _distinct(pages, found)
    for slip in SLIPS:
        for term in _likeliest_first(slip, found):
            for page in distinct:
                for made in versions(page, term, slip):
                    result = _carried(page, found, made)
                    if explains(page, result):
                        return made, result
    return None


def _distinct(pages: Sequence[Page], found: Sequence[Term]) -> list[Page]:
    """The pages on which these terms are worked differently; of those that are alike the one that allows most."""
    keys = [key for term in found for key in term.parents]
    alike = {}
    for page in pages:
        rounding = (page.rounds, page.jacobians) if len(found) > 1 else None
        alike[same_objects(page.sheet, keys), rounding] = page
    return list(alike.values())


def _likeliest_first(slip: Slip, found: Sequence[Term]) -> list[Term]:
    """The terms from the last to the first, those in which the slip is at home before the others."""
    backwards, home = list(reversed(found)), _HOME.get(slip)
    return sorted(backwards, key=lambda term: term.kind != home)


def most_open(config: Config, n: int) -> int:
    """How many terms before a wrong one are looked at: fewer where each of them takes long."""
    return 24 if by_hand(config, n) else 4


def open_terms(terms: Sequence[Term], written: dict[str, NDArray[np.bool_]], most: int) -> list[Term]:
    """The last of the terms, after at most so many of those that it is computed from and that were not all written.

    The nearest of them, in the order of computation.
    """
    *before, wrong = terms
    wanted, found = {key.name for key in wrong.parents}, [wrong]
    for term in reversed(before):
        whole = term.name in written and bool(written[term.name].all())
        if term.name in wanted and not whole and term.kind != "fact" and len(found) <= most:
            wanted.update(key.name for key in term.parents)
            found.append(term)
    return found[::-1]


def _carried(page: Page, found: Sequence[Term], made: Made) -> Array:
    """What the last term comes to when a slip was made in one of these, and the others are right."""
    sheet, result = dict(page.sheet), made.result
    changed: set[Key] = set()
    for term in found:
        if term is not made.term:
            if changed.isdisjoint(term.parents):
                continue
            result = compute(page.step, term, sheet)
        if term is not found[-1]:
            key, written = Key(term.name), page.written.get(term.name)
            changed.add(key)
            own = page.unwritten(term, result)
            sheet[key] = own if written is None else np.where(written, sheet[key], own)
    return result


def versions(page: Page, term: Term, slip: Slip) -> Iterator[Made]:
    """A term with a slip in it, in each way in which it can be made there."""
    step, sheet, kind, parents = page.step, page.sheet, term.kind, term.parents
    match slip:
        case "activation_derivative_omitted" if kind == "dL_dz":
            right = sheet[parents[1]] if len(parents) == 2 else None  # a large Jacobian is not written out
            yield Made(slip, term, sheet[parents[0]], took=sheet[parents[0]], right=right)
        case "activation_derivative_omitted" if parents and parents[0].name.endswith(".dL_dz"):
            yield _taken(page, term, slip, parents[0], sheet[Key(parents[0].name.removesuffix("z") + "a")])
        case "activation_omitted":
            yield from _without_activation(page, term)
        case "bias_omitted" if kind == "z" and len(parents) > 2:
            yield _taken(page, term, slip, parents[2], np.zeros_like(sheet[parents[2]]))
        case "weight_updated_before_use" if kind == "dL_da" and parents[1].when:
            yield _taken(page, term, slip, parents[1], _updated(page, parents[1].name))
        case "weight_transposed":
            yield from _transposed(page, term)
        case "bias_gradient_not_summed" if kind == "bias":
            yield from _shares(page, term)
        case "learning_rate_omitted" if kind == "next":
            yield Made(slip, term, compute(step, term, sheet, rate=1.0))
        case "update_added" if kind == "next":
            yield Made(slip, term, _moved(page, term, -1))
        case "sign_flipped":
            yield Made(slip, term, -compute(step, term, sheet))
        case "wrong_factor":
            yield from _times(page, term)


def _taken(page: Page, term: Term, slip: Slip, parent: Key, took: NDArray[Any]) -> Made:
    """A term for which one thing was taken in place of a parent."""
    result = compute(page.step, term, {**page.sheet, parent: took})
    return Made(slip, term, result, parent, took, page.sheet[parent])


def _without_activation(page: Page, term: Term) -> Iterator[Made]:
    """a = z, or z where a belongs."""
    sheet, names = page.sheet, page.step.config.network.names
    if term.kind == "a":
        yield Made("activation_omitted", term, sheet[term.parents[0]])
        return
    for parent in term.parents:
        layer, _, kind = (f"{names[-1]}.a" if parent.name == "outputs" else parent.name).partition(".")
        if kind == "a":
            yield _taken(page, term, "activation_omitted", parent, sheet[Key(f"{layer}.z")])


def _transposed(page: Page, term: Term) -> Iterator[Made]:
    """A square weight, or its gradient, with rows for columns."""
    if term.kind == "z" or (term.kind == "dL_da" and term.parents[1].when):
        weight = page.sheet[term.parents[1]]
        if _is_square(weight):
            yield _taken(page, term, "weight_transposed", term.parents[1], weight.T)
    elif term.parameter is not None and term.parameter.kind == "weight":
        right = compute(page.step, term, page.sheet)
        if _is_square(right):
            yield Made("weight_transposed", term, right.T)


def _is_square(matrix: Array) -> bool:
    units, inputs = matrix.shape
    return bool(units == inputs > 1)


def _shares(page: Page, term: Term) -> Iterator[Made]:
    """What one sample, one unit, or one unit for one sample adds to the gradient of a bias; they count from 1."""
    assert term.parameter is not None
    delta, shape = page.sheet[term.parents[0]], term.parameter.shape
    n, units = delta.shape
    shared = shape == (1,)
    parts: list[tuple[str, Any]] = [(f"sample {s + 1}", np.s_[s : s + 1]) for s in range(min(n, MOST_SHARES)) if n > 1]
    if shared and units > 1:
        parts += [(f"unit {j + 1}", np.s_[:, j]) for j in range(min(units, MOST_SHARES))]
        if n > 1:
            some = [divmod(index, units) for index in range(min(n * units, MOST_SHARES))]
            parts += [(f"unit {j + 1} for sample {s + 1}", np.s_[s : s + 1, j]) for s, j in some]
    for whose, part in parts:
        share: Array = delta[part].sum(axis=None if shared else 0).reshape(shape)
        yield Made("bias_gradient_not_summed", term, share, share=whose)


def _moved(page: Page, term: Term, times: float) -> Array:
    """An updated value, with so many times the update."""
    before, right = page.sheet[term.parents[0]], compute(page.step, term, page.sheet)
    moved: Array = before + times * (right - before)
    return moved


def _times(page: Page, term: Term) -> Iterator[Made]:
    right = compute(page.step, term, page.sheet)
    for factor, name in _factors(page.step):
        if term.kind == "next":
            before = page.sheet[term.parents[0]]
            yield Made("wrong_factor", term, before + factor * (right - before), factor=name, whole=False)
        yield Made("wrong_factor", term, factor * right, factor=name)


def _factors(step: Step) -> Iterator[tuple[float, str]]:
    """2, 1/2, and the number of samples, or of what the loss is a mean over, and one over it."""
    yield from ((2.0, "2"), (0.5, "1/2"))
    assert step.done.inputs is not None
    n, outputs = len(step.done.inputs), step.config.network.sizes[-1]
    counts = {n: "the number of samples"}
    if not step.config.loss.per_sample:
        counts.setdefault(n * outputs, "the number of samples times that of outputs")
    for count, what in counts.items():
        if count > 2:
            yield from ((float(count), f"{count} ({what})"), (1 / count, f"1/{count} (one over {what})"))


def _updated(page: Page, weight: str) -> Array:
    """A weight after its update, by the worker's own gradient; the norm to clip by, not come to yet, is the right one.

    The gradient need not be on the sheet: what it is computed from is.
    """
    step, config = page.step, page.step.config
    parameter = config.network.parameters[config.network.by_name[weight]]
    sheet, gradient, update = dict(page.sheet), gradient_term(config, parameter), update_term(config, parameter)
    key = Key(gradient.name)
    if key not in sheet:
        sheet[key] = page.unwritten(gradient, compute(step, gradient, sheet))
    if len(update.parents) > 2:
        sheet[update.parents[2]] = step.exact("gradient_norm")
    return page.unwritten(update, compute(step, update, sheet))
