"""The schema: exact fields and ranges, who reads what, and the rules between fields."""

import inspect
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.build import load
from visrun.config.fields import choices, extra, limits, validate
from visrun.config.lines import texts
from visrun.hyperparameters import (
    READ_WHEN,
    Findings,
    Hyperparameters,
    check,
    defaults,
    unread,
)
from visrun.tables import MODELS, OPTIMIZERS, SCHEDULERS, TASKS, ModelEntry

FIELDS = Hyperparameters.model_fields
RESNET, LRASPP = MODELS["resnet18"], MODELS["lraspp"]


def values(**changed):
    return defaults() | changed


def problems(**changed):
    return list(validate(Hyperparameters, values(**changed))[1].values())


def test_the_schema_is_exactly_this():
    assert defaults() == {
        "optimizer": "adam",
        "learning_rate": 0.001,
        "weight_decay": 0.0001,
        "momentum": 0.9,
        "scheduler": "cosine",
        "warmup_epochs": 0,
        "step_size": 10,
        "gamma": 0.1,
        "milestones": [],
        "poly_power": 0.9,
        "batch_size": 32,
        "max_epochs": 50,
        "early_stopping_patience": 10,
        "loss": "cross_entropy",
        "dropout": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "learning_rate",
            [1e-12, 1, "1e-3", "0.5"],
            [0, -1, "0", math.nan, math.inf, "nan", "inf", True, "abc", None, []],
        ),
        ("weight_decay", [0, 10, "1e-4"], [-1e-9, math.nan, math.inf, False, ""]),
        ("momentum", [0, 0.999], [1, -0.1, math.nan, True]),
        ("warmup_epochs", [0, 7, "3", 3.0], [-1, 2.5, "2.5", True, False, math.nan, math.inf]),
        ("step_size", [1, 1000], [0, 1.5, True]),
        ("gamma", [1e-9, 1], [0, 1.0001, math.nan, True]),
        (
            "milestones",
            [[], [1], [3, 7], "[3, 7]", "3,7", (2,)],
            [[0], [3, 3], [7, 3], [True], [1.5], "x", "", 3, None, "[[1]]"],
        ),
        ("poly_power", [0.01, 5], [0, -1, math.inf, True]),
        ("batch_size", [1, 256, "32"], [0, 257, 3.5, True]),
        ("max_epochs", [1, 1000], [0, 1001, True]),
        ("early_stopping_patience", [0, 100], [-1, 101, False]),
        ("dropout", [0, 0.9], [-0.1, 0.91, math.nan, True]),
        ("optimizer", ["adam", "adamw", "sgd"], ["Adam", "rmsprop", "", None, 1]),
        ("scheduler", ["cosine", "step", "multistep", "poly", "none"], [None, "linear", True]),
        ("loss", ["mse", "my_loss"], ["", "os.system", "a b", "a\n", None, 3]),
    ],
)
def test_ranges(name, good, bad):
    for value in good:
        assert problems(**{name: value}) == [], value
    for value in bad:
        (line,) = problems(**{name: value})
        assert line.startswith(f"{name}="), line
        assert ": must be " in line
        assert "\n" not in line


def test_text_becomes_numbers():
    found = Hyperparameters(learning_rate="1e-3", batch_size="8", milestones="[3, 7]")
    assert (found.learning_rate, found.batch_size, found.milestones) == (0.001, 8, (3, 7))


def test_a_very_deep_text_is_no_list():
    assert len(problems(milestones="[" * 100_000)) == 1
    assert len(problems(milestones="[" * 9_000)) == 1


def test_all_wrong_keys_are_named_at_once_and_misspelt_ones_are_guessed():
    lines = problems(learning_rate=-1, dropout=2, lerning_rate=1)
    assert lines == [
        "learning_rate=-1: must be a number > 0",
        "dropout=2: must be a number from 0 to 0.9",
        "lerning_rate is no setting (did you mean learning_rate?)",
    ]


def test_every_field_explains_itself():
    for name, info in FIELDS.items():
        assert info.description, name
        assert info.description.endswith("."), name


@pytest.mark.parametrize("name", [name for name, info in FIELDS.items() if extra(info, "search")])
def test_search_spaces_lie_inside_the_ranges(name):
    search = extra(FIELDS[name], "search")
    tried = [search["low"], search["high"]] if "low" in search else search["choices"]
    if tried == "task":
        tried = [loss for task in TASKS.values() for loss in task.losses]
    for value in tried:
        assert problems(**{name: value}) == []
    if search.get("log"):
        assert search["low"] > 0
    if "low" in search:
        assert search["low"] < search["high"]


def test_limits_are_plain_data():
    assert limits(FIELDS["batch_size"]) == {"ge": 1, "le": 256}
    assert choices(FIELDS["optimizer"]) == tuple(OPTIMIZERS)
    assert choices(FIELDS["scheduler"]) == tuple(SCHEDULERS)
    assert choices(FIELDS["loss"]) == ()


@given(
    st.fixed_dictionaries(
        {
            "learning_rate": st.floats(min_value=1e-9, max_value=1e9),
            "optimizer": st.sampled_from(list(OPTIMIZERS)),
            "milestones": st.sets(st.integers(1, 2000)).map(sorted),
            "dropout": st.floats(0, 0.9),
            "batch_size": st.integers(1, 256),
        }
    )
)
def test_json_round_trip(changed):
    found = Hyperparameters(**values(**changed))
    assert Hyperparameters(**json.loads(json.dumps(found.model_dump(mode="json")))) == found


# Who reads what.


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("momentum", {"optimizer": ["sgd"]}),
        ("step_size", {"scheduler": ["step"]}),
        ("gamma", {"scheduler": ["step", "multistep"]}),
        ("milestones", {"scheduler": ["multistep"]}),
        ("poly_power", {"scheduler": ["poly"]}),
    ],
)
def test_read_only_when(name, readers):
    (choice, wanted), *_ = readers.items()
    for option in {"optimizer": OPTIMIZERS, "scheduler": SCHEDULERS}[choice]:
        assert (name in unread(values(**{choice: option}))) == (option not in wanted)


def test_dropout_is_read_by_a_head_that_drops():
    assert "dropout" not in unread(values(), model=MODELS["resnet18"])
    assert "dropout" in unread(values(), model=LRASPP)


def test_a_model_without_gradient_reads_the_batch_size_alone():
    patchcore = MODELS["patchcore"]
    assert set(Hyperparameters.model_fields) - set(unread(values(), model=patchcore)) == {"batch_size"}


def test_unread_in_the_schemas_order():
    assert unread(values()) == ("momentum", "step_size", "gamma", "milestones", "poly_power")
    sgd = Hyperparameters(optimizer="sgd", scheduler="multistep", milestones=[3])
    assert unread(sgd, model=LRASPP) == ("step_size", "poly_power", "dropout")


def test_the_table_names_fields_and_their_choices():
    for name, conditions in READ_WHEN.items():
        assert name in FIELDS
        for key, wanted in conditions.items():
            assert key in ("drops", "gradient") or set(wanted) <= set(choices(FIELDS[key]))


@pytest.mark.parametrize(("group", "table"), [("optimizer", OPTIMIZERS), ("scheduler", SCHEDULERS)])
def test_the_table_agrees_with_the_builders_signatures(group, table):
    for option, ref in table.items():
        read = inspect.signature(load(ref)).parameters.keys() & FIELDS.keys()
        said = {name for name, conditions in READ_WHEN.items() if option in conditions.get(group, ())}
        assert {name for name in read if group in READ_WHEN.get(name, {})} == said


# Rules between fields.


def found(task="classification", model=RESNET, **changed):
    lines = check(values(**changed), task=task, model=model)
    return Findings(tuple(texts(lines.problems)), tuple(texts(lines.warnings)))


def test_the_defaults_have_no_findings():
    assert found() == ((), ())
    assert check(Hyperparameters(), task="classification", model=RESNET) == ((), ())


@pytest.mark.parametrize(("warmup", "epochs", "wrong"), [(1, 2, False), (2, 2, True), (3, 2, True), (0, 1, False)])
def test_warmup_ends_before_the_run(warmup, epochs, wrong):
    lines = found(warmup_epochs=warmup, max_epochs=epochs).problems
    assert lines == ((f"warmup_epochs={warmup}: must be below max_epochs={epochs}",) if wrong else ())


def test_multistep_needs_milestones():
    assert found(scheduler="multistep").problems == (
        "milestones=[]: scheduler=multistep needs at least one, such as milestones=[30,40]",
    )
    assert found(scheduler="multistep", milestones=[30]).problems == ()


@pytest.mark.parametrize("task", TASKS)
def test_a_loss_is_the_tasks(task):
    for loss in {name for entry in TASKS.values() for name in entry.losses}:
        lines = found(task=task, loss=loss).problems
        assert bool(lines) == (loss not in TASKS[task].losses)
        for line in lines:
            assert line.startswith(f"loss={loss}: task={task} takes {next(iter(TASKS[task].losses))}")


def test_a_loss_is_one_the_model_can_honour():
    tasks = ("classification", "regression")
    picky = ModelEntry(build="", tasks=tasks, parameters=1, speed=1, accuracy=1, losses=("bce", "focal"))
    assert found(model=picky, loss="bce").problems == ()
    assert found(model=picky).problems == ("loss=cross_entropy: this model takes focal or bce",)
    assert found(model=picky, task="regression", loss="mse").problems == (
        "loss=mse: this model takes no loss of this task",
    )
    assert found(model=picky, task="segmentation", loss="dice").problems == ()  # it serves others, which is said alone


@pytest.mark.parametrize(
    ("changed", "warned"),
    [
        ({"scheduler": "step", "step_size": 5, "warmup_epochs": 4}, False),
        ({"scheduler": "step", "step_size": 5, "warmup_epochs": 5}, True),
        ({"scheduler": "step", "step_size": 5, "warmup_epochs": 6}, True),
        ({"scheduler": "step", "step_size": 5, "warmup_epochs": 6, "gamma": 1.0}, False),
        ({"scheduler": "cosine", "step_size": 5, "warmup_epochs": 6}, False),
        ({"scheduler": "multistep", "milestones": [3, 40], "warmup_epochs": 6}, True),
        ({"scheduler": "multistep", "milestones": [30, 40], "warmup_epochs": 6}, False),
        ({"scheduler": "poly", "milestones": [3], "warmup_epochs": 6}, False),
    ],
)
def test_a_warmup_past_the_first_drop_is_warned_of(changed, warned):
    lines = found(**changed).warnings
    assert bool(lines) == warned
    assert all("the full learning rate is never reached" in line for line in lines)


def test_a_warmup_warning_is_true_of_the_curve():
    from visrun import lr_curve

    late = values(scheduler="step", step_size=5, warmup_epochs=6, learning_rate=1.0)
    assert found(**late).warnings
    assert max(lr_curve(late)) < 1.0
    early = late | {"warmup_epochs": 4}
    assert not found(**early).warnings
    assert max(lr_curve(early)) == pytest.approx(1.0)


def test_milestones_beyond_the_run_are_warned_of():
    assert found(scheduler="multistep", milestones=[10, 50, 60]).warnings == (
        "milestones=[10, 50, 60]: [50, 60] never come, the run ends at max_epochs=50",
    )
    assert found(scheduler="multistep", milestones=[10, 49]).warnings == ()
    assert found(scheduler="cosine", milestones=[60]).warnings == ()


def test_lraspp_reads_no_dropout():
    assert "dropout" in unread(values(), model=LRASPP)
