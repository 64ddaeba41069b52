"""What requests bring, limited and typed; a key that is not expected is an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from visrun.config.sweeper import AUTO, USUAL_TRIALS
from visrun.web.guard import MOST_BYTES

Text = Annotated[str, Field(max_length=8192)]
Scalar = Text | bool | int | float | None
Count = int | Annotated[str, Field(max_length=64)]  # a text is refused in words
Ticket = Annotated[str, Field(pattern=r"^[0-9a-f-]{16,64}$")]


class Body(BaseModel):
    """What a request brings; a key that is not expected is an error."""

    model_config = ConfigDict(extra="forbid")


class State(Body):
    """A form: what the user picked and touched."""

    task: Annotated[str, Field(max_length=64)]
    model: Annotated[str, Field(max_length=128)] | None = None
    touched: Annotated[dict[str, Scalar | list[Scalar]], Field(max_length=200)] = {}


class Start(State):
    """A form to be trained; a ticket starts it once."""

    ticket: Ticket


class Swept(State):
    """A form with ranges.

    Args:
        ranges: Field -> ``{"low", "high"[, "log"][, "step"]}`` or ``{"choices": [...]}``; every field varies.
        trials: How many; None: each combination of a grid, else the usual number. What else was typed is refused.
        pruner: A name of :data:`visrun.config.sweeper.PRUNERS`.
        slots: Trials at a time.
    """

    ranges: Annotated[dict[str, dict[str, Scalar | list[Scalar]]], Field(max_length=50)] = {}
    trials: Count | None = USUAL_TRIALS
    pruner: Annotated[str, Field(max_length=64)] = AUTO
    slots: Count = 1


class StartSweep(Swept):
    """A sweep to be started once."""

    ticket: Ticket


class LoadedFile(Body):
    """The text of an experiment.json."""

    text: Annotated[str, Field(max_length=MOST_BYTES)]


class Cooked(State):
    """A form and the recipe whose values it is to take."""

    recipe: Annotated[str, Field(max_length=128)]


class Folder(State):
    """A form whose dataset is to be looked at.

    Args:
        again: Whether to forget what was found before.
        pixels: Whether to decode every image as well.
    """

    again: bool = False
    pixels: bool = False


class Typed(Body):
    """A path that is being typed, and what it is to be."""

    text: Annotated[str, Field(max_length=4096)]
    kind: Literal["data", "weights", "images"]


class Images(Body):
    """What a run is to be tried on."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    threshold: Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")] = ""


class Runs(Body):
    """Runs to open in MLflow."""

    ids: Annotated[list[Annotated[str, Field(max_length=16)]], Field(min_length=1, max_length=50)]
