"""experiment.json: what a run writes is read back whole, and nothing but plain, known, valid values gets in."""

import copy
import json
import os
import sys

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from visrun import load_experiment
from visrun.config.experiment import MAX_DEPTH, Experiment
from visrun.config.settings import Settings
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters, defaults
from visrun.record.journal import describe
from visrun.record.remember import Remembered
from visrun.run_files import MAX_BYTES

RESULT = {
    "status": "finished",
    "best_epoch": 3,
    "seconds": 1.5,
    "val": {"accuracy": 0.9, "iou/_background_": 0.8},
    "test": {},
}
DANGEROUS = [
    "os.system",
    "posix.system",
    "subprocess.Popen",
    "subprocess.run",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "builtins.__import__",
    "importlib.import_module",
    "torch.load",
    "torch.hub.load",
    "torch.ops.load_library",
    "joblib.load",
    "pickle.loads",
    "pandas.read_pickle",
    "numpy.load",
    "mlflow.pyfunc.load_model",
    "shutil.rmtree",
    "shutil.unpack_archive",
    "urllib.request.urlretrieve",
    "multiprocessing.Process",
    "sqlite3.connect",
    "pathlib.Path.write_text",
    "hydra.utils.instantiate",
    "visrun.models:create",
    "eval",
    "exec",
    "__import__",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../b",
    "..",
    "~/x",
    "%2e%2e/x",
    "a\x00b",
    "a\nb",
    "$(id)",
    "`id`",
    "; rm -rf x",
    "${oc.env:HOME}",
    "${now:%Y}",
    "{{7*7}}",
    "!!python/object/apply:os.system",
    "http://example.org/x",
    "\ud800",
    "",
]


@pytest.fixture
def write(tmp_path):
    def write(content, name="experiment.json"):
        file = tmp_path / name
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    return write


@pytest.fixture
def refused(write):
    """The lines of the refusal, with the file's name checked and taken off."""

    def refused(content):
        file = write(content)
        with pytest.raises(ConfigError) as caught:
            load_experiment(file)
        for line in caught.value.problems:
            assert str(file) in line
            assert "\n" not in line
        return [line.removeprefix(f"{file}: ") for line in caught.value.problems]

    return refused


def written(run=None, values=None, *, sources=None, **more):
    return describe(Remembered(values or Hyperparameters(), run or Settings(), sources or {}), **more)


def whole():
    run = Settings(task="regression", seed=7, data={"root": "/d", "name": "csv"}, model={"name": "resnet34"})
    values = Hyperparameters(loss="mae", optimizer="sgd", scheduler="multistep", milestones=[3, 9])
    content = written(run, values, sources={"loss": "you"}, created="2025-01-01T00:00:00+00:00", result=RESULT)
    content["data"]["fingerprint"] = "ab" * 32
    return content


def test_hyperparameters_alone_are_a_whole_file(write):
    found = load_experiment(write({"hyperparameters": defaults()}))
    assert found.hyperparameters == defaults()
    assert found.values == defaults()
    assert found.choices == {"optimizer": "adam", "scheduler": "cosine", "loss": "cross_entropy"}
    assert found.fingerprint is None


def test_what_a_run_writes_is_read_back(write):
    content = whole()
    found = load_experiment(write(content))
    assert found.hyperparameters == content["hyperparameters"]
    assert found.choices == {
        "task": "regression",
        "model": "resnet34",
        "data": "csv",
        "augment": "none",
        "optimizer": "sgd",
        "scheduler": "multistep",
        "loss": "mae",
    }
    assert found.fingerprint == "ab" * 32
    assert found.values["task"] == "regression"
    assert found.values["seed"] == 7
    assert found.values["data.root"] == "/d"
    assert found.values["milestones"] == [3, 9]
    assert found.values["run.clip"] == 10.0
    assert "data.fingerprint" not in found.values


def test_what_belongs_to_the_writers_machine_is_not_used(write):
    content = whole()
    content["tracking"]["uri"] = "http://elsewhere.example"
    content["data"]["cache_dir"] = "/somewhere"
    found = load_experiment(write(content))
    assert not [key for key in found.values if key.startswith("tracking.") or key == "data.cache_dir"]


def test_a_runs_folder_stands_for_its_file(write, tmp_path):
    file = write({"hyperparameters": defaults()})
    assert load_experiment(tmp_path).path == file
    assert load_experiment(str(tmp_path)) == load_experiment(file)


def test_a_byte_order_mark_is_fine(write):
    file = write(b"\xef\xbb\xbf" + json.dumps({"hyperparameters": defaults()}).encode())
    assert isinstance(load_experiment(file), Experiment)


@given(
    learning_rate=st.floats(1e-12, 1e6),
    seed=st.integers(0, 2**32 - 1),
    root=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30),
    classes=st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1, unique=True),
    scale=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_round_trip(write, learning_rate, seed, root, classes, scale):
    if "${" in root + "".join(classes) or ".." in root.split("/"):
        return
    values = Hyperparameters(learning_rate=learning_rate)
    run = Settings(seed=seed, data={"root": root, "classes": classes}, augment={"crop_scale": scale})
    found = load_experiment(write(written(run, values))).values
    assert found["learning_rate"] == learning_rate
    assert found["seed"] == seed
    assert found["data.root"] == root
    assert found["data.classes"] == classes
    assert found["augment.crop_scale"] == scale


def test_the_run_of_very_many_classes_is_read(write):
    content = written()
    content["result"] = {"val": {f"ap/the {i}th of many classes": 0.5 for i in range(50_000)}}
    assert load_experiment(write(content)).values["learning_rate"] == Hyperparameters().learning_rate


# What is refused.


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, 'has no "hyperparameters"'),
        ([], "must hold a JSON object, as a run's experiment.json does"),
        ("null", "must hold a JSON object"),
        ("", "not plain JSON"),
        ("{", "not plain JSON"),
        ('{"hyperparameters": {"learning_rate": NaN}}', "not plain JSON: NaN is no number"),
        ('{"hyperparameters": {"learning_rate": -Infinity}}', "not plain JSON: -Infinity is no number"),
        ('{"hyperparameters": {"loss": "mse", "loss": "mae"}}', "not plain JSON: key loss is given twice"),
        ('{"hyperparameters": {"max_epochs": ' + "9" * 5000 + "}}", "not plain JSON"),
        ('{"hyperparameters": {"learning_rate": 1e999}}', "learning_rate=Infinity: must be a number > 0"),
        ('{"hyperparameters": {"max_epochs": ' + "9" * 400 + "}}", "max_epochs=999"),
        ("[" * 900_000, f"nested deeper than {MAX_DEPTH} levels; name another file"),
        ({"hyperparameters": {}, "result": [[[[[[[[[[]]]]]]]]]]}, f"result: nested deeper than {MAX_DEPTH} levels"),
        ("{" + " " * MAX_BYTES + "}", f"larger than {MAX_BYTES:,} bytes"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0; save it as UTF-8"),
        ({"hyperparameters": []}, "hyperparameters must be a mapping of keys to values"),
        ({"hyperparameters": {}, "data": 3}, "data must be a mapping of keys to values"),
        ({"hyperparametrs": {}}, "hyperparametrs is no part of an experiment (did you mean hyperparameters?)"),
        ({"hyperparameters": {"lr": 1}}, "lr is no setting"),
        ({"hyperparameters": {"momentm": 1}}, "momentm is no setting (did you mean momentum?)"),
        ({"hyperparameters": {"learning_rate": True}}, "learning_rate=true: must be a number > 0"),
        ({"hyperparameters": {"dropout": 1}}, "dropout=1: must be a number from 0 to 0.9"),
        ({"hyperparameters": {}, "task": "nonsense"}, "task=nonsense: must be classification, "),
        (
            {"hyperparameters": {}, "task": "segmentaton"},
            "task=segmentaton: must be classification, anomaly_detection, object_detection, oriented_object_detection, "
            "instance_segmentation, segmentation or regression (did you mean segmentation?)",
        ),
        ({"hyperparameters": {}, "task": ["classification"]}, 'task=["classification"]: must be the name of a task'),
        ({"hyperparameters": {}, "seed": -1}, "seed=-1: must be an integer from 0"),
        ({"hyperparameters": {"loss": "nonsense"}}, "loss=nonsense: must be cross_entropy, "),
        ({"hyperparameters": {}, "augment": {"extra": ["mine"]}}, "augment.extra=mine: must be blur, grayscale or "),
        ({"hyperparameters": {}, "model": {"name": "nonsense"}}, "model.name=nonsense is no model"),
        ({"hyperparameters": {}, "model": {"nam": "x"}}, "model.nam is no setting (did you mean model.name?)"),
        ({"hyperparameters": {}, "data": {"name": "nonsense"}}, "data.name=nonsense: must be demo, auto, "),
        ({"hyperparameters": {}, "data": {"fingerprint": 3}}, "data.fingerprint=3: must be a text"),
        ({"hyperparameters": {}, "data": {"root": "a/../../b"}}, "data.root=a/../../b: '..' is refused"),
        ({"hyperparameters": {}, "model": {"weights": "../w.pt"}}, "model.weights=../w.pt: '..' is refused"),
        ({"hyperparameters": {}, "tracking": {"name": "wandb"}}, "tracking.name=wandb: must be mlflow or none"),
        ({"hyperparameters": {}, "plugins": ["x"]}, "key plugins is refused: a file holds values only"),
        ({"hyperparameters": {}, "hydra": {}}, "key hydra is refused"),
        ({"hyperparameters": {}, "hydra.run.dir": "x"}, "key hydra.run.dir is refused"),
        ({"hyperparameters": {}, "hydra/launcher": "x"}, "key hydra/launcher is refused"),
        ({"hyperparameters": {}, "result": {"_target_": "x"}}, "key result._target_ is refused"),
        ({"hyperparameters": {}, "result": [{"x": {"_partial_": 1}}]}, "key result.x._partial_ is refused"),
        ({"hyperparameters": {}, "sources": {"a": "${oc.env:HOME}"}}, "sources.a=${oc.env:HOME}: ${...} is refused"),
        ({"hyperparameters": {}, "versions": {"${a}": 1}}, "key versions.${a} is refused"),
        ({"hyperparameters": {}, "experiment": "x.json"}, "experiment is no part of an experiment"),
        ({"hyperparameters": {}, "recipe": "quick"}, "recipe is no part of an experiment"),
        ({"hyperparameters": {}, "defaults": []}, "defaults is no part of an experiment"),
    ],
    ids=lambda item: str(item)[:40],
)
def test_refused(refused, content, line):
    lines = refused(content)
    assert any(found.startswith(line) for found in lines), lines


def test_what_came_of_a_run_names_classes_as_they_are_called(tmp_path):
    file = tmp_path / "experiment.json"
    result = {"val": {"f1/${oc.env:HOME}": 1.0}, "data": {"classes": ["a${b}"]}}
    file.write_text(json.dumps({"task": "classification", "hyperparameters": {"batch_size": 3}, "result": result}))
    assert load_experiment(file).hyperparameters == {"batch_size": 3}
    assert not any("HOME" in str(value) or "${" in str(value) for value in load_experiment(file).values.values())


@pytest.mark.parametrize(
    "content",
    [
        {"task": "mine"},
        {"hyperparameters": {"loss": "mine"}},
        {"model": {"name": "mine"}},
        {"data": {"name": "mine"}},
        {"augment": {"extra": ["mine"]}},
    ],
    ids=lambda content: next(iter(content)),
)
def test_what_is_not_known_may_be_a_plugins(refused, content):
    (line,) = refused({"hyperparameters": {}} | content)
    assert "=mine" in line and line.endswith("; a plugin may bring it: plugins=[my_package]")


def test_everything_wrong_is_named_at_once(refused):
    content = {"hyperparameters": {"dropout": 2, "x": 1}, "seed": -1, "run": {"clip": -1}}
    assert [line.partition("=")[0].partition(" ")[0] for line in refused(content)] == [
        "dropout",
        "x",
        "seed",
        "run.clip",
    ]


def test_a_flood_of_wrong_keys_is_cut(refused):
    assert len(refused({"hyperparameters": {}, **{f"_{i}_": 1 for i in range(10_000)}})) == 20


def test_many_equal_keys_are_refused_fast(refused):
    keys = ",".join(f'"{i}":0' for i in range(80_000))
    assert refused("{" + keys + ',"79999":0}') == ["not plain JSON: key 79999 is given twice; mend it there"]


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_experiment(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match="no such file; name a run's folder"):
        load_experiment(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        load_experiment("/dev/zero")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="no such file"):
        load_experiment(tmp_path / "pipe")


NAMED = [
    *[
        ("hyperparameters", key)
        for key in ("optimizer", "scheduler", "loss", "learning_rate", "max_epochs", "milestones")
    ],
    ("task",),
    ("seed",),
    *[(section, "name") for section in ("model", "data", "augment", "tracking")],
    ("model", "freeze"),
    ("model", "pretrained"),
    ("data", "cache"),
    ("run", "device"),
    ("run", "graph"),
    ("optimizer_options", "betas"),
]


def put(content, path, value):
    *sections, last = path
    inner = content
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[last] = value
    return content


@pytest.mark.parametrize("name", DANGEROUS, ids=repr)
def test_a_dangerous_name_is_refused_in_every_place_that_takes_a_name(write, name):
    for path in NAMED:
        if path == ("augment", "name") and name in ("eval", "exec"):
            continue  # a plain word: no such file in conf/augment, found out when the run is composed
        with pytest.raises(ConfigError):
            load_experiment(write(put({"hyperparameters": {}}, path, name)))


@pytest.mark.parametrize("name", DANGEROUS, ids=repr)
@pytest.mark.parametrize(
    "key", ["_target_", "_convert_", "_recursive_", "_args_", "target_", "_x", "hydra.callbacks", "plugins"]
)
def test_a_dangerous_key_is_refused_at_every_depth(write, key, name):
    for path in [(key,), ("hyperparameters", key), ("data", key), ("result", "val", key), ("git", "a", "b", key)]:
        with pytest.raises(ConfigError):
            load_experiment(write(put({"hyperparameters": {}}, path, name)))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(DANGEROUS)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_target_", "name", "root", "x", *defaults()]) | st.text(max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    path=st.sampled_from(
        [*NAMED, ("data",), ("data", "root"), ("hyperparameters",), ("run", "max_time"), ("x",), ("result",)]
    ),
    value=JSON,
)
@example(path=("hyperparameters", "milestones"), value="[" * 5000)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_any_json_is_either_refused_in_lines_or_plain_values(write, path, value):
    file = write(json.dumps(put({"hyperparameters": {}}, path, copy.deepcopy(value))))
    try:
        found = load_experiment(file)
    except ConfigError as error:
        assert error.problems
        assert not any("\n" in line or "\r" in line for line in error.problems)
        return
    for key, item in found.values.items():
        assert not key.startswith(("_", "hydra", "tracking"))
        assert "${" not in json.dumps(item)


def test_nothing_of_a_file_is_ever_imported(write, monkeypatch):
    def trap(*args, **_):
        raise AssertionError(f"imported {args}")

    for name in ("visrun.build", "visrun.config.plugins", "importlib"):  # each has bound it
        monkeypatch.setattr(f"{name}.import_module", trap)
    before = set(sys.modules)
    load_experiment(write(whole()))
    assert not [name for name in set(sys.modules) - before if not name.startswith("encodings.")]


def test_a_sweeps_folder_stands_for_its_best_trial(tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "experiment.json").write_text('{"hyperparameters": {"learning_rate": 0.25}}')
    found = load_experiment(tmp_path)
    assert (found.path, found.values) == (tmp_path / "best" / "experiment.json", {"learning_rate": 0.25})
    (tmp_path / "experiment.json").write_text('{"hyperparameters": {"learning_rate": 0.5}}')
    assert load_experiment(tmp_path).values == {"learning_rate": 0.5}
