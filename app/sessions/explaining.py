"""Explanations of a session's numbers: those of a pass from the state alone, those of a parameter from its history."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
import orjson

from app.engine import cost, names, updates
from app.engine import explain as passes_explained
from app.engine.chain import ledger
from app.engine.explanation import Explanation, SetBy, Term
from app.engine.expressions import Number
from app.engine.names import Address
from app.engine.network import Parameter
from app.engine.state import State
from app.errors import LimitExceeded, WrongPhase
from app.sessions.operations import Step, Train
from app.sessions.origins import Origin, When, before_last_step, origin, when_backward, when_forward
from app.sessions.replay import INIT_BYTE_WORK
from app.sessions.revisions import Revision, Revisions
from app.sessions.service import Sessions
from app.sessions.session import Fork, Session, live_config, with_init

MAX_WORKED = 2_000  # numbers of a worked example
POINTER = "?of"
_NUMBER_WORK, _TERM_WORK = 100_000, 10_000  # to explain a number, and each term of it
_REVISION_WORK = 1_500  # to look at a revision for what set a number


class Explaining:
    """What explains the numbers of one session as it stands for a reader."""

    def __init__(self, sessions: Sessions, session: Session, revisions: Revisions) -> None:
        self.sessions, self.session = sessions, session
        self.revisions = revisions[:]  # as they are now, whatever changes while something is computed again
        self.config, self.state = session.config, session.state
        self.index = revisions.find(session.revision)
        self._before: dict[Origin, State] = {}
        self._when: dict[tuple[int, bool], When | None] = {}

    async def explain(self, of: str, max_samples: int, max_paths: int) -> Explanation:
        """Where a number comes from.

        Raises:
            InvalidInput: nothing has this name.
            WrongPhase: it has not been computed yet.
            LimitExceeded: it has too many terms.
        """
        address = names.find(self.config, of, POINTER)
        if address.parameter is None or address.part == "gradient":
            work = self._work(address, max_samples, max_paths)
            return await self.sessions.read(work, partial(self._explain_pass, address, max_samples, max_paths))
        names.check_index(names.shape(self.config, address, self.state), address, POINTER)
        make: Callable[[], Explanation]
        if address.part == "next":
            make = partial(updates.explain_next, self.config, self.state, address)
        else:
            names.read(self.config, self.state, address)
            make = await self._kept(address, address.parameter)
        work = _NUMBER_WORK + 2 * cost.update_work(self.config) + INIT_BYTE_WORK * len(self.session.init_json)
        return await self.sessions.read(work, make)

    async def worked_example(self) -> list[Explanation]:
        """Every number of the present step in the order of computation, its update included.

        Raises:
            WrongPhase: there is no step yet.
            LimitExceeded: it has too many numbers.
        """
        config, state = self.config, self.state
        if state.inputs is None:
            raise WrongPhase("there is no step to explain yet", "forward")
        count = passes_explained.count(config, state) + config.network.parameter_count
        _check("the count of numbers in the worked example", count, MAX_WORKED)
        explainer = passes_explained.Explainer(config, state)
        terms = sum(map(explainer.most_terms, passes_explained.everything(config, state)))
        _check("the count of terms in the worked example", terms, passes_explained.MAX_TERMS)
        makers: list[Callable[[], Explanation]] = [
            partial(self._explain_pass, address) for address in passes_explained.everything(config, state)
        ]
        if state.gradients is not None and state.backwarded == len(config.network.layers):
            for parameter in filter(lambda parameter: parameter.trainable, config.network.parameters):
                addresses = [names.find(config, parameter.name, POINTER).at(*i) for i in np.ndindex(parameter.shape)]
                if state.phase == "backward" and parameter.name not in state.stepped:
                    makers += [partial(updates.explain_next, config, state, _next_of(one)) for one in addresses]
                else:
                    makers += [await self._kept(one, parameter) for one in addresses]
        work = count * (_NUMBER_WORK + cost.update_work(config)) + terms * _TERM_WORK
        return await self.sessions.read(work, lambda: [make() for make in makers])

    def _explain_pass(self, address: Address, max_samples: int = 0, max_paths: int = 0) -> Explanation:
        explained = passes_explained.explain(self.config, self.state, address, POINTER)
        if max_samples and address.part == "gradient":
            explained = replace(explained, chain=ledger(self.config, self.state, address, max_samples, max_paths))
        return self._dated(explained)

    def _work(self, address: Address, max_samples: int, max_paths: int) -> int:
        """About what an explanation costs, in the units of `app.engine.cost`."""
        terms = min(passes_explained.Explainer(self.config, self.state).most_terms(address), passes_explained.MAX_TERMS)
        paths = 0
        if address.part == "gradient" and address.layer is not None and self.state.inputs is not None:
            above = [layer.units for layer in self.config.network.layers[address.layer :]]
            paths = min(len(self.state.inputs), max_samples) * min(prod(above), max_paths) * len(above)
        return _NUMBER_WORK + _TERM_WORK * (terms + 2 * paths)

    async def _kept(self, address: Address, parameter: Parameter) -> Callable[[], Explanation]:
        """What explains a parameter's value, or a slot's, by the change that set it."""
        find = partial(origin, self.revisions, self.index, self.session.epoch, address)
        place = await self.sessions.read(_REVISION_WORK * self.index, find)
        revision = self.revisions[place.position]
        if revision.operation in (Step.operation, Train.operation):
            before = await self._before_update(place)
            return partial(self._explain_update, place, before, address)
        return partial(self._explain_set, place, address, parameter)

    def _explain_set(self, place: Origin, address: Address, parameter: Parameter) -> Explanation:
        revision = self.revisions[place.position]
        config, value = live_config(revision.config_json), names.entry(self.config, self.state, address, POINTER)
        if address.part == "state":
            explained = updates.explain_unset_slot(config, address)
        elif _starts_anew(revision):
            init = getattr(with_init(self.session).network.layers[parameter.layer].init, parameter.kind)
            explained = updates.explain_initial(config, address, value, init)
        else:
            explained = updates.explain_edit(config, address, value)
        unset = address.part == "state" and not revision.state.updates[parameter.index] and explained.value == value
        if revision.operation in ("fork", "import") and not _starts_anew(revision) and not unset:
            title, formula = _taken_over(revision, address), Number(value, str(address))
            explained = replace(explained, kind=revision.operation, title=title, formula=formula, value=value)
        return replace(explained, set_by=SetBy(revision.number, revision.operation))

    def _explain_update(self, place: Origin, before: State, address: Address) -> Explanation:
        config = live_config(self.revisions[place.position - 1].config_json)
        if address.part == "state":
            explained = updates.explain_slot(config, before, address)
        else:
            explained = replace(updates.explain_next(config, before, _next_of(address)), of=str(address))
        revision = self.revisions[place.position]
        started = before_last_step(self.revisions, place.position, place.epoch)
        computed = When(self.revisions.number(place.position - 1), None)
        if revision.operation == Train.operation:
            computed = When(revision.number, place.epoch)
        explained = updates.looking_back(explained)
        terms = tuple(_at(term, computed if _is_gradient(term) else started) for term in explained.terms)
        return replace(explained, terms=terms, set_by=SetBy(revision.number, revision.operation))

    async def _before_update(self, place: Origin) -> State:
        """The state whose update set a number: after its backward pass, before its step."""
        if place not in self._before:
            number = self.revisions.number(place.position)
            self._before[place] = await self.sessions.past.before_update(self.session, number, place.epoch)
        return self._before[place]

    def _dated(self, explained: Explanation) -> Explanation:
        """Say of the parameters that a pass used when they were as it used them, where they are not so now."""
        backward = ".dL_da[" in explained.of
        vector = self.state.backward_used if backward else self.state.used
        if vector is None or vector is self.state.parameters:
            return explained
        return replace(explained, terms=tuple(self._date(term, backward=backward) for term in explained.terms))

    def _date(self, term: Term, *, backward: bool) -> Term:
        if term.of is None:
            return term
        address = names.find(self.config, term.of, POINTER)
        parameter = address.parameter
        if parameter is None or address.part or parameter.view(self.state.parameters)[address.index] == term.value:
            return term
        used = parameter.layer, backward
        if used not in self._when:
            find = when_backward if backward else when_forward
            self._when[used] = find(self.revisions, self.index, self.session.epoch, parameter.layer)
        return _at(term, self._when[used])


def _check(what: str, estimate: int, limit: int) -> None:
    if estimate > limit:
        raise LimitExceeded(POINTER, what, limit=limit, estimate=estimate)


def _at(term: Term, when: When | None) -> Term:
    if term.of is None:
        return term
    return replace(term, of=None) if when is None else replace(term, revision=when.revision, epoch=when.epoch)


def _is_gradient(term: Term) -> bool:
    return term.of is not None and (".gradient[" in term.of or term.of == "gradient_norm")


def _next_of(address: Address) -> Address:
    return replace(address, tensor=f"{address.tensor}.next", part="next")


def _starts_anew(revision: Revision) -> bool:
    """Whether its numbers are drawn: a sweep's fork may have a seed of its own."""
    if revision.operation == "fork":
        return "seed" in orjson.loads(revision.arguments).get("settings", {})
    return revision.operation == "create"


def _taken_over(revision: Revision, address: Address) -> str:
    if revision.operation == "import":
        return f"{address}, as it was in the document that this session was made from"
    arguments = orjson.loads(revision.arguments)
    fork = Fork(*(arguments[name] for name in Fork._fields))
    place = f"revision {fork.revision}" if fork.epoch is None else f"the end of epoch {fork.epoch}"
    return f"{address}, as it was at {place} of the session that this one was forked from"
