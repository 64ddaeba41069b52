"""Which data a finished run is measured on: its own, as it had split them, or others; and whether it learnt them."""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from pathlib import Path
from typing import Any

from visrun.config.setting_rules import SPLITTING
from visrun.config.settings import Settings
from visrun.config.spelling import to_override
from visrun.console import Screen
from visrun.data.agree import agreeing
from visrun.data.derive import COUNTED
from visrun.data.learnt import share
from visrun.data.records import Dataset
from visrun.errors import UserError
from visrun.feeding import read_dataset
from visrun.files import part_of
from visrun.predictor import Predictor
from visrun.record.remember import remembered, require_data
from visrun.record.run_folder import read_json
from visrun.run_files import FILE_NAME

LEARNT = (*SPLITTING, "train_fraction", "targets")  # a run's data settings that say what it learnt from


class Origin:
    """What the folder of a run says of the data that it learnt from, read once it is asked for.

    Args:
        folder: None of a checkpoint alone, of which nothing is known.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder if folder is not None and (folder / FILE_NAME).is_file() else None

    @cached_property
    def content(self) -> dict[str, Any]:
        """What experiment.json holds; {} where there is none. Raises UserError where it cannot be read."""
        return read_json(self.folder / FILE_NAME) if self.folder else {}

    @cached_property
    def settings(self) -> Settings:
        """The run's settings. Raises UserError where its folder is not known, or what it names, as of a plugin."""
        if self.folder is None:
            raise UserError("a checkpoint alone does not say what it was trained on; name a dataset: data.root=PATH")
        return remembered(self.folder, self.content).settings

    @property
    def known(self) -> Settings | None:
        """The run's settings; None where they are not known."""
        try:
            return self.settings
        except UserError:
            return None

    def words(self, *, besides: Container[str]) -> list[str]:
        """What to type for the run's dataset, read as the run did, but for the keys of ``besides``.

        Raises:
            UserError: The run's folder is not known, its experiment.json is not valid here, or the dataset is gone.
        """
        data = self.settings.data
        assert self.folder is not None
        require_data(self.folder, self.settings, onward="name a dataset: data.root=PATH")
        named = {"data": data.name} | {f"data.{key}": getattr(data, key) for key in ("root", "targets", "on_bad")}
        return [to_override(key, value) for key, value in named.items() if value is not None and key not in besides]

    def grouped(self, settings: Settings) -> Settings:
        """``settings`` with the run's ``data.group``, where it is known: a column so called is nothing to measure,
        unless the run learnt it."""
        own = (self.known or settings).data
        group = None if own.group in (own.targets or ()) else own.group
        return settings.model_copy(update={"data": settings.data.model_copy(update={"group": group})})

    def as_split(self, predictor: Predictor, dataset: Dataset, settings: Settings, screen: Screen) -> Dataset:
        """``dataset``, where the run was trained on it and chose the val split, as it was split for that.

        Args:
            predictor: Of the run.
            dataset: As it was read.
            settings: Of which it was read.
            screen: Says what was done.
        """
        noted, was = part_of(self.content, "data"), self.known
        if was is None or ("val" in dataset.splits and noted.get("fold") is None):
            return dataset
        if dataset.fingerprint != noted.get("fingerprint") and str(dataset.root) != noted.get("root"):
            return dataset
        data = settings.data.model_copy(update={key: getattr(was.data, key) for key in LEARNT})
        again = settings.model_copy(update={"data": data, "seed": was.seed})
        try:
            own = dataset_for(predictor, again, Screen(stderr=True, quiet=True), training=True)
        except UserError:  # changed since
            return dataset
        if own.fingerprint != noted.get("fingerprint"):
            return dataset
        held = len(own.splits["val"])
        screen.say(f"the run was trained on these images: split=val is the {held:,} that it held out (seed={was.seed})")
        return own

    def tell_learnt(self, dataset: Dataset, split: str, screen: Screen) -> None:
        """Warn where images of ``split`` are those that the run learnt from."""
        noted = part_of(part_of(self.content, "result"), "data").get("learnt")
        if found := share(str(noted or ""), [record.image for record in dataset.splits[split]]):
            screen.warn(
                f"{dataset.root}: about {found:.0%} of {split} are images that the run learnt from: "
                "scores on them look better than they are"
            )


def dataset_for(predictor: Predictor, settings: Settings, screen: Screen, *, training: bool = False) -> Dataset:
    """The dataset that is asked for, with the classes or the values that the model knows."""
    state = predictor.task.state()
    classes = state.get("classes")
    data = settings.data.model_copy(update={"classes": tuple(classes) if classes else None})
    dataset = read_dataset(settings.model_copy(update={"data": data}), screen, training=training)
    white = predictor.look.white
    if white is not None and (dataset.white or 0) > white:
        screen.warn(f"16-bit grey goes beyond {white:,} here, which is white to the model, as is all above")
    targets = tuple(state.get("targets", ()))
    chosen = settings.data.targets is not None or dataset.targets == COUNTED
    by_place = chosen and not {*targets} <= {*dataset.targets}
    if by_place and len(targets) == len(dataset.targets):
        screen.warn(f"{', '.join(dataset.targets)} here stands for the model's {', '.join(targets)}")
    return agreeing(dataset, targets=targets, multilabel=state.get("multilabel"), by_place=by_place)
