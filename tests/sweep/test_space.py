"""The space of a study: what words vary, what a trial reads of it, and all its points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from visrun import hyperparameters
from visrun.config.compose import resolve
from visrun.config.configs import open_conf
from visrun.config.setting_rules import READ_WHEN
from visrun.config.spelling import PLAIN, encode, text
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.sweep.dimensions import Steps
from visrun.sweep.space import Base, Searched, Space, base_of, composed, read_space
from visrun.tables import AUGMENTATIONS, MODELS, SETTINGS, ModelEntry, Setting

BASE = Base(values=hyperparameters.defaults(), task="classification", model="resnet18")


def based(*, task: str = "classification", model: str = "resnet18", **values: Any) -> Base:
    return Base(values={**hyperparameters.defaults(), **values}, task=task, model=model)


def parsed(word: str) -> Any:
    """The value that Hydra reads in a word, which is no sweep."""
    override = OverridesParser.create().parse_overrides([word])[0]
    assert not override.is_sweep_override()
    return override.value()


def over(*typed: str, base: Base = BASE) -> Searched:
    return Searched(read_space(typed), base)


def points(*typed: str, base: Base = BASE, limit: int = 1000) -> list[dict[str, Any]]:
    found = over(*typed, base=base).combinations(limit)
    assert found is not None
    return found


class TestReadSpace:
    @pytest.mark.parametrize(
        ("word", "choices"),
        [
            ("data.image_size=64,96", (64, 96)),
            ("data.image_size=[64,96],64", ("[64,96]", 64)),
            ("milestones=choice([10,20],[30])", ("[10,20]", "[30]")),
            ("data.root='/a,b','/c d'", ("'/a,b'", "'/c d'")),
            ("data.root=choice('/a,b','/c (d)')", ("'/a,b'", "'/c (d)'")),
            ("data.root=/photos,/more/photos.v2", ("/photos", "/more/photos.v2")),
            ("data.root=null,'null'", ("null", "'null'")),
            ("run.deterministic=true,false", (True, False)),
            ("learning_rate=1e-3,0.0001", (0.001, 0.0001)),
            ("learning_rate=0.1,0.30000000000000004", (0.1, 0.30000000000000004)),
            ("tracking.run_name='1',a", ("'1'", "a")),
            ("optimizer=choice(adam)", ("adam",)),
            ("optimizer=adam,'adam',sgd", ("adam", "sgd")),
            ("batch_size=8,8,16,8.0", (8, 16)),
            ("batch_size=sort(32,8,16)", (8, 16, 32)),
            ("batch_size=tag(log,choice(8,16))", (8, 16)),
            ("batch_size=float(range(1,4))", (1.0, 2.0, 3.0)),
        ],
    )
    def test_choices_are_encoded_so_that_each_is_its_own(self, word: str, choices: tuple[Any, ...]) -> None:
        (distribution,) = read_space([word]).distributions.values()
        assert isinstance(distribution, CategoricalDistribution)
        assert distribution.choices == choices
        assert [type(choice) for choice in distribution.choices] == [type(choice) for choice in choices]

    @pytest.mark.parametrize(
        ("word", "distribution", "values"),
        [
            ("batch_size=range(1,4)", IntDistribution(1, 3), [1, 2, 3]),
            ("batch_size=range(1,10,2)", IntDistribution(1, 9, step=2), [1, 3, 5, 7, 9]),
            ("batch_size=range(4,1,-1)", IntDistribution(2, 4), [4, 3, 2]),
            ("batch_size=sort(range(4,1,-1))", IntDistribution(2, 4), [2, 3, 4]),
            ("batch_size=range(5,6)", IntDistribution(5, 5), [5]),
            ("batch_size=interval(1,4)", IntDistribution(1, 4), [1, 2, 3, 4]),
            ("batch_size=int(interval(1,4))", IntDistribution(1, 4), [1, 2, 3, 4]),
            ("batch_size=tag(log,interval(1,4))", IntDistribution(1, 4, log=True), [1, 2, 3, 4]),
            ("data.image_size=interval(32,33)", IntDistribution(32, 33), [32, 33]),
            ("dropout=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
            ("dropout=range(0.5,0.1,-0.1)", FloatDistribution(0.2, 0.5, step=0.1), [0.5, 0.4, 0.3, 0.2]),
            ("dropout=interval(0.5,0.5)", FloatDistribution(0.5, 0.5), [0.5]),
            ("momentum=interval(0,1)", FloatDistribution(0.0, 1.0), None),
            ("learning_rate=interval(1e-5,1)", FloatDistribution(1e-5, 1.0), None),
            ("learning_rate=tag(log,interval(1e-5,1e-1))", FloatDistribution(1e-5, 0.1, log=True), None),
            ("augment.mixup=interval(0,1)", FloatDistribution(0.0, 1.0), None),
        ],
    )
    def test_ranges_and_intervals(self, word: str, distribution: Any, values: list[Any] | None) -> None:
        (dimension,) = read_space([word]).dimensions.values()
        assert dimension.distribution == distribution
        assert (None if dimension.values is None else list(dimension.values)) == values
        for value in values or []:
            assert distribution._contains(distribution.to_internal_repr(value))

    @pytest.mark.parametrize(
        ("word", "notices"),
        [
            ("learning_rate=tag(log,range(0.001,0.1,0.01))", ("learning_rate", "tag(log,interval(0.001,0.1))")),
            ("batch_size=tag(log,range(8,129))", ("batch_size", "tag(log,interval(8,129))")),
            ("batch_size=range(8,129)", ()),
            ("batch_size=tag(log,interval(8,128))", ()),
            ("batch_size=tag(log,choice(8,128))", ()),
        ],
    )
    def test_a_logarithm_that_does_not_count_is_said(self, word: str, notices: tuple[str, ...]) -> None:
        said = read_space([word]).notices
        assert len(said) == bool(notices) and all(part in said[0] for part in notices), said

    @pytest.mark.parametrize("word", ["batch_size=shuffle(1,2,3,4,5)", "batch_size=shuffle(range(1,6))"])
    def test_a_shuffle_is_one_order_in_every_process(self, word: str) -> None:
        first, second = (read_space([word]).distributions for _ in range(2))
        assert first == second
        assert sorted(first["batch_size"].choices) == [1, 2, 3, 4, 5]  # type: ignore[attr-defined]
        assert points(word) == [{"batch_size": choice} for choice in first["batch_size"].choices]  # type: ignore[attr-defined]

    def test_what_does_not_vary_stays_as_it_stands(self) -> None:
        space = read_space(["seed=3", "data.root='/a b'", "optimizer=adam,sgd", "~x", "+recipe=quick"])
        assert space.fixed == ("seed=3", "data.root='/a b'", "~x", "+recipe=quick")
        assert list(space.distributions) == ["optimizer"]

    def test_a_recipe_keeps_its_plus_in_words_only(self) -> None:
        searched = over("+recipe=quick,fine_tune")
        assert list(searched.space.distributions) == ["recipe"]
        assert searched.words({"recipe": "quick"}) == ["+recipe=quick"]

    def test_a_trial_without_a_recipe_has_no_word_for_it(self) -> None:
        searched = over("+recipe=quick,null", "seed=1,2")
        assert searched.words({"recipe": None, "seed": 1}) == ["seed=1"]

    def test_of_two_words_for_a_key_the_later_stands(self) -> None:
        assert read_space(["optimizer=adam,sgd", "optimizer=adam"]) == Space(fixed=("optimizer=adam",))
        assert read_space(["optimizer=adam", "optimizer=adam,sgd"]).fixed == ()

    def test_a_glob_lists_the_options(self, tmp_path: Path) -> None:
        space = read_space(["model=glob(resnet*)"], options=open_conf(tmp_path).loader)
        assert space.dimensions["model"].values == ("resnet18", "resnet34", "resnet50")

    def test_every_parameter_follows_what_decides_about_it(self) -> None:
        typed = ["momentum=0.8,0.9", "loss_options.gamma=1,2", "dropout=0,0.5", "learning_rate=1e-3,1e-2"]
        typed += ["loss=focal,bce", "model=resnet18,resnet34", "optimizer=adam,sgd"]
        names = list(read_space(typed).distributions)
        assert names.index("momentum") > names.index("optimizer")
        assert names.index("loss_options.gamma") > names.index("loss")
        assert names.index("dropout") > names.index("model")
        assert sorted(names) == sorted(word.partition("=")[0] for word in typed)

    @pytest.mark.parametrize(
        ("word", "line"),
        [
            ("model=glob(nothing*)", "model: sweeps over no value"),
            ("batch_size=range(4,4)", "batch_size=range(4,4): not readable as a sweep: "),
            ("dropout=interval(0.5,0.1)", "dropout=interval(0.5,0.1): not readable as a sweep: "),
            ("batch_size=interval(1.5,4)", "batch_size=interval(1.5,4): its ends must be integers"),
            ("batch_size=range(1,4,0)", "batch_size=range(1,4,0): not readable as a sweep: "),
            ("batch_size=choice(", "batch_size=choice(: not readable as a sweep"),
        ],
    )
    def test_every_wrong_sweep_is_one_line(self, word: str, line: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            read_space([word, "optimizer=adam,sgd"], options=open_conf(tmp_path).loader)
        assert len(caught.value.problems) == 1
        assert caught.value.problems[0].startswith(line)
        assert "\n" not in str(caught.value)

    def test_nothing_is_a_space_with_one_point(self) -> None:
        assert read_space([]) == Space()
        assert points() == [{}]
        assert points("seed=3") == [{}]
        assert Searched(Space(), BASE).words({}) == []


class TestLosses:
    def test_losses_of_other_tasks_never_become_a_trial(self) -> None:
        space = read_space(["loss=cross_entropy,mse,focal"], base=BASE)
        assert space.dimensions["loss"].values == ("cross_entropy", "focal")
        assert space.distributions["loss"] == CategoricalDistribution(("cross_entropy", "focal"))
        assert len(space.notices) == 1
        assert space.notices[0].startswith("loss=mse is left out: task=classification with model=resnet18 takes ")

    def test_losses_that_a_model_cannot_honour_never_become_a_trial(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = ModelEntry(build="", tasks=("classification",), parameters=1.0, speed=1, accuracy=1, losses=("bce",))
        monkeypatch.setitem(MODELS, "proud", entry)
        assert read_space(["loss=bce,focal"], base=based(model="proud")).dimensions["loss"].values == ("bce",)
        varied = read_space(["model=resnet18,proud", "loss=bce,focal"], base=BASE)
        assert varied.dimensions["loss"].values == ("bce",)
        named = read_space(["model=torchvision", "model.name=resnet18,proud", "loss=bce,focal"], base=BASE)
        assert named.dimensions["loss"].values == ("bce",)

    def test_models_of_other_tasks_never_become_a_trial(self) -> None:
        space = read_space(["model=patchcore,resnet18,resnet50,unet", "loss=focal,mse"], base=BASE)
        assert space.dimensions["model"].values == ("resnet18", "resnet50")
        assert space.dimensions["loss"].values == ("focal",)
        assert space.notices[0] == "model=patchcore, unet is left out: no model of task=classification"
        both = read_space(["model=resnet18,unet,patchcore", "task=classification,segmentation"], base=BASE)
        assert both.dimensions["model"].values == ("resnet18", "unet")
        with pytest.raises(ConfigError, match="model: no model is left to try"):
            read_space(["model=choice(patchcore)"], base=BASE)

    def test_an_option_that_needs_a_name_becomes_a_trial_where_it_has_one(self) -> None:
        space = read_space(["model=timm,resnet18,torchvision"], base=BASE)
        assert space.dimensions["model"].values == ("resnet18",)
        assert space.notices == (
            "model=timm is left out: it needs a model.name",
            "model=torchvision is left out: it needs a model.name",
        )
        for named in ("model.name=resnet50", "model.name=resnet50,resnet34"):
            assert len(read_space(["model=timm,torchvision", named], base=BASE).dimensions["model"].values) == 2

    def test_tasks_that_share_no_loss_are_an_error(self) -> None:
        shared = read_space(["task=classification,segmentation", "loss=focal,bce,dice"], base=BASE)
        assert shared.dimensions["loss"].values == ("focal",)
        with pytest.raises(ConfigError, match="loss: no loss is left to try"):
            read_space(["task=classification,regression", "loss=mse,bce"], base=BASE)


DECIDERS = {
    "optimizer": "optimizer=adam,adamw,sgd",
    "scheduler": "scheduler=cosine,step,multistep,poly,none",
    "loss": "loss=cross_entropy,label_smoothing,focal,bce,ce_dice,huber,smooth_l1",
}
CONDITIONS = [
    (name, key, value)
    for name, row in READ_WHEN.items()
    for key, wanted in row.items()
    if key in DECIDERS  # the others are facts of the model and the task, and settings
    for value in wanted
]


class TestActive:
    @pytest.mark.parametrize(("name", "key", "value"), CONDITIONS)
    def test_a_parameter_is_read_exactly_where_its_row_says(self, name: str, key: str, value: Any) -> None:
        searched = over(f"{name}=0.1,0.2", DECIDERS[key])
        wanted = READ_WHEN[name][key]
        for other in searched.space.dimensions[key].values or ():
            assert (name in searched.active({name: 0.1, key: other})) == (other in wanted)
        assert searched.active({name: 0.1, key: value}) == (key, name)

    @pytest.mark.parametrize(("name", "key", "value"), CONDITIONS)
    def test_what_is_typed_decides_as_well(self, name: str, key: str, value: Any) -> None:
        other = "cosine" if key == "scheduler" else "adam" if value == "sgd" else "sgd" if key == "optimizer" else "mse"
        assert over(f"{name}=0.1,0.2", base=based(**{key: value})).active({name: 0.1}) == (name,)
        assert over(f"{name}=0.1,0.2", base=based(**{key: other})).active({name: 0.1}) == ()
        assert len(points(f"{name}=0.1,0.2", base=based(**{key: other}))) == 1

    def test_a_model_with_a_loss_of_its_own_leaves_beta_unread(self) -> None:
        searched = over(
            "loss_options.beta=0.1,0.2",
            "model=fasterrcnn,retinanet",
            base=based(task="object_detection", model="retinanet", loss="smooth_l1"),
        )
        assert searched.active({"loss_options.beta": 0.1, "model": "retinanet"}) == ("model", "loss_options.beta")
        assert searched.active({"loss_options.beta": 0.1, "model": "fasterrcnn"}) == ("model",)

    def test_a_model_decides_about_dropout(self) -> None:
        searched = over("dropout=0.1,0.2", "model=lraspp,unet", base=based(task="segmentation", model="lraspp"))
        assert searched.active({"dropout": 0.1, "model": "unet"}) == ("model", "dropout")
        assert searched.active({"dropout": 0.1, "model": "lraspp"}) == ("model",)
        assert searched.combinations(10) == [
            {"model": "lraspp"},
            {"dropout": 0.1, "model": "unet"},
            {"dropout": 0.2, "model": "unet"},
        ]
        assert over("dropout=0.1,0.2", base=searched.base({})).active({"dropout": 0.1}) == ()

    def test_a_model_decides_whether_anything_is_learnt_by_steps(self) -> None:
        searched = over(
            "model=resnet18,patchcore",
            "learning_rate=0.1,0.2",
            "model_options.coreset=0.1,0.5",
            base=based(task="anomaly_detection", model="resnet18"),
        )
        assert searched.combinations(10) == [
            {"model": "resnet18", "learning_rate": 0.1},
            {"model": "resnet18", "learning_rate": 0.2},
            {"model": "patchcore", "model_options.coreset": 0.1},
            {"model": "patchcore", "model_options.coreset": 0.5},
        ]

    def test_a_list_of_augmentations_decides_about_a_plugins_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(AUGMENTATIONS, "mine", lambda images, rng, share: images)
        monkeypatch.setitem(SETTINGS, "augment.share", Setting(0.5, "Mine."))
        searched = over("augment.share=0.1,0.2", "augment.extra=[],[blur],[blur,mine]", base=based())
        assert searched.combinations(10) == [
            {"augment.extra": "[]"},
            {"augment.extra": "[blur]"},
            {"augment.share": 0.1, "augment.extra": "[blur,mine]"},
            {"augment.share": 0.2, "augment.extra": "[blur,mine]"},
        ]

    def test_what_decides_and_is_not_read_makes_no_trial_twice(self) -> None:
        searched = over(
            "model=patchcore,dense_resnet18",
            "optimizer=adam,sgd",
            "momentum=0.8,0.9",
            base=based(task="anomaly_detection", model="patchcore"),
        )
        dense = {"model": "dense_resnet18"}
        assert searched.combinations(10) == [
            {"model": "patchcore"},
            {**dense, "optimizer": "adam"},
            {**dense, "optimizer": "sgd", "momentum": 0.8},
            {**dense, "optimizer": "sgd", "momentum": 0.9},
        ]
        assert searched.count() == 4
        assert points("optimizer=adam,sgd", "momentum=0.8,0.9", base=searched.base({})) == [{}]

    def test_a_builders_name_decides_too(self) -> None:
        searched = over(
            "model=torchvision",
            "model.name=lraspp_mobilenet_v3_large,fcn_resnet101",
            "dropout=0,0.5",
            base=based(task="segmentation", model="lraspp_mobilenet_v3_large"),
        )
        assert searched.count() == 3

    def test_a_task_takes_its_own_mixes_only(self) -> None:
        assert points("augment.mixup=0.0,0.2", base=based(task="segmentation", model="unet")) == [{}]
        assert len(points("task=classification,segmentation", "augment.mixup=0.0,0.2")) == 3

    @pytest.mark.parametrize(
        ("typed", "wanted"),
        [
            (["data.overlap=64,128"], 1),
            (["data.overlap=64,128", "data.tile=null,512"], 3),
            (["data.tile=256,512", "data.overlap=64,128"], 4),
            (["data.cache=auto,ram,stream", "data.cache_gb=1,2", "data.cache_dir=/a,/b"], 7),
            (["tracking=none,mlflow", "tracking.uri=choice(/a,/b)"], 3),
            (["tracking.name=none,mlflow", "tracking.uri=choice(/a,/b)"], 3),
            (["data=demo,folder", "data.overlap=64,128"], 2),
            (["model.weights=null,net.pt", "model.pretrained=auto,false"], 3),
        ],
    )
    def test_sections_decide_too(self, typed: list[str], wanted: int) -> None:
        base = base_of(resolve(["task=object_detection", "model=dense_resnet18"]))
        searched = over(*typed, base=base)
        found = points(*typed, base=base)
        assert len(found) == wanted == searched.count()
        assert all(
            searched.active(point) == tuple(name for name in searched.space.distributions if name in point)
            for point in found
        )

    def test_some_trial_reads_what_does_not_vary(self) -> None:
        assert over("optimizer=adam,sgd", "model=resnet18,resnet34").some_read("momentum")
        assert not over("optimizer=adam,adamw").some_read("momentum")
        assert over(base=based(optimizer="sgd")).some_read("momentum")

    def test_parameters_chosen_one_after_the_other(self) -> None:
        assert over().reads("momentum", {"optimizer": "sgd"})
        assert not over().reads("momentum", {"optimizer": "adam"})
        assert not over().reads("momentum", {})
        assert over().reads("learning_rate", {})

    def test_words_leave_out_what_is_not_read(self) -> None:
        typed = ["seed=3", "optimizer=adam,sgd", "momentum=interval(0.8,0.98)", "milestones=[10,20],[30]"]
        searched = over(*typed)
        params = {"optimizer": "sgd", "momentum": 0.8123456789012345, "milestones": "[30]"}
        assert searched.words(params) == ["optimizer=sgd", "momentum=0.8123456789012345"]
        assert searched.words({**params, "optimizer": "adam"}) == ["optimizer=adam"]
        assert over(*typed, base=based(scheduler="multistep")).words(params)[-1] == "milestones=[30]"


class TestCombinations:
    def test_momentum_counts_for_sgd_only(self) -> None:
        wanted = [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.8}, {"optimizer": "sgd", "momentum": 0.9}]
        assert points("optimizer=adam,sgd", "momentum=0.8,0.9") == wanted

    def test_the_last_typed_varies_fastest_and_the_first_of_its_like_stands(self) -> None:
        assert points("momentum=0.8,0.9", "optimizer=adam,sgd") == [
            {"optimizer": "adam"},
            {"momentum": 0.8, "optimizer": "sgd"},
            {"momentum": 0.9, "optimizer": "sgd"},
        ]
        found = points("optimizer=adam,sgd", "scheduler=cosine,poly")
        assert [tuple(point.values()) for point in found] == [
            ("adam", "cosine"),
            ("adam", "poly"),
            ("sgd", "cosine"),
            ("sgd", "poly"),
        ]

    def test_an_integer_ranges_ends(self) -> None:
        assert [point["batch_size"] for point in points("batch_size=range(1,4)")] == [1, 2, 3]
        assert [point["batch_size"] for point in points("batch_size=interval(1,4)")] == [1, 2, 3, 4]

    def test_a_continuous_parameter_has_no_combinations(self) -> None:
        searched = over("optimizer=adam,sgd", "momentum=interval(0.8,0.9)")
        assert searched.combinations(10) is None
        assert searched.count() is None

    def test_one_that_no_trial_reads_does_not_make_it_continuous(self) -> None:
        assert points("batch_size=8,16", "momentum=interval(0.8,0.9)") == [{"batch_size": 8}, {"batch_size": 16}]

    def test_single_values(self) -> None:
        assert points("optimizer=choice(sgd)", "momentum=interval(0.9,0.9)", "seed=range(3,4)") == [
            {"optimizer": "sgd", "momentum": 0.9, "seed": 3}
        ]

    def test_a_huge_grid_is_counted_and_cut(self) -> None:
        typed = ["seed=range(0,1000000000)", "learning_rate=range(0.001,1,0.000001)", "optimizer=adam,sgd"]
        searched = over(*typed, "momentum=range(0,0.9,0.00001)")
        rates, momenta = 999_000, 90_000
        assert searched.count() == 10**9 * rates * (1 + momenta)
        found = searched.combinations(2)
        assert found is not None
        assert [tuple(point.values()) for point in found] == [
            (0, 0.001, "adam"),
            (0, 0.001, "sgd", 0.0),
            (0, 0.001, "sgd", 1e-05),
        ]

    def test_a_limit_shows_that_there_are_more(self) -> None:
        assert [len(points("batch_size=range(1,11)", limit=limit)) for limit in (0, 3, 9, 10, 99)] == [1, 4, 10, 10, 10]


class TestComposed:
    def test_a_model_may_bring_another_optimizer(self, tmp_path: Path) -> None:
        def run(typed: list[str]) -> Any:
            return resolve(typed, open_conf(tmp_path))

        typed = [
            "seed=1",
            "model=resnet18,vit_b_16",
            "optimizer_options.betas=[0.9,0.99],[0.9,0.999]",
            "momentum=0.8,0.9",
        ]
        space = read_space(typed)
        searched = composed(space, run(["model=resnet18"]), run)
        assert searched.base({"model": "vit_b_16", "momentum": 0.8}).values["optimizer"] == "adamw"
        assert searched.base({"model": "resnet18"}).values["optimizer"] == "adam"
        assert searched.count() == 4

    def test_a_recipe_may_too(self, tmp_path: Path) -> None:
        (tmp_path / "conf/recipe").mkdir(parents=True)
        (tmp_path / "conf/recipe/mine.yaml").write_text("optimizer: sgd\n", encoding="utf-8")
        calls = []

        def run(typed: list[str]) -> Any:
            calls.append(typed)
            return resolve(typed, open_conf(tmp_path))

        space = read_space(["+recipe=quick,mine", "momentum=0.8,0.9"])
        searched = composed(space, resolve(["recipe=quick"], open_conf(tmp_path)), run)
        assert searched.combinations(10) == [
            {"recipe": "quick"},
            {"recipe": "mine", "momentum": 0.8},
            {"recipe": "mine", "momentum": 0.9},
        ]
        assert len(calls) == 2

    def test_without_such_a_choice_there_is_one_base(self, tmp_path: Path) -> None:
        first = resolve(["optimizer=sgd"], open_conf(tmp_path))
        searched = composed(read_space(["momentum=0.8,0.9"]), first, lambda _: pytest.fail("nothing to compose"))
        assert searched.bases == base_of(first)
        assert searched.base({}).values["optimizer"] == "sgd"

    def test_first_values_that_do_not_go_together_are_those_of_the_job_that_runs(self, tmp_path: Path) -> None:
        first = resolve(["max_epochs=9", "warmup_epochs=4", "model=resnet18"], open_conf(tmp_path))
        space = read_space(["max_epochs=2,9", "warmup_epochs=4,5", "model=resnet18,vit_b_16"])
        searched = composed(space, first, lambda typed: resolve(typed, open_conf(tmp_path)))
        assert searched.base({"model": "vit_b_16"}).values["optimizer"] == "adamw"

    def test_a_choice_that_does_not_compose_has_the_first_jobs_values(self, tmp_path: Path) -> None:
        first = resolve([], open_conf(tmp_path))
        space = read_space(["model=resnet18,unet", "momentum=0.8,0.9"])
        searched = composed(space, first, lambda typed: resolve(typed, open_conf(tmp_path)))
        assert searched.base({"model": "unet"}) == base_of(first)


class TestSteps:
    def test_values_are_decimal_and_held_nowhere(self) -> None:
        (dimension,) = read_space(["dropout=range(0.1,0.8,0.1)"]).dimensions.values()
        values = dimension.values
        assert isinstance(values, Steps)
        assert list(values) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
        assert (values[-1], values[1:3]) == (0.7, [0.2, 0.3])
        with pytest.raises(IndexError):
            values[7]


# properties

NAMES = {
    "optimizer": ["adam", "adamw", "sgd"],
    "scheduler": ["cosine", "step", "multistep", "poly", "none"],
    "loss": ["cross_entropy", "label_smoothing", "focal", "bce"],
    "momentum": [0.5, 0.9],
    "gamma": [0.1, 0.2, 0.5],
    "step_size": [5, 10],
    "milestones": ["[10,20]", "[30]"],
    "poly_power": [0.9, 1.0],
    "dropout": [0.0, 0.5],
    "loss_options.gamma": [1.0, 2.0],
    "loss_options.smoothing": [0.05, 0.1],
    "optimizer_options.nesterov": [True, False],
    "learning_rate": [0.001, 0.01],
}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    names = draw(st.permutations(sorted(NAMES)))[: draw(st.integers(0, 5))]
    picked = {name: draw(st.lists(st.sampled_from(NAMES[name]), min_size=1, unique=True)) for name in names}
    return read_space([f"{name}=choice({','.join(map(text_of, values))})" for name, values in picked.items()])


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else text(value)


@st.composite
def bases_drawn(draw: st.DrawFn) -> Base:
    models = [("classification", "resnet18"), ("segmentation", "lraspp"), ("anomaly_detection", "patchcore")]
    task, model = draw(st.sampled_from(models))
    own = {name: draw(st.sampled_from(NAMES[name])) for name in ("optimizer", "scheduler", "loss")}
    return based(task=task, model=model, **own)


def every_product(space: Space) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{}]
    for name, dimension in space.dimensions.items():
        found = [{**point, name: value} for point in found for value in dimension.values or ()]
    return found


@settings(deadline=None, max_examples=60)
@given(space=spaces(), base=bases_drawn())
def test_combinations_are_the_products_collapsed_in_their_order(space: Space, base: Base) -> None:
    searched = Searched(space, base)
    slow: dict[Any, dict[str, Any]] = {}
    for point in every_product(space):
        names = searched.active(point)
        read = tuple((name, point[name]) for name in names)
        slow.setdefault(read, {name: point[name] for name in point if name in names})
    found = searched.combinations(10_000)
    assert found == list(slow.values())
    assert searched.count() == len(slow)
    assert searched.combinations(2) == found[:3]


@settings(deadline=None, max_examples=60)
@given(space=spaces(), base=bases_drawn(), data=st.data())
def test_active_is_idempotent_and_closed(space: Space, base: Base, data: st.DataObject) -> None:
    searched = Searched(space, base)
    point = data.draw(st.sampled_from(every_product(space)))
    names = searched.active(point)
    kept = {name: point[name] for name in names}
    assert searched.active(kept) == names
    assert searched.words(point) == searched.words(kept)
    for index, name in enumerate(space.distributions):
        before = {key: point[key] for key in list(space.distributions)[:index] if key in kept}
        assert searched.reads(name, before) == (name in names)


@settings(deadline=None, max_examples=60)
@given(space=spaces(), base=bases_drawn())
def test_every_trials_words_say_its_values(space: Space, base: Base) -> None:
    searched = Searched(space, base)
    for point in searched.combinations(20) or []:
        said = {word.partition("=")[0]: parsed(word) for word in searched.words(point)}
        assert {name: encode(value) for name, value in said.items()} == point


PLAIN_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["C"]))
    | st.from_regex(PLAIN, fullmatch=True),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(PLAIN_VALUES, min_size=1, max_size=4))
def test_choices_survive_both_ways_of_writing_them(values: list[Any]) -> None:
    assume("${" not in repr(values))
    choices = list(dict.fromkeys(map(encode, values)))
    written = ",".join(map(text, values))
    forms = [f"key={written}"] if len(values) > 1 else []
    forms += [f"key=choice({written})"] if None not in values else []  # Hydra's choice() takes no null
    for form in forms:
        (dimension,) = read_space([form]).dimensions.values()
        assert list(dimension.values or ()) == choices
        assert all(dimension.distribution.to_internal_repr(choice) == index for index, choice in enumerate(choices))


@settings(deadline=None, max_examples=100)
@given(low=st.floats(1e-300, 1e300), value=st.floats(1e-300, 1e300))
def test_floats_keep_every_digit(low: float, value: float) -> None:
    low, high = min(low, value), max(low, value)
    assume(low < high)
    space = read_space([f"learning_rate=tag(log,interval({low!r},{high!r}))"])
    assert space.distributions["learning_rate"] == FloatDistribution(low, high, log=True)
    (word,) = Searched(space, BASE).words({"learning_rate": value})
    assert parsed(word) == value


@pytest.mark.parametrize("name", hyperparameters.READ_WHEN)
def test_every_row_of_the_table_names_what_a_space_can_decide(name: str) -> None:
    assert set(READ_WHEN[name]) <= {*Hyperparameters.model_fields, "drops", "gradient"}


def test_a_mapping_of_values_is_not_changed() -> None:
    values: Mapping[str, Any] = hyperparameters.defaults()
    points("optimizer=adam,sgd", "momentum=0.8,0.9", base=Base(values=values, task="classification", model="resnet18"))
    assert values == hyperparameters.defaults()
