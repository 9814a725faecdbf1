"""Conditions on which a training stops before the update that it would spoil."""

from typing import Annotated, Literal

from pydantic import Field

from app.engine.spec import BareName, Spec


class Nonfinite(Spec):
    """A loss, gradient, parameter or optimizer slot would be NaN or infinite. Always on, asked for or not."""

    type: Literal["nonfinite"] = "nonfinite"


AnyStop = Annotated[Nonfinite, Field(), BareName()]
