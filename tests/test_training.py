from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from visrun.errors import Diverged
from visrun.one_pass import evaluate
from visrun.signals import Interrupted, Stop
from visrun.step import Step
from visrun.tables import TASKS
from visrun.training import Clock, Ended, Limits, Progress, fit, is_patience_over, why_early

CPU = torch.device("cpu")


@dataclass
class Batch:
    images: torch.Tensor
    target: torch.Tensor
    valid: torch.Tensor


class Data:
    """Sixteen points on a line, four a step, in an order drawn from the epoch."""

    scenes = ()

    def __init__(self, poison: int | None = None):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(16, 3, generator=generator)
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])
        self.poison = poison

    def __len__(self):
        return 4

    def epoch(self, epoch, start=0):
        order = torch.randperm(16, generator=torch.Generator().manual_seed(epoch))
        for step in range(start, 4):
            index = order[4 * step : 4 * step + 4]
            y = self.y[index].clone()
            if self.poison == epoch * 4 + step:
                y[0] = float("nan")
            yield Batch(self.x[index], y, torch.ones(4, dtype=torch.bool))

    def files(self, epoch, step):
        return [Path(f"{epoch}_{step}.png")]


class Line:
    def losses(self, model, batch):
        return {"mse": ((model(batch.images) - batch.target) ** 2).mean()}

    def predict(self, model, images):
        return {"value": model(images)}


class Mae:
    def reset(self, scenes=()):
        self.errors = []

    def update(self, prediction, batch):
        self.errors.append((prediction["value"] - batch.target).abs())

    def compute(self):
        return {"mae": float(torch.cat(self.errors).mean())}


class Notes:
    def __init__(self, on_step=None):
        self.rows, self.timed, self.saved, self.steps, self.on_step = [], [], [], 0, on_step

    def step(self, progress, steps, loss):
        self.steps += 1
        if self.on_step:
            self.on_step(self.steps)

    def epoch(self, progress, row, improved, *, seconds, step_seconds):
        assert seconds >= 0
        self.timed.append(step_seconds is not None)
        self.rows.append({"epoch": progress.epoch, **row, "improved": improved})

    def save(self, progress, *, final):
        self.saved.append((progress.epoch, progress.step, final))


class World:
    """A run's parts; two worlds with the same seed are the same."""

    def __init__(self, rate=0.05):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(0.2), nn.Linear(3, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.99)
        self.step = Step(Line(), self.model, self.optimizer, device=CPU)
        self.progress = Progress()

    def fit(self, notes, limits, *, stop=None, data=None, metrics=None, judge=None, judged_by=None):
        evaluate_now = metrics or (lambda: evaluate(Line(), self.model, Data(), Mae(), device=CPU, precision="fp32"))
        self.ended = fit(
            judged_by or TASKS["regression"], self.step, self.scheduler, Data() if data is None else data, evaluate_now,
            progress=self.progress, limits=limits, recorder=notes, stop=stop or Stop(), seed=3, judge=judge,
        )  # fmt: skip
        return self.ended.status


def scripted(values):
    """Metrics that an epoch returns, one after the other."""
    iterator = iter(values)
    return lambda: {"mae": next(iterator)}


def test_it_learns_and_tells_every_epoch():
    world, notes = World(), Notes()
    assert world.fit(notes, Limits(max_epochs=20)) == "finished"
    assert [row["epoch"] for row in notes.rows] == list(range(1, 21))
    assert notes.steps == 80
    assert notes.rows[-1]["loss"] < notes.rows[0]["loss"] / 5
    assert set(notes.rows[0]) >= {"loss", "val_loss", "mae", "learning_rate"}
    assert notes.rows[0]["learning_rate"] == 0.05
    assert notes.saved[-1] == (20, 0, True) and not any(final for *_, final in notes.saved[:-1])
    assert world.progress.best == min(row["mae"] for row in notes.rows)


@pytest.mark.parametrize("kill_at", [1, 3, 4, 5, 11])
def test_a_stopped_and_resumed_run_equals_one_that_was_never_stopped(kill_at):
    straight = Notes()
    World().fit(straight, Limits(max_epochs=4))

    world, stop = World(), Stop()
    notes = Notes(lambda step: setattr(stop, "exit_code", 130) if step == kill_at else None)
    assert world.fit(notes, Limits(max_epochs=4), stop=stop) == "killed"
    assert notes.saved[-1] == (kill_at // 4, kill_at % 4, True)
    random = torch.get_rng_state()
    torch.manual_seed(999)
    torch.set_rng_state(random)
    notes.on_step = None
    assert world.fit(notes, Limits(max_epochs=4)) == "finished"
    assert notes.rows == straight.rows


@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_a_run_that_is_stopped_in_its_evaluation_repeats_that_and_no_step(epoch):
    straight = Notes()
    World().fit(straight, Limits(max_epochs=4))

    world, notes = World(), Notes()
    broken = iter([False] * (epoch - 1) + [True])
    model = world.model

    def breaking():
        values = evaluate(Line(), model, Data(), Mae(), device=CPU, precision="fp32")
        if next(broken):
            raise Interrupted(130)
        return values

    assert world.fit(notes, Limits(max_epochs=4), metrics=breaking) == "killed"
    assert notes.saved[-1] == (epoch - 1, 4, True) and len(notes.rows) == epoch - 1
    assert world.fit(notes, Limits(max_epochs=4)) == "finished"
    assert (notes.rows, notes.steps) == (straight.rows, straight.steps)
    assert notes.timed == [number != epoch for number in (1, 2, 3, 4)]  # of no step it is not known how long one takes


def test_what_learns_without_steps_saves_nothing_where_its_evaluation_is_broken_off():
    world, notes = World(), Notes()
    nothing = type("Nothing", (), {"epoch": lambda *_, **__: iter(()), "__len__": lambda _: 0})()
    assert world.fit(notes, Limits(max_epochs=1), data=nothing, metrics=Mock(side_effect=Interrupted(130))) == "killed"
    assert (notes.saved, notes.rows) == ([], [])


@pytest.mark.parametrize("poison", [0, 5, 7])
def test_nan_ends_the_run_naming_step_and_files_and_saves_nothing_of_the_epoch(poison):
    world, notes = World(), Notes()
    with pytest.raises(Diverged) as error:
        world.fit(notes, Limits(max_epochs=4), data=Data(poison))
    epoch, step = divmod(poison, 4)
    assert f"epoch {epoch + 1}, step {step + 1} of 4" in str(error.value)
    assert f"{epoch}_{step}.png" in str(error.value)
    assert f"learning_rate={0.05 * 0.99**poison:.3g}:" in str(error.value)  # that step's, and no later one's
    assert len(notes.rows) == len(notes.saved) == epoch


def test_patience_counts_from_the_best_epoch():
    notes = Notes()
    World().fit(notes, Limits(max_epochs=50, patience=3), metrics=scripted([3.0, 1.0] + [2.0] * 48))
    assert len(notes.rows) == 5
    assert [row["improved"] for row in notes.rows] == [True, True, False, False, False]


def test_patience_waits_while_the_validation_loss_still_falls():
    rows = iter([(1.0, 5.0), (2.0, 4.0), (2.0, 4.5), (2.0, 3.0), (2.0, 3.0), (2.0, 9.0), (2.0, 9.0), (0.1, 0.1)])
    notes, world = Notes(), World()
    metrics = lambda: dict(zip(("mae", "val_loss"), next(rows), strict=True))  # noqa: E731
    world.fit(notes, Limits(max_epochs=50, patience=3), metrics=metrics)
    assert len(notes.rows) == 7  # the lowest loss came in epoch 4
    assert (world.progress.best_epoch, world.progress.lowest_epoch, world.progress.lowest_loss) == (1, 4, 3.0)


def test_between_equal_values_the_lower_validation_loss_is_better():
    rows = iter([(0.5, 3.0), (0.5, 2.0), (0.5, 2.5), (0.4, 9.0), (0.4, 9.0), (0.5, 0.1)])
    notes, world = Notes(), World()
    world.fit(notes, Limits(max_epochs=6), metrics=lambda: dict(zip(("mae", "val_loss"), next(rows), strict=True)))
    assert [row["improved"] for row in notes.rows] == [True, True, False, True, False, False]
    assert (world.progress.best, world.progress.best_loss, world.progress.best_epoch) == (0.4, 9.0, 4)


def test_the_best_is_chosen_by_the_metric_that_the_run_monitors():
    rows = iter([(1.0, 0.5), (0.5, 0.25), (2.0, 0.75)])
    notes, world = Notes(), World()
    metrics = lambda: dict(zip(("mae", "r2"), next(rows), strict=True))  # noqa: E731
    world.fit(notes, Limits(max_epochs=3), metrics=metrics, judged_by=TASKS["regression"].judged_by("r2"))
    assert [row["improved"] for row in notes.rows] == [True, False, True]
    assert (world.progress.best, world.progress.best_epoch) == (0.75, 3)


def test_patience_never_ends_a_run_during_its_warm_up_and_0_is_off():
    notes = Notes()
    World().fit(notes, Limits(max_epochs=50, patience=2, warmup_epochs=10), metrics=scripted([1.0] + [2.0] * 49))
    assert len(notes.rows) == 12
    notes = Notes()
    World().fit(notes, Limits(max_epochs=15, patience=0), metrics=scripted([1.0] + [2.0] * 49))
    assert len(notes.rows) == 15


def test_an_undefined_metric_is_never_the_best():
    notes = Notes()
    world = World()
    world.fit(notes, Limits(max_epochs=3), metrics=scripted([float("nan"), 2.0, float("nan")]))
    assert (world.progress.best, world.progress.best_epoch) == (2.0, 2)


def test_time_ends_a_run_with_an_evaluated_epoch():
    world, notes = World(), Notes()
    assert world.fit(notes, Limits(max_epochs=1000, max_seconds=0.0)) == "finished"
    assert len(notes.rows) == 1 and notes.steps == 1 and notes.saved[-1][-1] is True


@pytest.mark.parametrize(
    ("limit", "limits"),
    [
        ("epochs", Limits(max_epochs=3)),
        ("epochs", Limits(max_epochs=3, patience=2)),
        ("patience", Limits(max_epochs=9, patience=2)),
        ("time", Limits(max_epochs=9, max_seconds=1e-9)),
    ],
)
def test_a_run_that_was_over_names_its_limit_and_is_not_trained_again(limit, limits):
    world, notes = World(), Notes()
    assert world.fit(notes, limits, metrics=scripted([1.0, 2.0, 2.0])) == "finished"
    assert world.ended == Ended("finished", limit=limit)
    before = replace(world.progress)
    again = Notes()
    assert world.fit(again, limits, metrics=scripted([])) == "finished"
    assert (again.rows, again.steps, again.saved) == ([], 0, [])
    assert world.progress == before and world.ended == Ended("finished", limit=limit)
    further = Limits(max_epochs=before.epoch + 1)
    assert world.fit(again, further, metrics=scripted([3.0])) == "finished"
    assert [row["epoch"] for row in again.rows] == [before.epoch + 1]


def test_time_counts_over_all_sittings():
    clock = Clock(spent=10.0, limit=5.0)
    assert clock.is_over() and clock.seconds() >= 10.0
    assert not Clock(spent=1e9, limit=None).is_over()


def test_patience_without_any_best_counts_from_the_beginning():
    assert is_patience_over(Progress(epoch=3), Limits(max_epochs=9, patience=3))
    assert not is_patience_over(Progress(epoch=2), Limits(max_epochs=9, patience=3))


def test_why_a_run_ended_early():
    progress = Progress(epoch=9, best_epoch=2, lowest_epoch=4)
    assert why_early("patience", progress, "map") == "no better map and no lower validation loss since epoch 4"
    assert why_early("time", progress, "map") == "run.max_time is over"
    assert why_early("epochs", progress, "map") is None and why_early(None, progress, "map") is None


def test_a_judge_hears_every_epoch_and_ends_the_run():
    notes, heard = Notes(), []

    def judge(epoch, value, loss):
        heard.append((epoch, value, loss))
        return "hopeless" if epoch == 3 else None

    world = World()
    assert world.fit(notes, Limits(max_epochs=9), metrics=scripted([5.0, 4.0, 6.0, 1.0]), judge=judge) == "pruned"
    assert world.ended == Ended("pruned", "hopeless")
    assert heard == [(1, 5.0, inf), (2, 4.0, inf), (3, 6.0, inf)]
    assert notes.saved[-1] == (3, 0, True) and not any(final for *_, final in notes.saved[:-1])
    assert (world.progress.epoch, world.progress.best, world.progress.best_epoch) == (3, 4.0, 2)


def test_a_judge_changes_nothing_of_a_run_that_it_lets_go():
    alone, judged = Notes(), Notes()
    World().fit(alone, Limits(max_epochs=4))
    assert World().fit(judged, Limits(max_epochs=4), judge=lambda *_: None) == "finished"
    assert judged.rows == alone.rows and judged.saved == alone.saved


def test_a_run_that_ends_by_itself_is_finished_whatever_the_judge_says():
    heard = []
    judge = lambda epoch, *_: heard.append(epoch) or ("hopeless" if epoch == 3 else None)  # noqa: E731
    world = World()
    assert world.fit(Notes(), Limits(max_epochs=3), judge=judge) == "finished" and world.ended.reason is None
    assert heard == [1, 2, 3]  # the last epoch is reported too
    heard.clear()
    values = scripted([1.0, 2.0, 2.0, 2.0])
    assert World().fit(Notes(), Limits(max_epochs=9, patience=2), metrics=values, judge=judge) == "finished"
    assert heard == [1, 2, 3]


def test_a_judge_is_not_asked_where_the_metric_is_missing():
    rows, heard = iter([{"mae": 1.0, "val_loss": 0.25}, {}, {"mae": 0.5}]), []
    World().fit(Notes(), Limits(max_epochs=3), metrics=lambda: next(rows), judge=lambda *told: heard.append(told))
    assert heard == [(1, 1.0, 0.25), (3, 0.5, inf)]


def test_a_run_stopped_within_an_epoch_is_not_judged_for_it():
    heard, stop = [], Stop()
    notes = Notes(lambda step: setattr(stop, "exit_code", 143) if step == 6 else None)
    judge = lambda epoch, *_: heard.append(epoch)  # noqa: E731
    assert World().fit(notes, Limits(max_epochs=4), stop=stop, judge=judge) == "killed"
    assert heard == [1]
