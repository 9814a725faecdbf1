"""What a step would do, without doing it."""

from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from app.engine import passes
from app.engine.spec import Array, Model
from app.engine.state import carry_slots
from app.sessions.edits import OptimizerPatch, with_optimizer
from app.sessions.session import Session, live_config


class Moved(NamedTuple):
    """A parameter before and after a step, and the difference."""

    before: Array
    after: Array
    update: Array


class Preview(Model):
    """Which parameters to step (default: as `step`), and under which optimizer (default: the session's own).

    Options that are not named are the session's; another `type` starts from its defaults and with empty slots.
    """

    optimizer: OptimizerPatch = None
    parameters: Annotated[list[str], Field(min_length=1, max_length=2000)] | None = None

    def run(self, session: Session) -> tuple[dict[str, Moved], float]:
        """Each parameter that would move, by name, and the norm of the gradients.

        Raises:
            InvalidInput: there is no such optimizer or parameter.
            WrongPhase: there are no gradients to step from.
        """
        config, state = session.config, session.state
        if "optimizer" in self.model_fields_set:
            after_config = live_config(with_optimizer(session.config_json, self.optimizer))
            config, state = after_config, carry_slots(config, after_config, state)
        chosen = passes.check_update(config, state, self.parameters)
        after = passes.update_these(config, state, chosen)
        moved: dict[str, Any] = {}
        assert state.gradients is not None
        with np.errstate(all="ignore"):
            for parameter in (config.network.parameters[index] for index in chosen):
                before, now = parameter.view(state.parameters), parameter.view(after.parameters)
                moved[parameter.name] = Moved(before, now, now - before)
            return moved, passes.Norm(config, state.gradients)()
