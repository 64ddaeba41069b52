"""What README and docs/ say is so: commands compose, keys and links exist, tables agree with the code."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

import visrun
from tests.forked import Command
from visrun import evaluate, explain, export, launch, predict, varied
from visrun.arguments import VERBS, options, verb_parser
from visrun.compare import command as comparing
from visrun.config import schema
from visrun.config.checks import problems_of
from visrun.config.choices import known
from visrun.config.compose import check_sweep, resolve
from visrun.config.configs import open_conf
from visrun.config.fields import allowed, flatten, meaning, show
from visrun.config.lines import texts
from visrun.config.overrides import GROUPS, is_hydra, parse
from visrun.config.search_path import conf_dir
from visrun.config.settings import SECTIONS, Settings
from visrun.config.sweeper import VisrunSweeperConf
from visrun.errors import ConfigError
from visrun.hyperparameters import READ_WHEN, Hyperparameters, say
from visrun.record.journal import describe
from visrun.record.remember import Remembered
from visrun.survey import command as checking
from visrun.synonyms import LACKING, OURS
from visrun.tables import MODELS, READERS, SCHEDULERS, TASKS

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
READY = list(TASKS)
PLACEHOLDER = re.compile(r"[A-Z]+(/.*)?")  # PATH, RUN, RUN/experiment.json
# Words of a command that are no settings; those in blocks of commands are composed.
ONLY_TYPED = ("folds", "format", "ids", "pictures", "recall", "seeds", "sweep", "threshold")
EXAMPLE_FILE = re.compile(r"`(conf/[\w/]+\.yaml|\w+\.py)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    fence = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
    found = [Block(page, *match) for page in PAGES for match in fence.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if block.language in languages]


def spans() -> list[str]:
    """The inline code of all pages."""
    texts = [re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S) for page in PAGES]
    return sorted({span.replace("\\|", "|") for text in texts for span in re.findall(r"`([^`\n]+)`", text)})


def shell_lines(program: str) -> list[list[str]]:
    """The commands of all pages that run ``program``, split as a shell does: those of blocks, and those in the text."""
    lines = [line for block in blocks("bash") for line in block.text.splitlines()]
    inline = [span for span in spans() if span.startswith(f"{program} ")]
    split = dict.fromkeys(tuple(shlex.split(line, comments=True)) for line in [*lines, *inline])
    return [list(words[1:]) for words in split if words[:1] == (program,) and "..." not in words]


def rows(page: str, first: str) -> list[dict[str, str]]:
    """All rows of a page's tables whose first column is called ``first``, by the names of their columns."""
    found: list[dict[str, str]] = []
    names: list[str] = []
    for line in (TOP / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            names = []
        elif not names:
            names = cells
        elif names[0] == first and not set(cells[0]) <= set("-"):
            found.append(dict(zip(names, cells, strict=True)))
    return found


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as a reader of the pages has it: the files they show, a run, a home folder."""
    folder = tmp_path_factory.mktemp("reader")
    for name, text in (match for page in PAGES for match in EXAMPLE_FILE.findall(page.read_text(encoding="utf-8"))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "RUN").mkdir()
    content = describe(Remembered(Hyperparameters(), Settings(), {}))
    (folder / "RUN" / "experiment.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "visrun_options").mkdir()
    home = os.environ.get("HOME", "")
    os.environ["HOME"] = str(folder)
    yield folder
    os.environ["HOME"] = home


opened = cache(open_conf)


def checked(words: list[str], cwd: Path) -> list[str]:
    """Compose what ``visrun WORDS`` would run; the warnings.

    Raises:
        ConfigError: It would not run.
    """
    words = [str(Path(word).expanduser()) if word.startswith("~") else word for word in words]
    if words[:1] == ["resume"]:
        assert len(words) == 2
        return []
    if words[:1] == ["predict"]:
        assert len(options("predict", words[1:], predict.READS)[1]) >= 2
        return []
    if words[:1] == ["export"]:
        assert len(options("export", words[1:], export.READS)[1]) == 1
        return []
    if words[:1] == ["check"]:
        parser = verb_parser("check")
        parser.add_argument("--json", action="store_true")
        assert checking._asked(parser.parse_intermixed_args(words[1:]).words)["data.root"]
        return []
    if words[:1] == ["evaluate"]:
        asked, names = options("evaluate", words[1:], evaluate.READS)
        assert len(names) == 1
        words = [
            f"{key}={value}"
            for key, value in asked.items()
            if key not in ("split", "threshold", "recall", "out", "device")
        ]
        return texts(resolve(words, conf=opened(cwd)).warnings)
    if words[:1] == ["compare"]:
        assert options("compare", words[1:], tuple(comparing.DEFAULTS))[1]
        return []
    if words[:1] == ["ui"]:
        assert {word for word in words[1:] if word.startswith("-")} <= {"--port", "--no-browser", "--data"}
        return []
    if words[:1] == ["repeat"]:
        runs, words = varied.read_words(words[1:])
        words = ["-m", *words, *varied.sweep_over(runs)]
    if words[:1] == ["explain"]:
        keys = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        assert set(keys) <= known()
        words = [word for word in words[1:] if word not in ("--json", *keys)]
    args = launch._arguments(words)
    config_dir = Path(args.config_dir) if args.config_dir else None
    conf = opened(cwd, config_dir)
    if args.multirun:
        return texts(check_sweep(args.overrides, conf).first.warnings)
    return texts(resolve(args.overrides, conf).warnings)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: f"{block.page.name}:{len(block.text)}")
def test_a_shell_reads_every_command_as_it_stands(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.stderr == ""


COMMANDS = shell_lines("visrun")
WITH_PLUGINS = [words for words in COMMANDS if any(word.startswith("plugins=") for word in words)]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words not in WITH_PLUGINS], ids=shlex.join)
def test_every_command_composes(words: list[str], workplace: Path) -> None:
    only_named = [[verb] for verb in VERBS] + [["-m"], ["--help"], ["--hydra-help"], ["--version"]]
    assert words in only_named or checked(words, workplace) == []


@pytest.fixture(scope="module")
def pictures(workplace: Path) -> Path:
    """The datasets of the commands with plugins: two classes, in folders and in a list, and a table of counts."""
    lists: dict[str, list[str]] = {"sorted/labels.txt": [], "counts/counts.csv": ["image,count"]}
    for number in range(24):
        file = Path("ab"[number % 2]) / f"{number}.png"
        for folder in (workplace / "sorted", workplace / "counts"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (number * 9, 100 * (number % 2), 0)).save(folder / file)
        lists["sorted/labels.txt"].append(f"{file} {file.parent}")
        lists["counts/counts.csv"].append(f"{file},{number}")
    for name, lines in lists.items():
        (workplace / name).write_text("\n".join(lines), encoding="utf-8")
    return workplace


@pytest.mark.slow
@pytest.mark.parametrize("words", WITH_PLUGINS, ids=shlex.join)
def test_every_command_with_a_plugin_trains_a_run_that_predicts(words: list[str], pictures: Path) -> None:
    run = f"runs/{len(list(pictures.glob('runs/*')))}"
    cheap = ["max_epochs=1", "tracking=none", "run.device=cpu", "data.image_size=32", f"hydra.run.dir={run}"]
    usual = {"data.root": "sorted", "model": "small_resnet"}
    cheap += [f"{key}={value}" for key, value in usual.items() if not any(word.startswith(f"{key}=") for word in words)]
    (plugin,) = [word for word in words if word.startswith("plugins=")]
    both = [[*words, *cheap], ["predict", run, "sorted/a/0.png", plugin]]
    # in a process of its own, since a plugin changes the tables
    said = Command(*both, cwd=pictures).ended(0, timeout=600)
    assert "epoch 1/1" in said and f"pictures: {run}/predictions" in said


@pytest.mark.parametrize("words", shell_lines("make"), ids=shlex.join)
def test_every_make_command_has_a_target_and_composes(words: list[str], workplace: Path) -> None:
    assert f"\n{words[0]}:" in (TOP / "Makefile").read_text(encoding="utf-8")
    overrides = [word for item in words[1:] for word in shlex.split(item.removeprefix("ARGS="))]
    assert checked(overrides, workplace) == []


@pytest.mark.parametrize("words", shell_lines("python"), ids=shlex.join)
def test_every_benchmark_is_there(words: list[str], workplace: Path) -> None:
    assert (TOP / words[0]).is_file()
    assert checked([word for word in words[1:] if "=" in word], workplace) == []


def test_the_transcript_of_mistakes_is_what_visrun_says(workplace: Path) -> None:
    shown = [block.text.splitlines() for block in blocks("text") if block.text.startswith("$ visrun ")]
    assert shown
    for command, *lines in shown:
        with pytest.raises(ConfigError) as caught:
            resolve(shlex.split(command)[2:], open_conf(workplace))
        assert [f"visrun: error: {line}" for line in caught.value.problems] == lines


def test_the_explanation_shown_is_what_explain_prints(workplace: Path) -> None:
    page = (TOP / "docs" / "configuration.md").read_text(encoding="utf-8")
    command, shown = re.findall(r"```bash\nvisrun explain ([^\n]+)\n```\n\n```text\n(.*?)```", page, re.S)[0]
    printed = [line.split() for line in explain.as_text(resolve(command.split(), open_conf(workplace))).splitlines()]
    assert all(line.split() in printed for line in shown.splitlines() if line != "...")


def settings_in_text() -> list[str]:
    """The words of inline code that set something, such as ``data.on_bad=skip`` or, without a value, ``recipe=``."""
    words = [word for span in spans() for word in span.split() if re.match(r"(?!key=value)[a-z][a-z_.]*=", word)]
    sections = "|".join(SECTIONS)
    keys = [f"{span}=" for span in spans() if re.fullmatch(rf"({sections})\.[a-z_]+", span)]
    return sorted({*words, *keys})


def test_every_setting_in_the_text_exists(workplace: Path) -> None:
    conf, keys = open_conf(workplace), known()
    for word in settings_in_text():
        key, _, value = word.partition("=")
        assert key in keys or is_hydra(word) or key in ONLY_TYPED, word
        if not value or PLACEHOLDER.fullmatch(value) or is_hydra(word) or key in ONLY_TYPED:
            continue
        read = parse([word], known=keys, cwd=workplace, multirun=True, options=conf.loader)
        assert read.problems == (), word
        if key in GROUPS:
            assert read.typed[0].value in conf.options(key), word
        else:
            assert problems_of(key, read.typed[0].value) == [], word


def test_the_tables_of_other_tools_words_are_the_codes() -> None:
    text = (TOP / "docs" / "coming_from.md").read_text(encoding="utf-8")
    for part, table in zip(text.split("## What is not here"), (OURS, LACKING), strict=True):
        shown: list[tuple[str, str]] = []
        for line in part.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            for words, told in zip(cells[::2], cells[1::2], strict=True):
                shown += [(word, told.strip("`")) for word in re.findall(r"`(\w+)`", words)]
        assert {*shown} == {*table.items()}


def test_every_link_leads_somewhere() -> None:
    used = set()
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith("https://"):
                continue
            path, _, section = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            used.add(file)
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M) if section else []
            anchors = [heading.lower().replace(" ", "-") for heading in headings]
            assert not section or section in anchors, f"{page.name}: {target}"
    assert {file.resolve() for file in (TOP / "docs").iterdir()} <= used


def test_the_pages_are_short_and_the_readme_names_every_verb_and_group() -> None:
    lengths = {page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES}
    assert all(length <= (250 if name == "README.md" else 150) for name, length in lengths.items())
    readme = PAGES[0].read_text(encoding="utf-8")
    assert all(f"visrun {verb}" in readme for verb in VERBS)
    assert all(f"`{group}`" in readme for group in GROUPS)
    assert all(f"**{task}**" in readme for task in READY)


def test_the_table_of_hyperparameters_is_the_schema(tmp_path: Path) -> None:
    table = rows("README.md", "name")
    assert [row["name"] for row in table] == list(Hyperparameters.model_fields)
    values = {
        task: resolve([f"task={task}", "data.root=photos"], open_conf(tmp_path)).hyperparameters.model_dump(mode="json")
        for task in READY
    }
    for row in table:
        name = row["name"]
        assert row["what it does"] == Hyperparameters.model_fields[name].description
        assert row["type and range"] == allowed(Hyperparameters.model_fields[name])
        assert {task: row[task] for task in READY} == {task: show(values[task][name]) for task in READY}
        condition = READ_WHEN.get(name, {})
        told = [say(*part) for part in condition.items() if len(condition) == 1 or part[0] != "gradient"]
        assert row["read only when"] == " and ".join(told)


def test_the_tables_of_keys_are_the_settings() -> None:
    table = {row["key"]: row for page in PAGES[1:] for row in rows(f"docs/{page.name}", "key")}
    fields: dict[str, Any] = {
        f"{section}.{name}": info
        for section, model in SECTIONS.items()
        for name, info in model.model_fields.items()
        if name != "name"
    }
    fields |= {name: info for name, info in Settings.model_fields.items() if name not in SECTIONS}
    assert table.keys() == fields.keys()
    defaults = flatten(schema.defaults())
    for key, info in fields.items():
        said = (table[key]["default"], table[key]["takes"], table[key]["what it does"])
        assert said == (show(defaults[key]), allowed(info), meaning(info)), key


def test_the_table_of_the_sweepers_keys_is_its_settings() -> None:
    table = {row["hydra.sweeper."]: row["default"] for row in rows("docs/scale.md", "hydra.sweeper.")}
    fields = {field.name: field.default for field in dataclasses.fields(VisrunSweeperConf)}
    own = {name: show(value) for name, value in fields.items() if name not in ("_target_", "defaults")}
    picked = {key: value for entry in VisrunSweeperConf().defaults for key, value in entry.items()}
    assert table == own | picked


def test_the_table_of_models_is_the_codes(tmp_path: Path) -> None:
    table, conf = rows("docs/models.md", "model"), open_conf(tmp_path)
    assert [row["model"] for row in table] == list(MODELS)
    for row in table:
        entry = MODELS[row["model"]]
        assert row == {
            "model": row["model"],
            "tasks": ", ".join(task for task in entry.tasks if task in READY),
            "parameters": f"{entry.parameters:g}",
            "image size": f"{entry.image_size or ''}{' (fixed)' if entry.fixed_size else ''}",
            "own optimizer": conf.read(f"model/{row['model']}").get("optimizer", ""),
            "dropout": "yes" if entry.drops else "no",
            "published weights": "yes" if entry.pretrained else "no",
            "speed": str(entry.speed),
            "accuracy": str(entry.accuracy),
        }


def test_the_tables_of_losses_and_schedulers_are_the_codes() -> None:
    tasks = {row["task"]: row for row in rows("docs/training.md", "task")}
    assert tasks.keys() == set(READY)
    for name, row in tasks.items():
        entry = TASKS[name]
        assert row["losses, the default first"] == ", ".join(entry.losses)
        assert row["best by"] == f"{entry.monitor}, {'more' if entry.maximize else 'less'} is better"
    assert {row["scheduler="] for row in rows("docs/training.md", "scheduler=")} == set(SCHEDULERS)


def test_every_shipped_recipe_is_named() -> None:
    page = (TOP / "docs" / "configuration.md").read_text(encoding="utf-8")
    shipped = {file.stem for file in (conf_dir() / "recipe").glob("*.yaml")}
    assert shipped
    assert all(f"`{name}`" in page for name in shipped)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: f"{block.page.name}:{len(block.text)}")
def test_every_python_example_uses_what_there_is(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "visrun":
            assert node.attr in visrun.__all__
        if isinstance(node, ast.ImportFrom) and node.module:
            assert all(hasattr(importlib.import_module(node.module), name.name) for name in node.names)


def test_every_layout_is_described() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES[1:])
    assert [name for name in READERS if f"`data={name}`" not in text] == []


def test_every_public_name_stands_in_the_readme() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    named = {name for name in visrun.__all__ if f"visrun.{name}" in text}
    assert set(visrun.__all__) - named == {"Predictor", "Result"}  # what load and train return
