"""Words of the command line: quoting, what is refused, and the round trip through Hydra's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from visrun.config.choices import known
from visrun.config.overrides import (
    GROUPS,
    NAME_LISTS,
    PATHS,
    TEXTS,
    Words,
    absolute,
    hydra_value,
    hydra_words,
    parse,
    run_dir,
)

CWD = Path("/home/anna")


def read(*words: str, multirun: bool = False) -> Words:
    return parse(words, known=known(), cwd=CWD, multirun=multirun)


def parsed(line: str) -> object:
    return OverridesParser.create().parse_overrides([line])[0].value()


texts = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "${" not in text)


@pytest.mark.parametrize(
    "path",
    [
        "/data/a(1)/b",
        "/data/a,b",
        "/data/a b ",
        "/data/x=y",
        "/data/~old",
        "/data/Käfer/画像",
        "/data/[1]{2}",
        "/data/it's",
        "/data/back\\slash",
        "/data/'half",
        "/data/a:b?c*d@e",
        "/data/$HOME",
        "/data/100%",
    ],
)
@pytest.mark.parametrize("key", ["data.root", "data.cache_dir", "model.weights", "experiment"])
@pytest.mark.parametrize("multirun", [False, True])
def test_any_path_is_taken_as_it_stands(path: str, key: str, multirun: bool) -> None:
    words = read(f"{key}={path}", multirun=multirun)
    assert not words.problems
    (item,) = words.typed
    assert (item.key, item.value, item.values) == (key, path, ())
    assert parsed(item.line) == path


@given(texts)
def test_every_path_arrives_whole(text: str) -> None:
    (item,) = read(f"data.root=/{text}").typed
    assert item.value == absolute(f"/{text}", CWD)
    if ".." not in Path(text).parts:
        assert Path(item.value) == Path(f"/{text}")
    assert parsed(item.line) == item.value


def test_paths_start_in_the_shells_folder() -> None:
    assert read("data.root=photos (1)").typed[0].value == "/home/anna/photos (1)"
    assert read("data.root=../b").typed[0].value == "/home/b"
    assert read("data.root=./~").typed[0].value == "/home/anna/~"


def test_a_path_that_climbs_is_the_one_on_the_disk(tmp_path: Path) -> None:
    """So that a run's own experiment.json, where nothing may climb, can be given back; behind a link, too."""
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert absolute("link/../photos", tmp_path) == str(tmp_path.resolve() / "far" / "photos")
    assert absolute("link/photos", tmp_path) == str(tmp_path / "link" / "photos")
    assert absolute("a\0/../b", tmp_path) == f"{tmp_path}/a\0/../b"  # which the schema refuses


def test_a_leading_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ben")
    assert read("data.root=~/x").typed[0].value == "/home/ben/x"
    assert absolute("~no_such_user/x", CWD) == "/home/anna/~no_such_user/x"
    words = ["hydra.run.dir=~/x (1)", "hydra.sweep.dir=~/${now:%Y}", "hydra.run.dir='~/x'"]
    assert hydra_words(words) == ["hydra.run.dir='/home/ben/x (1)'", "hydra.sweep.dir='/home/ben/${now:%Y}'", words[2]]


def test_quotes_that_are_there_are_respected() -> None:
    assert read("data.root='/a, b'").typed[0].value == "/a, b"
    assert read('data.root="it\'s"').typed[0].value == "/home/anna/it's"
    assert read("data.root='/a','/b'", multirun=True).typed[0].values == ("/a", "/b")
    assert read("data.root=choice('/a','/b')", multirun=True).typed[0].values == ("/a", "/b")


def test_null_stays_null() -> None:
    assert read("data.root=null").typed[0].value is None
    assert read("data.root='null'").typed[0].value == "/home/anna/null"


def test_free_texts_need_no_quotes() -> None:
    assert read("tracking.run_name=second try (a, b)").typed[0].value == "second try (a, b)"
    assert read("tracking.uri=http://host:5000/?a=b,c").typed[0].value == "http://host:5000/?a=b,c"
    assert read("tracking.uri=./runs").typed[0].value == "/home/anna/runs"
    assert read("data.classes=[Käfer, big cat,7]").typed[0].value == ["Käfer", "big cat", "7"]
    assert read("data.classes=['a,b',c]").typed[0].value == ["a,b", "c"]
    assert read("data.classes=[a b,c],[007], []", multirun=True).typed[0].values == (["a b", "c"], ["007"], [])
    assert read("data.targets=[Größe in mm,7]").typed[0].value == ["Größe in mm", "7"]


def test_a_text_outside_the_grammar_reaches_its_fields_check() -> None:
    words = read("seed=fünf", "milestones=[3,5")
    assert [item.value for item in words.typed] == ["fünf", "[3,5"]


def test_the_quoted_keys_are_settings() -> None:
    assert {*PATHS, *TEXTS, *NAME_LISTS, *GROUPS} <= known()


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("lr=1", "lr is no setting (did you mean learning_rate?)"),
        ("learning_rat=1", "learning_rat is no setting (did you mean learning_rate?)"),
        ("modle=unet", "modle is no setting (did you mean model?)"),
        ("root=/a", "root is no setting (did you mean data.root?)"),
        ("data.rooot=/a", "data.rooot is no setting (did you mean data.root?)"),
        ("model.root=/a", "model.root is no setting (did you mean data.root?)"),
        ("zzz=1", "zzz is no setting"),
        ("task_optimizer=x", "task_optimizer is no setting (did you mean optimizer?)"),
        ("+momentum=0.5", "+momentum=0.5: settings are neither added nor removed; write momentum=value"),
        ("++a.b=1", "++a.b=1: settings are neither added nor removed, and a.b is no setting"),
        (
            "+trainer.max_epochs=3",
            "+trainer.max_epochs=3: settings are neither added nor removed, and trainer.max_epochs is no setting "
            "(did you mean max_epochs?)",
        ),
        ("~optimizer", "~optimizer: settings are neither added nor removed; write optimizer=value"),
        ("hello", "hello is no setting; write key=value"),
        ("val", "val is no setting; write visrun evaluate RUN"),
        ("detect", "detect is no setting (did you mean task=object_detection?)"),
        ("imgsz=640", "imgsz is no setting (did you mean data.image_size?)"),
        ("Grad-Clip=1", "Grad-Clip is no setting (did you mean run.clip?)"),
        ("trainer.devices=2", "trainer.devices is no setting (did you mean run.device?)"),
        ("model.optimizer.lr=1", "model.optimizer.lr is no setting (did you mean learning_rate?)"),
        ("lr_config.step=[8,11]", "lr_config.step is no setting (did you mean milestones?)"),
        ("box=7.5", "box is no setting; the parts of a detector's loss have fixed weights"),
        ("trainer.num_nodes=2", "trainer.num_nodes is no setting; a run trains on one device; a sweep takes several"),
        ("name=first", "name is no setting (did you mean tracking.run_name?)"),
        ("resume=true", "resume is no setting; write visrun resume RUN"),
        ("callbacks=[x]", "callbacks is no setting; runs take no callbacks"),
        ("hydra.sweeper.n_jobs=2", "hydra.sweeper.n_jobs=2: needs -m, as in visrun -m hydra.sweeper.n_jobs=2"),
        ("hydra/launcher=ray", "hydra/launcher=ray: needs -m, as in visrun -m hydra/launcher=ray"),
        ("hydra.sweep.dir=w", "hydra.sweep.dir=w: needs -m, as in visrun -m hydra.sweep.dir=w"),
        (
            "run.device=0,1",
            "run.device=0,1: one run trains on one GPU, such as run.device=cuda:0; -m and hydra.sweeper.n_jobs=2 "
            "spread those of a sweep",
        ),
        ("explian", "explian is no setting; write key=value (did you mean explain?)"),
        ("explain", "explain stands first: visrun explain ..."),
        ("seed=${oc.env:HOME}", "seed=${oc.env:HOME}: ${...} is not taken; write the value itself"),
        ("data.root=/a/${x}", "data.root=/a/${x}: ${...} is not taken; write the value itself"),
        ("seed=???", "seed=???: give a value"),
        ("optimizer=adam,sgd", "optimizer=adam,sgd: one value only; visrun -m runs each"),
        (
            "milestones=3,5",
            "milestones=3,5: one value only; visrun -m runs each, and a list is written milestones=[3,5]",
        ),
        ("plugins=a,b", "plugins=a,b: one value only; visrun -m runs each, and a list is written plugins=[a,b]"),
        ("recipe=a,b", "recipe=a,b: one value only; visrun -m runs each"),
        ("learning_rate=0.1,0.2", "learning_rate=0.1,0.2: one value only; visrun -m runs each"),
        ("milestones=extend_list(3)", "milestones=extend_list(3): give the whole value"),
        ("hydra.run.dir", "hydra.run.dir is no setting, but Hydra's: type hydra.run.dir=VALUE"),
        ("hydra.run.dir=", 'hydra.run.dir="": must be a path'),
        ("hydra.run.dir=''", "hydra.run.dir='': must be a path"),
        ("hydra.run.dir=null", "hydra.run.dir=null: must be a path"),
        ("hydra.searchpath=[file:///a]", "hydra.searchpath is not taken; use --config-dir"),
        ("hydra.job.name=(", "hydra.job.name=(: not readable; put quotes that reach visrun round the value"),
    ],
)
def test_wrong_words(word: str, problem: str) -> None:
    assert read(word).problems == (problem,)


def test_words_of_a_sweep_are_taken_with_m() -> None:
    assert read("hydra.sweeper.n_jobs=2", "hydra/launcher=ray", "hydra.sweep.dir=w", multirun=True) == Words((), ())
    assert read("hydra.run.dir=w", "hydra.job.name=a") == Words((), ())


def test_a_key_given_twice_is_refused_and_everything_wrong_is_said_at_once() -> None:
    words = read("seed=1", "batch_size=8", "seed=2", "zzz=1", "+x=1")
    assert len(words.problems) == 3
    assert words.problems[0] == "seed is given twice: seed=1 and seed=2; keep one"
    assert [item.key for item in words.typed] == ["seed", "batch_size"]
    twice = "hydra.run.dir is given twice: hydra.run.dir='a' and hydra.run.dir='b'; keep one"
    assert read("hydra.run.dir=a", "hydra.run.dir=b").problems == (twice,)


def test_sweeps_list_their_values() -> None:
    words = read(
        "optimizer=adam,sgd", "max_epochs=range(1,4)", "learning_rate=interval(0.5,2)", "seed=3", multirun=True
    )
    assert [item.values for item in words.typed] == [("adam", "sgd"), (1, 2, 3), (0.5, 2), ()]
    assert [item.value for item in words.typed] == ["adam", 1, 0.5, 3]


def test_hydras_own_words_pass_with_their_folders_quoted() -> None:
    words = ["hydra.run.dir=/a (1)/b,c", "seed=1", "+hydra.job.env_set.A=1", "hydra/launcher=basic", "~hydra.x"]
    assert hydra_words(words) == [
        "hydra.run.dir='/a (1)/b,c'",
        "+hydra.job.env_set.A=1",
        "hydra/launcher=basic",
        "~hydra.x",
    ]
    assert hydra_words(["hydra.run.dir=${now:%Y}"]) == ["hydra.run.dir='${now:%Y}'"]


def test_a_folder_of_hydras_is_read_back_unless_hydra_makes_it_up() -> None:
    for text in ("w", "/a (1)/b,c", "it's"):
        assert run_dir(hydra_words(["seed=1", f"hydra.run.dir={text}"])) == Path(text)
    for words in ([], ["hydra.run.dir=${now:%Y}"], ["hydra.sweep.dir=w"]):
        assert run_dir(hydra_words(words)) is None
    assert hydra_value("hydra.sweeper.study_name", ["hydra.sweeper.study_name=null", "hydra.sweeper.study=a"]) is None
    for word in ("hydra.sweeper.worker=true", "++hydra.sweeper.worker=TRUE"):
        assert hydra_value("hydra.sweeper.worker", ["hydra.sweeper.n_jobs=2", word]) == "True"
    assert hydra_value("hydra.mode", ["hydra.mode='MULTIRUN'"]) == "MULTIRUN"
