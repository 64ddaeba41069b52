"""From typed words to one validated configuration: precedence, sources, rules, files, plugins and sweeps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tests import opened
from visrun import hyperparameters
from visrun.config import plugins
from visrun.config.compose import Resolved, check_sweep, look, resolve
from visrun.config.configs import PRIMARY, Conf, open_conf
from visrun.config.fields import flatten, one_of
from visrun.config.lines import texts
from visrun.config.overrides import GROUPS
from visrun.config.search_path import conf_dir
from visrun.config.spelling import to_override
from visrun.errors import PLUGIN_HINT, ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.tables import MODELS

RECIPES = sorted(file.stem for file in (conf_dir() / "recipe").glob("*.yaml"))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shipped() -> Conf:
    return opened.shipped()


def problems(*words: str, conf: Conf | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        resolve(words, conf=conf)
    return caught.value.problems


def experiment(folder: Path, values: dict[str, Any], **more: Any) -> str:
    file = folder / "experiment (1).json"
    file.write_text(json.dumps({"hyperparameters": values, **more}), encoding="utf-8")
    return f"experiment={file}"


def write(folder: Path, files: Mapping[str, str]) -> None:
    """The files of ``conf/`` by their names in it."""
    for name, text in files.items():
        file = folder / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def recipe(folder: Path, text: str, name: str = "mine") -> str:
    write(folder, {f"recipe/{name}": text})
    return f"recipe={name}"


PRECEDENCE = [  # words, key, value, source: each row beats what stands below it in the order of precedence
    (["scheduler=step"], "step_size", 10, "schema"),
    ([], "batch_size", 32, "task"),
    (["task=segmentation"], "batch_size", 8, "task"),
    (["model=vit_b_16"], "warmup_epochs", 5, "architecture"),
    (["task=regression", "model=vit_b_16"], "warmup_epochs", 5, "architecture"),
    (["optimizer=sgd"], "learning_rate", 0.01, "option"),
    (["task=segmentation"], "learning_rate", 0.01, "task"),
    (["task=object_detection"], "learning_rate", 0.005, "task"),
    (["task=object_detection", "optimizer=sgd"], "learning_rate", 0.005, "task"),
    (["task=object_detection", "optimizer=adam"], "learning_rate", 0.001, "option"),
    (["model=vit_b_16"], "learning_rate", 0.000125, "architecture"),
    (["model=vit_b_16"], "optimizer", "adamw", "architecture"),
    (["model=vit_b_16", "optimizer=sgd"], "learning_rate", 0.01, "option"),
    (["model=vit_b_16", "optimizer=adam"], "learning_rate", 0.001, "task"),
    (["model=vit_b_16", "optimizer=adam"], "optimizer", "adam", "you"),
    (["recipe=fine_tune"], "learning_rate", 0.0001, "file"),
    (["recipe=fine_tune"], "optimizer", "adamw", "file"),
    (["recipe=fine_tune", "model=vit_b_16"], "learning_rate", 0.0001, "file"),
    (["recipe=fine_tune", "learning_rate=3e-4"], "learning_rate", 0.0003, "you"),
    (["recipe=fine_tune", "optimizer=sgd"], "learning_rate", 0.01, "option"),
    (["recipe=fine_tune", "optimizer=sgd"], "weight_decay", 0.0001, "option"),
    (["recipe=fine_tune", "optimizer=sgd"], "max_epochs", 30, "file"),
    (["recipe=fine_tune", "optimizer=adamw"], "learning_rate", 0.0001, "file"),
    (["recipe=quick", "optimizer=sgd"], "learning_rate", 0.01, "option"),
    (["milestones=[3,5]", "scheduler=multistep"], "milestones", (3, 5), "you"),
    (["learning_rate=1e-3"], "learning_rate", 0.001, "you"),
]


@pytest.mark.parametrize(("words", "key", "value", "source"), PRECEDENCE, ids=lambda item: str(item))
def test_precedence(words: list[str], key: str, value: object, source: str, shipped: Conf) -> None:
    resolved = resolve(words, conf=shipped)
    assert getattr(resolved.hyperparameters, key) == value
    assert resolved.sources[key] == source
    assert set(resolved.sources) == {*Hyperparameters.model_fields, *flatten(resolved.settings.model_dump())}


def test_the_demo_wants_a_small_net_and_no_mirroring_and_gives_way_to_the_user(shipped: Conf) -> None:
    words = ([], ["model=resnet18", "augment=default"], ["data.root=/photos"])
    demo, typed, own = (resolve(several, conf=shipped) for several in words)
    assert (demo.settings.model.name, demo.settings.augment.hflip) == ("small_resnet", False)
    assert (demo.settings.augment.name, demo.settings.augment.crop_scale) == ("light", (1.0, 1.0))
    assert (typed.settings.model.name, typed.choices["model"]) == ("resnet18", "resnet18")
    assert (typed.settings.augment.name, typed.settings.augment.crop_scale) == ("default", (0.35, 1.0))
    assert (own.settings.model.name, own.settings.augment.hflip) == ("resnet18", True)


def test_a_root_alone_means_recognise_it(shipped: Conf) -> None:
    assert resolve(["data.root=photos"], conf=shipped).settings.data.name == "auto"
    assert resolve(["data.root=photos", "data=folder"], conf=shipped).settings.data.name == "folder"
    assert resolve(["data.root=photos", "data.name=folder"], conf=shipped).settings.data.name == "folder"
    assert resolve(["data.root=null"], conf=shipped).settings.data.name == "demo"
    assert resolve(["data.root=photos"], conf=shipped).settings.data.root == str(shipped.cwd / "photos")


def test_a_models_name_picks_its_option_or_torchvisions(shipped: Conf) -> None:
    vit, other = resolve(["model.name=vit_b_16"], conf=shipped), resolve(["model.name=resnext50_32x4d"], conf=shipped)
    assert (vit.choices["model"], vit.hyperparameters.optimizer) == ("vit_b_16", "adamw")
    assert (other.choices["model"], other.settings.model.name) == ("torchvision", "resnext50_32x4d")
    assert resolve(["model=torchvision", "model.name=resnext50_32x4d"], conf=shipped).settings == other.settings
    assert problems("model=unet", "model.name=resnet18", conf=shipped) == (
        "model.name=resnet18: contradicts model=unet; keep one",
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["learning_rate=0"], ["learning_rate=0: must be a number > 0"]),
        (["learning_rate=nan"], ["learning_rate=NaN: must be a number > 0"]),
        (["learning_rate=inf"], ["learning_rate=Infinity: must be"]),
        (["momentum=1"], ["momentum=1: must be"]),
        (["batch_size=300"], ["batch_size=300: must be an integer from 1 to 256 (", "run.accumulate=N"]),
        (["batch_size=8.5"], ["batch_size=8.5: must be an integer from 1 to 256"]),
        (["max_epochs=true"], ["max_epochs=true: must be an integer"]),
        (["max_epochs="], ["max_epochs=", "must be an integer from 1 to 1000"]),
        (["dropout=null"], ["dropout=null: must be a number from 0 to 0.9"]),
        (["warmup_epochs=5", "max_epochs=5"], ["warmup_epochs=5: must be below max_epochs=5"]),
        (["scheduler=multistep"], ["milestones", "scheduler=multistep needs"]),
        (["scheduler=multistep", "milestones=[5,3]"], ["milestones=[5, 3]: must be", "ascending"]),
        (
            ["task=classification", "loss=dice"],
            ["loss=dice: task=classification takes cross_entropy, label_smoothing, focal or bce"],
        ),
        (["task=regression", "loss=bce"], ["loss=bce: task=regression takes mse, mae, huber or smooth_l1"]),
        (["optimizer=adm"], ["optimizer=adm: must be adam, adamw or sgd", "did you mean adam"]),
        (["optimizer=5"], ["optimizer=5: must be adam, adamw or sgd"]),
        (["scheduler=null"], ["scheduler=null: must be"]),
        (["task=clasification"], ["task=clasification: must be", "(did you mean classification?)"]),
        (
            ["augment.name=ligth"],
            ["augment=ligth: must be default, flips, light, none or strong (did you mean light?)"],
        ),
        (["task=classification", "model=lraspp"], ["model=lraspp: task=classification takes", "resnet18"]),
        (["task=segmentation", "model=resnet18"], ["model=resnet18: task=segmentation takes small_unet", "unet"]),
        (
            ["task=segmentation", "model=fasterrcnn"],  # alone: nothing of the loss, which nobody chose
            ["model=fasterrcnn: task=segmentation takes small_unet", "; task=object_detection takes fasterrcnn"],
        ),
        (["model=resnext50_32x4d"], ["model=torchvision model.name=resnext50_32x4d"]),
        (["task=object_detection", "model=fcos_resnet50_fpn"], ["or torchvision (did you mean fcos?)"]),
        (["model=torchvision"], ["model.name=torchvision", "name the torchvision builder"]),
        (
            ["task=anomaly_detection", "data.root=/a", "model=padim"],
            ["must be convnext_tiny", "patchcore", "(did you mean patchcore?)"],
        ),
        (["task=object_detection", "model=yolo11n.pt"], ["(did you mean dense_resnet18?)"]),
        (["model=runs/best.pt"], ["model=runs/best.pt: is a path, which is written model.weights=runs/best.pt"]),
        (["data=coco.yaml"], ["data=coco.yaml: is a path, which is written data.root=coco.yaml"]),
        (
            ["task=oriented_object_detection", "loss=gwd"],
            ["loss=gwd: must be default, kld, rotated_iou or smooth_l1 (did you mean kld?)"],
        ),
        (["model.pretrained=best.pt"], ["must be auto, true or false (model.weights takes a file)"]),
        (["model.name=resnet1"], ["model.name=resnet1", "did you mean resnet18"]),
        (["data=folder"], ["data.root=null: data=folder needs"]),
        (["sweep=wide"], ["sweep=wide: needs -m", "visrun explain -m sweep=wide shows what it tries"]),
        (
            ["task=segmentation", "data=csv", "data.root=/a"],
            [
                "data=csv: task=segmentation takes demo, auto, masks, coco, yolo, voc, instances, labelme, cvat, "
                "panoptic or rle"
            ],
        ),
        (["data.val_fraction=1.5"], ["data.val_fraction=1.5: must be"]),
        (["data.fold=6/5"], ["data.fold=6/5: must be the part and how many there are, from 1/2 to 1000/1000"]),
        (["run.device=gpu"], ["run.device=gpu: must be auto, cpu, cuda or cuda:N, such as cuda:0"]),
        (["recipe=fast"], [f"recipe=fast: must be {one_of(RECIPES)}"]),
        (["recipe="], [f'recipe="": must be {one_of(RECIPES)}']),
        (["recipe=sub/x"], [f"recipe=sub/x: must be {one_of(RECIPES)}"]),
        (["experiment=nowhere.json"], ["nowhere.json: no such file"]),
        (["plugins=[no_such_module_1]"], ["plugins=no_such_module_1: does not import: ModuleNotFoundError"]),
        (["plugins=[9x]"], ["plugins=9x: must be the name of a module"]),
    ],
    ids=lambda item: " ".join(item),
)
def test_each_wrong_value_is_one_line(words: list[str], parts: list[str], shipped: Conf) -> None:
    (line,) = problems(*words, conf=shipped)
    assert "\n" not in line
    for part in parts:
        assert part in line


@pytest.mark.parametrize("name", ["train", "mnist", "yolo_photos"])
def test_a_folder_whose_name_is_another_tools_word_is_a_path(name: str, empty_folder: Path, shipped: Conf) -> None:
    (empty_folder / name).mkdir()
    assert problems(f"data={name}", conf=shipped) == (f"data={name}: is a path, which is written data.root={name}",)


def test_no_detector_of_torchvision_is_advised_that_has_no_entry(shipped: Conf) -> None:
    (line,) = problems("task=object_detection", "model=ssd300_vgg16", conf=shipped)
    assert line.startswith("model=ssd300_vgg16: must be dense_convnext_tiny, ") and line.endswith(
        f" or torchvision{PLUGIN_HINT}"
    )


def test_everything_wrong_is_said_at_once(shipped: Conf) -> None:
    lines = problems(
        *("lr=1", "seed=1", "seed=2", "+a=1", "optimizer=sdg", "learning_rate=-1", "loss=mse", "run.clip=-1"),
        *("data.cache=tape", "recipe=fast", "max_epochs=0", "warmup_epochs=70"),
        conf=shipped,
    )
    assert [line.split(":")[0].split(" ")[0] for line in lines] == [
        *("lr", "seed", "+a=1", "recipe=fast", "optimizer=sdg", "loss=mse"),
        *("learning_rate=-1", "max_epochs=0", "data.cache=tape", "run.clip=-1"),
    ]


def test_an_untyped_warmup_is_lowered_to_a_tenth_and_said(shipped: Conf) -> None:
    two, thirty = resolve(["max_epochs=2"], conf=shipped), resolve(["max_epochs=5", "model=vit_b_16"], conf=shipped)
    assert (two.hyperparameters.warmup_epochs, two.sources["warmup_epochs"]) == (0, "schema")
    assert texts(two.notices) == ["warmup_epochs=5 does not fit into max_epochs=2: lowered to 0"]
    assert two.overrides[-1] == "warmup_epochs=0"
    assert thirty.hyperparameters.warmup_epochs == 0
    assert resolve(["max_epochs=6"], conf=shipped).hyperparameters.warmup_epochs == 5
    assert resolve(["max_epochs=6"], conf=shipped).notices == ()


def test_a_warmup_lowered_from_a_file_keeps_a_tenth(empty_folder: Path, shipped: Conf) -> None:
    words = [experiment(empty_folder, {"max_epochs": 200, "warmup_epochs": 100}), "max_epochs=50"]
    assert resolve(words, conf=shipped).hyperparameters.warmup_epochs == 5


@pytest.mark.parametrize("text", ['max_epochs: "3"\n', 'max_epochs: 3\nwarmup_epochs: "5"\n'])
def test_a_number_written_as_text_lowers_the_warmup_too(empty_folder: Path, text: str) -> None:
    found = resolve([recipe(empty_folder, text)])
    assert texts(found.notices) == ["warmup_epochs=5 does not fit into max_epochs=3: lowered to 0"]
    assert (found.hyperparameters.max_epochs, found.hyperparameters.warmup_epochs) == (3, 0)


def test_another_optimizer_than_the_tasks_is_said(shipped: Conf) -> None:
    assert texts(resolve(["optimizer=sgd"], conf=shipped).notices) == [
        "optimizer=sgd brings its own learning_rate=0.01 and weight_decay=0.0001 "
        "(the optimizer of task=classification is adam)"
    ]
    assert "learning_rate" not in resolve(["optimizer=sgd", "learning_rate=0.1"], conf=shipped).notices[0].text
    assert resolve(["optimizer=sgd", "learning_rate=0.1", "weight_decay=0"], conf=shipped).notices == ()
    assert resolve(["optimizer=adam"], conf=shipped).notices == ()


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (["momentum=0.5"], "momentum=0.5 is not read: momentum is read only when optimizer=sgd"),
        (["step_size=3"], "step_size=3 is not read: step_size is read only when scheduler=step"),
        (["gamma=0.5"], "gamma=0.5 is not read: gamma is read only when scheduler=step or multistep"),
        (["milestones=[3]"], "milestones=[3] is not read: milestones is read only when scheduler=multistep"),
        (
            ["task=segmentation", "model=lraspp", "dropout=0.5"],
            "dropout=0.5 is not read: dropout is read only when the model has a head that drops",
        ),
        (["data=demo", "data.root=/a"], "data.root=/a is not read: data=demo brings its own images"),
        (["loss_options.gamma=3"], "loss_options.gamma is read only when loss=focal"),
        (
            ["task=regression", "augment.cutmix=1"],
            "augment.cutmix is read only when task=classification or segmentation",
        ),
    ],
    ids=lambda item: str(item),
)
def test_a_typed_value_that_nothing_reads_is_a_warning(words: list[str], warning: str, shipped: Conf) -> None:
    assert texts(resolve(words, conf=shipped).warnings) == [warning]


def test_a_typed_value_that_is_read_is_no_warning(shipped: Conf) -> None:
    assert resolve(["momentum=0.5", "optimizer=sgd", "loss=focal", "loss_options.gamma=3"], conf=shipped).warnings == ()


def test_schedule_warnings(shipped: Conf) -> None:
    words = ["scheduler=multistep", "milestones=[3,90]", "warmup_epochs=4"]
    first, second = texts(resolve(words, conf=shipped).warnings)
    assert "the full learning rate is never reached" in first
    assert "90" in second
    assert "never come" in second


def test_unread_follows_the_choices(shipped: Conf) -> None:
    assert resolve([], conf=shipped).unread == ("momentum", "step_size", "gamma", "milestones", "poly_power")
    assert resolve(["task=segmentation", "model=lraspp"], conf=shipped).unread == (
        "step_size",
        "gamma",
        "milestones",
        "dropout",
    )


def test_a_file_of_hyperparameters_alone_is_enough(empty_folder: Path, shipped: Conf) -> None:
    values = hyperparameters.defaults() | {"optimizer": "sgd", "scheduler": "poly", "gamma": 0.3, "dropout": 0.4}
    resolved = resolve([experiment(empty_folder, values)], conf=shipped)
    assert resolved.hyperparameters.model_dump(mode="json") == values
    assert {resolved.sources[key] for key in values} == {"file"}
    assert resolved.warnings == ()
    assert resolved.settings.task == "classification"
    assert resolved.settings.experiment == str(empty_folder / "experiment (1).json")


@pytest.mark.parametrize("typed", [[], ["model=resnet18"], ["task=segmentation", "augment=strong"], ["optimizer=sgd"]])
def test_an_experiment_reruns_as_it_was(empty_folder: Path, typed: list[str], shipped: Conf) -> None:
    first = resolve(typed, conf=shipped)
    given = first.settings.model_dump(mode="json")
    sections = {
        key: given[key]
        for key in ("data", "augment", "model", "run", "loss_options", "optimizer_options", "model_options")
    }
    file = experiment(
        empty_folder, first.hyperparameters.model_dump(mode="json"), task=given["task"], seed=7, **sections
    )
    again = resolve([file], conf=shipped)
    assert again.hyperparameters == first.hyperparameters
    changed = {"seed": 7, "experiment": again.settings.experiment}
    assert again.settings == first.settings.model_copy(update=changed)


def test_what_is_typed_over_a_file(empty_folder: Path, shipped: Conf) -> None:
    strong = resolve(["augment=strong"], conf=shipped).settings.augment.model_dump(mode="json")
    words = [
        experiment(
            empty_folder,
            {"optimizer": "sgd", "learning_rate": 0.5, "weight_decay": 0.25, "momentum": 0.5},
            augment=strong,
            data={"name": "csv", "root": "/old"},
            model={"name": "resnet50", "weights": "/old.pt"},
        )
    ]
    kept, same = resolve(words, conf=shipped), resolve([*words, "optimizer=sgd"], conf=shipped)
    assert (kept.hyperparameters.learning_rate, kept.settings.augment.mixup) == (0.5, 0.2)
    assert (kept.settings.data.name, kept.settings.model.weights) == ("csv", "/old.pt")
    assert same.hyperparameters == kept.hyperparameters

    other = resolve([*words, "optimizer=adamw", "augment=light", "model=resnet18", "data=demo"], conf=shipped)
    assert (other.hyperparameters.learning_rate, other.hyperparameters.weight_decay) == (0.001, 0.01)
    assert (other.hyperparameters.momentum, other.sources["momentum"]) == (0.5, "file")
    assert other.settings.augment == resolve(["augment=light"], conf=shipped).settings.augment
    assert (other.settings.model.name, other.settings.model.weights, other.settings.data.root) == (
        "resnet18",
        None,
        None,
    )
    assert other.notices[0].text == (
        "optimizer=adamw is not the experiment's: the experiment's learning_rate and weight_decay are left out"
    )
    assert resolve([*words, "data.root=/new"], conf=shipped).settings.data.name == "csv"


def test_a_recipe_goes_over_an_experiment(empty_folder: Path, shipped: Conf) -> None:
    words = [experiment(empty_folder, {"max_epochs": 9, "batch_size": 3}), "recipe=quick"]
    found = resolve(words, conf=shipped).hyperparameters
    assert (found.max_epochs, found.batch_size) == (5, 3)


@pytest.mark.parametrize(
    "content",
    [
        {"hyperparameters": {"learning_rate": "${oc.env:HOME}"}},
        {"hyperparameters": {"_target_": "os.system"}},
        {"hyperparameters": {}, "hydra.run.dir": "/tmp"},
        {"hyperparameters": {}, "plugins": ["evil"]},
        {"hyperparameters": {"lr": 1}},
        {"hyperparameters": {"learning_rate": -1}},
        {"hyperparameters": {"loss": "mse"}},
    ],
    ids=json.dumps,
)
def test_a_shared_file_is_not_trusted(empty_folder: Path, content: dict[str, Any], shipped: Conf) -> None:
    file = empty_folder / "shared.json"
    file.write_text(json.dumps(content))
    assert len(problems(f"experiment={file}", conf=shipped)) == 1


def test_a_users_conf_goes_before_visruns(empty_folder: Path) -> None:
    recipe(
        empty_folder, "task: segmentation\nmodel: unet\nlearning_rate: 0.07\nrun: {ema: 0.5}\nmodel.freeze: backbone\n"
    )
    (empty_folder / "conf" / "augment").mkdir()
    (empty_folder / "conf" / "augment" / "sideways.yaml").write_text(
        "# @package _global_\naugment: {name: sideways, rotate: 90}\nbatch_size: 4\n"
    )
    mine = resolve(["recipe=mine", "augment=sideways"])
    assert (mine.settings.task, mine.settings.model.name, mine.settings.model.freeze) == (
        "segmentation",
        "unet",
        "backbone",
    )
    assert (mine.settings.run.ema, mine.settings.augment.rotate) == (0.5, 90)
    assert (mine.hyperparameters.learning_rate, mine.hyperparameters.optimizer) == (0.07, "sgd")
    assert (mine.hyperparameters.batch_size, mine.sources["batch_size"]) == (4, "option")


CLASSIFICATION = (
    "task: classification\noptimizer: adamw\nmodel: {name: resnet18}\naugment: {name: light, hflip: false}\n"
    "learning_rate: 0.02\nweight_decay: '${gamma}'\n"
)
OWN_FILES = {
    "task/classification": CLASSIFICATION,
    "task/regression": "task: regression\noptimizer: adam\nloss: mse\nlearning_rate: 0.03\nweight_decay: 0.4\n",
    "task_optimizer/regression_adam": "weight_decay: 0.5\n",
    "task/segmentation": "task: segmentation\nloss: dice\nmodel: {name: unet}\noptimizer: sgd\nmomentum: 0.7\n",
    "model/resnet34": "model: {name: resnet34}\nlearning_rate: 0.2\n",
    "model/vit_b_16": "model: {name: vit_b_16}\noptimizer: adamw\nweight_decay: 0.3\n",
}


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    """The config files with OWN_FILES before visrun's."""
    folder = tmp_path_factory.mktemp("own")
    write(folder, {name: f"# @package _global_\n{text}" for name, text in OWN_FILES.items()})
    return open_conf(folder)


@pytest.mark.parametrize(
    ("words", "key", "value", "source"),
    [
        ([], "learning_rate", 0.02, "task"),
        ([], "weight_decay", 0.1, "task"),
        (["optimizer=adamw"], "learning_rate", 0.02, "task"),
        (["optimizer=adam"], "learning_rate", 0.001, "task"),
        (["optimizer=sgd"], "learning_rate", 0.01, "option"),
        (["learning_rate=0.1"], "learning_rate", 0.1, "you"),
        (["augment=light"], "augment.hflip", False, "task"),
        (["augment=default"], "augment.hflip", True, "option"),
        (["task=regression"], "learning_rate", 0.03, "task"),
        (["task=regression"], "weight_decay", 0.5, "task"),
        (["task=segmentation"], "momentum", 0.7, "task"),
        (["model=resnet34"], "learning_rate", 0.2, "architecture"),
        (["task=regression", "model=resnet34"], "learning_rate", 0.2, "architecture"),
        (["model=resnet34", "optimizer=sgd"], "learning_rate", 0.01, "option"),
        (["model=vit_b_16"], "learning_rate", 0.000125, "architecture"),
        (["model=vit_b_16"], "weight_decay", 0.3, "architecture"),
        (["model=vit_b_16", "optimizer=adam"], "weight_decay", 0.0001, "task"),
    ],
    ids=lambda item: str(item),
)
def test_numbers_beside_a_choice_in_a_tasks_or_models_own_file_go_before_the_options(
    words: list[str], key: str, value: object, source: str, own_files: Conf
) -> None:
    resolved = resolve(["data.root=/photos", *words], conf=own_files)
    found = flatten({**resolved.settings.model_dump(), **resolved.hyperparameters.model_dump()})
    assert (found[key], resolved.sources[key]) == (value, source)
    assert flatten(hydras(own_files, resolved.overrides))[key] == value


@pytest.mark.parametrize(
    ("text", "brought"),
    [
        (
            "# @package _global_\ndefaults: [strong]\naugment: {name: mine, rotate: 5}\n",
            {"augment.mixup", "augment.hue"},
        ),
        ("rotate: 5\n", set()),
        ("# @package augment\nrotate: 5\n", set()),
        ("# @package _global_\ndefaults: [own]\n", set()),
    ],
)
def test_what_an_option_is_built_on_and_where_its_package_puts_it_are_the_options(
    text: str, brought: set[str], empty_folder: Path
) -> None:
    (empty_folder / "conf" / "augment").mkdir(parents=True)
    (empty_folder / "conf" / "augment" / "own.yaml").write_text("# @package augment\nrotate: 5\n")
    (empty_folder / "conf" / "augment" / "mine.yaml").write_text(text)
    named = recipe(empty_folder, "augment: mine\n")
    conf = open_conf(empty_folder)
    for word in ("augment=mine", named):
        found = resolve([word, "optimizer=sgd"], conf=conf)
        assert found.settings.augment.rotate == 5
        assert {found.sources[key] for key in {"augment.rotate", *brought}} == {"option"}
        assert found.sources["augment.vflip"] == "schema"


def test_config_dir_goes_before_the_working_folders_conf(empty_folder: Path) -> None:
    recipe(empty_folder, "max_epochs: 11\n")
    recipe(empty_folder / "other", "max_epochs: 12\n")
    assert resolve(["recipe=mine"]).hyperparameters.max_epochs == 11
    assert resolve(["recipe=mine"], open_conf(Path.cwd(), Path("other/conf"))).hyperparameters.max_epochs == 12
    with pytest.raises(ConfigError, match="--config-dir nowhere: no such folder"):
        resolve([], open_conf(Path.cwd(), Path("nowhere")))


@pytest.mark.parametrize("text", ["data.root: photos\n", "data:\n  root: photos\n", "data.root: ./photos\n"])
def test_a_root_in_a_recipe_means_what_it_means_when_typed(empty_folder: Path, text: str) -> None:
    word = recipe(empty_folder, text)
    conf = open_conf(empty_folder)
    named, typed = resolve([word], conf=conf), resolve(["data.root=photos"], conf=conf)
    assert named.settings.data == typed.settings.data and named.settings.data.name == "auto"
    assert (named.hyperparameters, named.settings.model) == (typed.hyperparameters, typed.settings.model)
    assert (named.sources["data.name"], typed.sources["data.name"]) == ("file", "you")
    assert (named.sources["data.root"], typed.sources["data.root"]) == ("file", "you")
    assert {"data=auto", f"data.root={empty_folder}/photos"} <= set(named.overrides) and not named.warnings


def test_a_root_in_an_experiment_means_what_it_means_when_typed(empty_folder: Path) -> None:
    data = resolve([experiment(empty_folder, {}, data={"root": "photos"})]).settings.data
    assert (data.name, data.root) == ("auto", str(empty_folder / "photos"))


def test_who_names_the_data_beside_a_root_in_a_file(empty_folder: Path) -> None:
    mine, demo = recipe(empty_folder, "data.root: photos\n"), experiment(empty_folder, {}, data={"name": "demo"})
    folder = recipe(empty_folder, "data: folder\ndata.root: photos\n", name="folder")
    photos, other, conf = str(empty_folder / "photos"), str(empty_folder / "other"), open_conf(empty_folder)
    for words, name, root in (
        ([folder], "folder", photos),
        ([mine, "data=folder"], "folder", photos),
        ([mine, demo], "auto", photos),
        ([mine, "data.root=other"], "auto", other),
        ([folder, "data.root=other"], "folder", other),
        ([mine, "data=demo"], "demo", None),
        ([mine, "data.root=null"], "demo", None),
    ):
        found = resolve(words, conf=conf)
        assert (found.settings.data.name, found.settings.data.root, found.warnings) == (name, root, ())


def test_a_root_put_into_the_file_of_a_demo_run_is_trained_on(empty_folder: Path) -> None:
    found = resolve([experiment(empty_folder, {}, data={"name": "demo", "root": "photos"})])
    assert (found.settings.data.name, found.settings.data.root) == ("auto", str(empty_folder / "photos"))
    assert not found.warnings


def test_paths_in_a_recipe_are_read_as_typed_ones(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    keys = ("data.root", "data.cache_dir", "model.weights", "tracking.uri")
    texts = ("~/a", "../a", "/b/a", "./a")
    files = [
        recipe(empty_folder, "".join(f"{key}: {text}\n" for key in keys), name=f"file{number}")
        for number, text in enumerate(texts)
    ]
    conf = open_conf(empty_folder)
    for text, file in zip(texts, files, strict=True):
        typed = resolve([f"{key}={text}" for key in keys], conf=conf).settings
        named = resolve([file], conf=conf).settings
        assert (named.data, named.model, named.tracking) == (typed.data, typed.model, typed.tracking)


WRONG = {
    "learning_rte: 1\n": "learning_rte is no setting of a saved file (did you mean learning_rate?)",
    "experiment: a.json\n": "experiment is no setting of a saved file: a file names no other file",
    "recipe: mine\n": "recipe is no setting of a saved file: a file names no other file",
    "defaults: [quick]\n": "defaults is no setting of a saved file: a file names no other file",
    "optimizer: sdg\n": "optimizer=sdg: must be adam, adamw or sgd (did you mean sgd?)",
    "max_epochs: [\n": "conf/recipe/wrong5.yaml: ",
    "- 1\n": "conf/recipe/wrong6.yaml: ",
    "batch_size: 0\n": "batch_size=0: must be an integer from 1 to 256",
}


@pytest.fixture(scope="module")
def wrong_recipes(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    """The config files with a recipe for each text of WRONG, by its number."""
    folder = tmp_path_factory.mktemp("wrong")
    write(folder, {f"recipe/wrong{number}": text for number, text in enumerate(WRONG)})
    return open_conf(folder)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_recipe_is_one_line(text: str, wrong_recipes: Conf) -> None:
    (line,) = problems(f"recipe=wrong{[*WRONG].index(text)}", conf=wrong_recipes)
    assert line.startswith(WRONG[text])
    assert "\n" not in line


def test_another_projects_config_is_named(empty_folder: Path) -> None:
    (empty_folder / "conf").mkdir()
    (empty_folder / "conf" / "config.yaml").write_text("defaults:\n  - _self_\ntrainer: big\n")
    (line,) = problems()
    assert line.startswith(f"{empty_folder}/conf/config.yaml hides visrun's own")


def test_ones_own_primary_config(empty_folder: Path) -> None:
    (empty_folder / "conf").mkdir()
    (empty_folder / "conf" / "config.yaml").write_text(
        "defaults:\n  - schema\n  - task: segmentation\n  - data: demo\n  - augment: none\n  - tracking: none\n"
        "  - model: unet\n  - optimizer: sgd\n  - scheduler: cosine\n  - loss: dice\n  - _self_\n"
        "batch_size: 5\nseed: 3\n"
    )
    mine = resolve([])
    assert (mine.settings.task, mine.settings.seed, mine.settings.tracking.name) == ("segmentation", 3, "none")
    assert (mine.hyperparameters.batch_size, mine.sources["batch_size"]) == (5, "file")


@pytest.fixture
def plugin(empty_folder: Path) -> Iterator[str]:
    (empty_folder / "my_visrun_plugin.py").write_text(
        "from visrun.tables import MODELS, TASKS, ModelEntry\n"
        "MODELS['tiny'] = ModelEntry(build='my_visrun_plugin:tiny', tasks=('classification',), parameters=0.1,\n"
        "                            speed=3, accuracy=1, drops=False)\n"
        "TASKS['classification'].losses['hinge'] = lambda prediction, target: 0.0\n"
    )
    before, path = set(MODELS), list(sys.path)
    yield "plugins=[my_visrun_plugin]"
    from visrun.tables import TASKS

    sys.path[:] = path
    sys.modules.pop("my_visrun_plugin", None)
    TASKS["classification"].losses.pop("hinge", None)
    for name in set(MODELS) - before:
        del MODELS[name]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("model=patchcore", "model=patchcore with task=anomaly_detection"),
        ("model=UNet", "model=unet with task=segmentation or anomaly_detection"),
        ("model=fasterrcnn_resnet50_fpn", "model=fasterrcnn with task=object_detection"),
        ("model=mask_rcnn", "model=maskrcnn with task=instance_segmentation or oriented_object_detection"),
        ("model=efficientad", "model=patchcore with task=anomaly_detection"),  # not efficientnet_b0, spelt like it
        ("model=oriented_rcnn", "task=oriented_object_detection model=maskrcnn"),
        ("model=yolov8n-seg.pt", "task=instance_segmentation model=dense_resnet18"),
        ("model=yolo11n-cls.pt", "resnet18"),
        ("loss=kld", "loss=kld with task=oriented_object_detection"),
        ("loss=L1", "loss=mae with task=regression"),
    ],
)
def test_a_model_or_loss_of_another_task_leads_there_where_no_task_was_chosen(word: str, meant: str) -> None:
    (line,) = problems(word)
    assert line.startswith(f"{word}: must be ") and line.endswith(f" (did you mean {meant}?)")


def test_a_chosen_task_is_kept_where_it_has_what_another_tools_word_means() -> None:
    (line,) = problems("task=oriented_object_detection", "data.root=/a", "model=oriented_rcnn")
    assert line.endswith("(did you mean maskrcnn?)")
    (line,) = problems("task=object_detection", "data.root=/a", "model=padim")
    assert line.endswith("(did you mean model=patchcore with task=anomaly_detection?)")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("tracking=wandb", "runs are tracked in MLflow and in metrics.jsonl"),
        ("scheduler=plateau", "there is no such schedule"),
        ("model=yolo11n-pose.pt", "keypoints are not learnt"),
        ("task=pose", "keypoints are not learnt"),
    ],
)
def test_an_option_of_another_tool_that_is_not_here_is_told_as_such(word: str, told: str) -> None:
    (line,) = problems(word)
    assert line.startswith(f"{word}: must be ") and line.endswith(f"; {told}")


def test_a_plugin_adds_to_the_tables(plugin: str) -> None:
    (line,) = problems("model=tiny")
    assert line.startswith("model=tiny: must be ") and line.endswith(PLUGIN_HINT)
    resolved = resolve([plugin, "model=tiny", "loss=hinge"])
    assert (resolved.settings.model.name, resolved.hyperparameters.loss) == ("tiny", "hinge")
    assert "dropout" in resolved.unread
    assert resolved.settings.plugins == ("my_visrun_plugin",)


ZOO = ("plugins=[zoo_plugin]", "data.root=.")


def test_the_task_of_a_plugin_begins_with_its_own_loss_and_model(zoo: Path) -> None:
    resolved = resolve([*ZOO, "task=counting", "data=labels"])
    assert (resolved.settings.model.name, resolved.hyperparameters.loss) == ("counter", "poisson")
    assert resolved.settings.data.name == "labels"
    assert (resolved.settings.augment.name, resolved.sources["augment.name"]) == ("flips", "task")  # as regression's
    assert resolved.notices == ()
    (notice,) = resolve([*ZOO, "task=counting", "optimizer=sgd"]).notices
    assert notice.text.endswith("(the optimizer of task=counting is adam)")


@pytest.mark.parametrize("name", ["a b", "", 3])
def test_of_a_wrong_model_only_that_it_is_none_is_told(zoo: Path, name: object) -> None:
    (line,) = problems(*ZOO, "task=counting", "data=labels", f"model.name={json.dumps(name)}")
    assert line.startswith("model.name=")


def test_a_glob_sees_the_models_of_a_plugin(zoo: Path) -> None:
    checked = check_sweep([*ZOO, "model=glob(counter*)"])
    assert checked.first.settings.model.name == "counter"


@pytest.mark.parametrize("file", ["recipe", "config"])
def test_the_options_of_a_plugin_that_a_file_names(file: str, zoo: Path) -> None:
    text = "plugins: [zoo_plugin]\nmodel: {name: counter}\nloss: poly\n"
    words = [recipe(zoo.parent, text)] if file == "recipe" else ["model=counter", "loss=poly"]
    if file == "config":
        (zoo.parent / "conf").mkdir()
        shipped = (conf_dir() / "config.yaml").read_text()
        (zoo.parent / "conf" / "config.yaml").write_text(f"{shipped}\nplugins: [zoo_plugin]\n")
    resolved = resolve(words)
    assert (resolved.settings.model.name, resolved.hyperparameters.loss) == ("counter", "poly")
    assert resolved.settings.plugins == ("zoo_plugin",)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("plugin=[zoo_plugin]", "plugin is no setting (did you mean plugins?)"),
        ("plugins=zoo_plugin", "plugins=zoo_plugin: must be a list of modules, such as [my_package]"),
    ],
)
def test_a_slip_in_the_word_plugins_is_told_where_a_file_names_what_a_plugin_brings(
    word: str, told: str, zoo: Path
) -> None:
    (zoo.parent / "conf" / "task").mkdir(parents=True)
    (zoo.parent / "conf" / "task" / "counting.yaml").write_text(
        "# @package _global_\ntask: counting\nloss: poisson\nmodel: {name: counter}\n"
    )
    lines = problems(word, "task=counting", "data.root=.")
    assert told in lines
    assert any(line.startswith("conf/task/counting.yaml: loss=poisson: must be bce, ce_dice, ") for line in lines)
    assert any(line.startswith("task=counting: must be classification, ") for line in lines)


def test_a_file_that_cannot_be_read_hides_no_slip_in_the_words(empty_folder: Path) -> None:
    (empty_folder / "conf" / "model").mkdir(parents=True)
    (empty_folder / "conf" / "model" / "broken.yaml").write_text("# @package _global_\nmodel: [1\n")
    first, second = problems("optimzer=sgd", "model=broken")
    assert first == "optimzer is no setting (did you mean optimizer?)"
    assert second.startswith("conf/model/broken.yaml: ")


def test_only_a_plugin_that_is_new_has_the_options_listed_again(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[None] = []
    monkeypatch.setattr("visrun.config.compose.store_schema", lambda: stored.append(None))
    conf = open_conf(Path.cwd())
    for _ in range(3):
        resolve([plugin], conf=conf)
    assert len(stored) == 1


def test_a_plugin_is_known_though_another_one_failed(plugin: str, empty_folder: Path) -> None:
    file = empty_folder / "my_visrun_plugin.py"
    file.write_text(file.read_text().replace("tiny", "tinier"))  # which no test before has told Hydra of
    conf = open_conf(Path.cwd())
    assert "tinier" not in conf.options("model")
    with pytest.raises(ConfigError, match="no_such_module_anywhere"):
        resolve(["plugins=[my_visrun_plugin,no_such_module_anywhere]"], conf=conf)
    assert resolve([plugin, "model=tinier"], conf=conf).settings.model.name == "tinier"


def test_verbs_take_plugins_too(plugin: str) -> None:
    assert plugins.take(["RUN", plugin, "split=val"], cwd=Path.cwd()) == ["RUN", "split=val"]
    assert "tiny" in MODELS
    with pytest.raises(ConfigError, match="does not import"):
        plugins.take(["plugins=no_such_module_anywhere"], cwd=Path.cwd())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('one\\n two')", "ValueError: one two"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_plugin_that_fails_is_one_line(empty_folder: Path, text: str, told: str) -> None:
    (empty_folder / "broken_visrun_plugin.py").write_text(f"{text}\n")
    path = list(sys.path)
    told = f"plugins=broken_visrun_plugin: does not import: {told} (broken_visrun_plugin.py, line 1)"
    assert problems("plugins=[broken_visrun_plugin]") == (told,)
    sys.path[:] = path


def test_hydras_global_state_is_left_alone() -> None:
    before = GlobalHydra.instance().hydra
    resolve(["optimizer=sgd"])  # the files opened, too
    assert GlobalHydra.instance().hydra is before


def test_what_hydra_gets_composes_to_what_was_validated(shipped: Conf) -> None:
    first = resolve(
        ["task=segmentation", "optimizer=adam", "max_epochs=3", "data.root=a (b),c", "seed=4"], conf=shipped
    )
    words = [word for word in first.overrides if not word.startswith("model.name")]
    again = resolve(words, conf=shipped)
    assert again.hyperparameters == first.hyperparameters
    assert again.settings == first.settings


numbers = st.fixed_dictionaries(
    {
        "learning_rate": st.floats(1e-12, 1e6),
        "weight_decay": st.floats(0, 1e3),
        "momentum": st.floats(0, 1, exclude_max=True),
        "batch_size": st.integers(1, 256),
        "max_epochs": st.integers(6, 1000),
        "dropout": st.floats(0, 0.9),
    }
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers)
def test_typed_values_arrive_exactly(shipped: Conf, values: dict[str, float]) -> None:
    resolved = resolve([f"{key}={value!r}" for key, value in values.items()], conf=shipped)
    found = resolved.hyperparameters.model_dump()
    assert {key: found[key] for key in values} == values
    assert {resolved.sources[key] for key in values} == {"you"}


def test_a_sweep_is_checked_value_by_value(shipped: Conf) -> None:
    with pytest.raises(ConfigError) as caught:
        check_sweep(
            [
                *("optimizer=adam,sdg", "batch_size=8,0,300", "model=resnet18,renet34", "momentum=interval(0,1)"),
                *("recipe=quick,fast", "seed=1.5", "run.ema=0.9,1"),
            ],
            conf=shipped,
        )
    lines = caught.value.problems
    assert [line.split(":")[0] for line in lines] == [
        *("optimizer=sdg", "batch_size=0", "batch_size=300", "model=renet34", "momentum=1", "recipe=fast", "run.ema=1"),
        "seed=1.5",
    ]


def test_one_job_of_a_sweep_has_to_be_sound_as_a_whole_whichever_it_is(shipped: Conf) -> None:
    with pytest.raises(ConfigError, match="warmup_epochs=5: must be below max_epochs=4"):
        check_sweep(["max_epochs=4,5", "warmup_epochs=5,6", "seed=range(0,1000)"], conf=shipped)
    for words in (["max_epochs=4,6", "warmup_epochs=5,0"], ["seed=1,2", "warmup_epochs=5,0", "max_epochs=4"]):
        assert check_sweep(words, conf=shipped).first.hyperparameters.warmup_epochs < 6
    first = check_sweep(
        ["max_epochs=4,40", "momentum=0.5,0.8", "warmup_epochs=5", "loss=dice,focal"], conf=shipped
    ).first
    values = first.hyperparameters
    assert (values.max_epochs, values.loss, values.momentum) == (40, "focal", 0.5)
    assert (
        check_sweep(["task=regression", "loss=dice,mse", "sweep=optimizer"], conf=shipped).first.hyperparameters.loss
        == "mse"
    )


OPTIONS = {
    "augment/typo": "rotat: 5\n",
    "augment/high": "rotate: 999\n",
    "augment/fine": "rotate: 5\n",
    "augment/torn": "rotate: [\n",
    "optimizer/sgd": "# @package _global_\noptimizer: sgd\n",
    "task_optimizer/classification_sgd": "# @package _global_\nlearning_rate: -1\n",
    "recipe/zero": "batch_size: 0\noptimizer: sgd\n",
}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    """The config files with OPTIONS before visrun's."""
    folder = tmp_path_factory.mktemp("options")
    write(folder, OPTIONS)
    return open_conf(folder)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["augment=light,typo"], ["augment.rotat is no setting (did you mean augment.rotate?)"]),
        (
            ["augment=none,light,high,typo", "optimizer=adam,sgd"],
            ["learning_rate=-1: must be", "augment.rotate=999: must be", "augment.rotat is no setting"],
        ),
        (["augment=light,high", "batch_size=1,0"], ["batch_size=0: must be", "augment.rotate=999: must be"]),
        (["augment=light,torn"], ["conf/augment/torn.yaml: "]),
        (["recipe=quick,zero"], ["batch_size=0: must be"]),
    ],
)
def test_the_option_files_of_a_sweep_are_checked(options: Conf, words: list[str], told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        check_sweep(words, conf=options)
    assert len(caught.value.problems) == len(told)
    assert all(line.startswith(start) for line, start in zip(caught.value.problems, told, strict=True))


@pytest.mark.parametrize(
    "words",
    [
        ["augment=light,fine"],
        ["augment=light,high", "augment.rotate=5"],  # what is typed goes over the file
        ["recipe=quick,zero", "batch_size=4"],
        ["model=resnet18,unet", "task=classification,segmentation"],  # each by itself: some trials are for nobody
    ],
)
def test_sound_options_pass(options: Conf, words: list[str]) -> None:
    check_sweep(words, conf=options)


def test_only_options_of_ones_own_are_composed(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    compose = Conf.compose
    monkeypatch.setattr(
        Conf, "compose", lambda self, options, *rest: composed.append(options) or compose(self, options, *rest)
    )
    check_sweep(["model=glob(*)", "optimizer=adam,adamw", "task=classification"])
    assert len(composed) == 1
    write(empty_folder, OPTIONS)
    check_sweep(["model=glob(*)", "augment=light,fine,none", "task=classification"])
    assert [options["augment"] for options in composed[2:]] == ["fine"]


def test_a_sweep_passes_with_its_words_as_hydra_takes_them(shipped: Conf) -> None:
    sweep = check_sweep(
        ["optimizer=adam,sgd", "recipe=quick,fine_tune", "data.root=/a,b", "model=glob(resnet*)"], conf=shipped
    )
    assert sweep.words == (
        "optimizer=adam,sgd",
        "+recipe=quick,fine_tune",
        "data.root='/a,b'",
        "model=glob(resnet*)",
    )
    assert isinstance(sweep.first, Resolved)
    assert sweep.first.settings.model.name == "resnet18"


def test_a_sweep_without_a_recipe_passes_no_word_for_it(shipped: Conf) -> None:
    assert check_sweep(["recipe=null", "seed=1,2"], conf=shipped).words == ("seed=1,2",)
    assert check_sweep(["recipe=null,quick"], conf=shipped).words == ("+recipe=null,quick",)


VALUES: list[dict[str, Any]] = [
    {
        "learning_rate": 1e-05,
        "max_epochs": 7,
        "seed": 4,
        "milestones": [10, 20],
        "augment.crop_scale": [0.5, 1.0],
        "optimizer_options.betas": [0.8, 0.95],
        "data.classes": ["a b", "c,d"],
        "data.class_weights": [1.0, 2.5],
        "data.image_size": [32, 64],
    },
    {
        "model.weights": None,
        "tracking.run_name": None,
        "run.max_time": None,
        "data.classes": None,
        "model.name": "resnet18",
        "augment.name": "mine",
        "augment.mixup": 0,
    },
    {"data.root": "/photos (1)/a,b", "tracking.run_name": "1e3", "run.max_time": "1h30m", "run.deterministic": True},
]


def hydras(conf: Conf, words: Sequence[str]) -> dict[str, Any]:
    """What Hydra composes of words, without its own node."""
    config = conf.loader.load_configuration(PRIMARY, list(words), RunMode.RUN)
    OmegaConf.set_struct(config, False)
    config.pop("hydra")
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def own_conf(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    """Config files with one of the user's, in which values follow from others."""
    folder = tmp_path_factory.mktemp("own")
    text = "# @package _global_\naugment: {name: mine, mixup: 0.25, erase: '${learning_rate}'}\n"
    text += "run: {max_time: '${max_epochs}'}\n"
    write(folder, {"augment/mine": text})
    return open_conf(folder)


@pytest.mark.parametrize("group", GROUPS)
def test_values_are_composed_as_hydra_does_whatever_is_chosen(group: str, own_conf: Conf) -> None:
    """Every task, which brings further files, and one option for each set of keys that a file of the group writes."""
    usual = own_conf.default_choices()
    keys = {option: tuple(flatten(own_conf.read(f"{group}/{option}"))) for option in own_conf.options(group)}
    forms = {option if group == "task" else written: option for option, written in keys.items()}
    for number, option in enumerate(forms.values()):
        options = {name: choice for name, choice in {**usual, group: option}.items() if name in GROUPS}
        words = [f"{name}={choice}" for name, choice in options.items()]
        for values in VALUES if option == "mine" else [VALUES[number % len(VALUES)]]:
            found = own_conf.compose(options, values)
            expected = hydras(own_conf, [*words, *(to_override(key, value) for key, value in values.items())])
            assert repr(found) == repr(expected), (group, option, values)


@pytest.mark.parametrize(
    "words",
    [
        ["augment=mine", "learning_rate=0.3", "max_epochs=7"],
        ["recipe=fine_tune", "optimizer=sgd", "augment=mine"],
        ["task=segmentation", "data.classes=[a,b]", "model.weights=null"],
        ["scheduler=multistep", "milestones=[3,5]", "max_epochs=9", "data.image_size=[32,64]"],
    ],
    ids=lambda words: " ".join(words),
)
def test_what_is_validated_is_what_hydra_composes(words: list[str], own_conf: Conf, monkeypatch: Any) -> None:
    composed, compose = [], Conf.compose
    monkeypatch.setattr(Conf, "compose", lambda *args: composed.append(compose(*args)) or dict(composed[-1]))
    resolved = resolve(words, conf=own_conf)
    found = {key: value for key, value in composed[-1].items() if key != "recipe"}  # which says no more than its values
    expected = {key: value for key, value in hydras(own_conf, resolved.overrides).items() if key != "recipe"}
    assert repr(found) == repr(expected)
    if "augment=mine" in words:
        assert resolved.settings.augment.erase == resolved.hyperparameters.learning_rate
        assert resolved.settings.run.max_time == resolved.hyperparameters.max_epochs


def test_a_configuration_keeps_nothing_of_the_one_before(own_conf: Conf) -> None:
    options = own_conf.default_choices()
    options = {name: choice for name, choice in options.items() if name in GROUPS}
    before = own_conf.compose(options, {})
    changed = own_conf.compose(options, {"augment.mixup": 0.9, "milestones": [1], "data.classes": ["a"]})
    changed["milestones"].append(2)
    changed["augment"]["hue"] = 9
    assert own_conf.compose(options, {}) == before


SWEEPS = [path.stem for path in sorted((conf_dir() / "sweep").glob("*.yaml"))]


READY = [("classification", name) for name in SWEEPS] + [("segmentation", "default"), ("regression", "default")]


@pytest.mark.parametrize(("task", "name"), READY)
def test_a_ready_space_stands_for_words_that_pass(task: str, name: str, shipped: Conf) -> None:
    sweep = check_sweep([f"task={task}", f"sweep={name}"], conf=shipped)
    assert len(sweep.words) > 1 and not any(word.startswith("sweep=") for word in sweep.words)
    assert sweep.first.choices["task"] == task
    assert sweep.first.hyperparameters == resolve([f"task={task}"], conf=shipped).hyperparameters  # the usual one


def test_what_is_typed_beside_a_ready_space_stands(shipped: Conf) -> None:
    plain = check_sweep(["sweep=optimizer"], conf=shipped).words
    keys = [word.partition("=")[0] for word in plain]
    assert "learning_rate" in keys and "optimizer" in keys
    typed = check_sweep(
        ["sweep=optimizer", "learning_rate=0.5", "optimizer=adam,sgd", "max_epochs=3"], conf=shipped
    ).words
    assert {"learning_rate=0.5", "optimizer=adam,sgd", "max_epochs=3"} <= set(typed)
    assert sorted(word.partition("=")[0] for word in typed) == sorted([*keys, "max_epochs"])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["sweep=optimzer"], "sweep=optimzer: must be"),
        (["sweep=default", "sweep=wide"], "sweep is given twice"),
        (["sweep="], "must be"),
        (["sweep=default", "optimizer=adma"], "adma"),
    ],
)
def test_a_wrong_ready_space_is_one_line(words: list[str], part: str, shipped: Conf) -> None:
    with pytest.raises(ConfigError) as caught:
        check_sweep(words, conf=shipped)
    assert len(caught.value.problems) == 1 and part in caught.value.problems[0]


def test_a_ready_space_of_ones_own(empty_folder: Path) -> None:
    (empty_folder / "conf" / "sweep").mkdir(parents=True)
    text = "parameters: [dropout, batch_size, augment.mixup]\nranges: {augment.mixup: {choices: [0.0, 0.4]}}\n"
    (empty_folder / "conf" / "sweep" / "mine.yaml").write_text(text, encoding="utf-8")
    words = check_sweep(["sweep=mine"]).words
    assert [word.partition("=")[0] for word in words] == ["dropout", "batch_size", "augment.mixup"]
    assert words[-1] == "augment.mixup=choice(0.0,0.4)"


def test_a_wrong_value_that_stands_in_a_file_is_told_with_it(tmp_path):
    for name, text in (
        ("augment/gentle", "# @package _global_\naugment: {name: gentle, rotate: 500}\n"),
        ("recipe/mine", "optimizer: sgd\nmomentum: 3\n"),
    ):
        file = tmp_path / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    conf = open_conf(tmp_path)

    def problems(*words):
        return texts(look(words, conf).problems)

    assert problems("augment=gentle", "recipe=mine") == [
        "momentum=3: must be a number >= 0 and < 1; it stands in recipe=mine",
        "augment.rotate=500: must be a number from 0 to 180; it stands in conf/augment/gentle.yaml",
    ]
    assert problems("recipe=mine", "momentum=4") == ["momentum=4: must be a number >= 0 and < 1"]  # typed over it
    assert problems("recipe=mine", "momentum=0.5") == []
    with pytest.raises(ConfigError) as caught:
        check_sweep(["augment=light,gentle"], conf)
    told = "augment.rotate=500: must be a number from 0 to 180; it stands in conf/augment/gentle.yaml"
    assert caught.value.problems == (told,)
