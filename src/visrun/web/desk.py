"""All that the server works with, made once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from visrun.config.setting_rules import selection
from visrun.data.files import require_root
from visrun.errors import ConfigError
from visrun.files import read_object
from visrun.run_files import FILE_NAME
from visrun.web import exchange, runs, sweeps
from visrun.web.bodies import Folder, State, Typed
from visrun.web.composer import Composer
from visrun.web.datasets import Datasets
from visrun.web.form import SURVEYED, Form, fill, problems_of_form
from visrun.web.library import Library, Place
from visrun.web.mlflow_ui import Mlflow
from visrun.web.offers import offers
from visrun.web.processes import Conflict, Processes
from visrun.web.resources import Resources
from visrun.web.roots import Roots
from visrun.web.state import UI
from visrun.web.tries import Tries
from visrun.web.usual import Usual


@dataclass
class Desk:
    """What the routes share: the folders, the login, and whatever looks and works for the page.

    Args:
        cwd: Where commands run and what they write is found.
        roots: What the page may have read.
        cookie: The name of the login's cookie, and the token it holds.
        always: Words of every command, such as ``plugins=[my_package]``.
        closing: Whether the server ends.
    """

    cwd: Path
    roots: Roots
    cookie: str
    token: str
    always: tuple[str, ...] = ()
    closing: Callable[[], bool] = lambda: False
    composer: Composer = field(init=False)
    library: Library = field(init=False)
    processes: Processes = field(init=False)
    datasets: Datasets = field(init=False)
    mlflow: Mlflow = field(init=False)
    tries: Tries = field(init=False)
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        self.composer = Composer(self.cwd, self.always)
        self.library = Library(self.cwd, self.always, self.roots, Usual(self.composer).of)
        self.processes = Processes(self.cwd, self.always, self.roots)
        self.datasets = Datasets(self.roots, self.cwd)
        self.mlflow, self.tries = Mlflow(self.cwd, self.roots), Tries(self.cwd, self.roots, self.always)

    def close(self) -> None:
        """End what only the page needs; runs go on."""
        self.datasets.close()
        self.mlflow.close()

    def place(self, name: str, *kinds: str) -> Place:
        """The run, trial or sweep with an id."""
        found = self.library.find(name)
        if found is None or (kinds and found.kind not in kinds):
            raise HTTPException(404, "no such run")
        return found

    def run(self, place: Place) -> dict[str, Any]:
        """A run or trial as the page shows it."""
        sweep = self.library.place(place.path.parent, "sweep").id if place.kind == "trial" else None
        return {**self._named(place), "sweep": sweep, **runs.detail(place.path)}

    def sweep(self, place: Place) -> dict[str, Any]:
        """A sweep as the page shows it."""
        return {**self._named(place), **sweeps.detail(place.path, self.library)}

    def form(self, place: Place) -> dict[str, Any]:
        """The form of a run: of its experiment.json, or what it was started from where it came to write none.

        Raises:
            ConfigError: It is refused, or there is none.
        """
        file, asked = place.path / FILE_NAME, read_object(place.path / UI)
        if "form" in asked and not file.is_file():
            return exchange.checked(asked["form"], self.composer)
        return exchange.loaded(file, self.composer)

    def resume(self, place: Place) -> None:
        """Go on with a run or a sweep.

        Raises:
            Conflict: There is nothing to go on with, or it runs.
        """
        if place.kind == "sweep":
            found = sweeps.detail(place.path, self.library)
            if not found["living"] and found["over"]:
                raise Conflict("all its trials have ended; there is nothing to go on with")
        self.processes.resume(place.path)

    def _named(self, place: Place) -> dict[str, Any]:
        return {"id": place.id, "kind": place.kind, "name": self.library.name(place)}

    def look(self, asked: Folder) -> dict[str, Any]:
        """What is known so far of a dataset inside the roots.

        Raises:
            UserError: A setting is wrong, or the path leads outside or to nothing.
        """
        touched = {key: value for key, value in asked.touched.items() if key in SURVEYED}
        with self.composer.lock:
            form = fill(asked.task, asked.model, touched, self.composer)
        problems = [*problems_of_form(form), *form.dropped.values()]
        if problems:
            raise ConfigError(problems)
        self.roots.require(form.sent)
        settings, root, layout = form.resolved.settings, None, "auto"
        if settings.data.name != "demo":
            root, layout = str(settings.data.root), settings.data.name
            require_root(Path(root))
        choice = (*selection(settings).items(), ("pixels", asked.pixels))
        return self.datasets.look(
            asked.task, root, layout, plugins=self.composer.plugins, choice=choice, again=asked.again
        )

    def offers(self, typed: Typed) -> dict[str, Any]:
        """What a path that is being typed may come to; the roots and datasets of former runs first."""
        lines = self.library.listed() if typed.kind != "weights" else []
        used = [str(line["root"]) for line in lines if line.get("root")]
        known = dict.fromkeys([*map(str, self.roots.folders), *used])
        return offers(typed.text, kind=typed.kind, roots=self.roots, known=known)

    def checked(self, state: State, *, varied: Collection[str] = ()) -> Form:
        """The form, once it may be trained.

        Args:
            varied: Settings that a sweep gives their values.

        Raises:
            ConfigError: With everything that is wrong.
        """
        form = fill(state.task, state.model, state.touched, self.composer)
        problems = problems_of_form(form, varied=varied)
        if problems:
            raise ConfigError(problems)
        self.roots.require(form.sent)
        place = form.resolved.settings.data.place
        if place is not None:
            require_root(place)
        return form
