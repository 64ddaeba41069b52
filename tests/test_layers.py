"""Config is wide at one seam: what lies below it takes narrow arguments and knows nothing of how they came about."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import visrun
from visrun.tables import TASKS

FOREIGN = {"hydra", "omegaconf", "mlflow", "optuna", "pydantic"}
# Modules and whole packages at the seam and above it. Every other module lies below.
ABOVE = {
    "visrun." + name
    for name in (
        *("arguments", "cli", "compare", "conclusion", "config", "evaluate", "explain", "feeding", "handover"),
        *(
            "__main__",
            "export",
            "from_python",
            "hyperparameters",
            "launch",
            "advice",
            "origin",
            "parts",
            "predict",
            "predictor",
            "preflight",
            "repeat",
            "repetition",
            "resume",
            "varied",
            "run",
            "sitting",
            "survey.command",
            "sweep",
            "validation",
            "web",
        ),
        *(
            f"record.{name}"
            for name in (
                *("journal", "next_steps", "remember", "resuming", "run_settings", "sweep_files", "taking_over"),
                *("sweep_table", "tracked", "tracker_end"),
            )
        ),
    )
}
# What stands on top, and all that may import it besides itself; verbs go to it by the names in `arguments.VERBS`.
ON_TOP: dict[str, set[str]] = {
    "compare": set(),
    "launch": {"cli", "repeat"},
    "survey": {"web"},
    "sweep": {"explain", "launch"},
    "web": set(),
}
BELOW_TASKS = {"visrun." + name for name in ("anomaly", "boxes", "data", "detection", "figures", "models")}
# All that names tasks, or has such a word for something else; what lies elsewhere is shared by them.
NAMING = {
    "visrun." + name
    for name in (
        *("config.settings", "data.demo", "synonyms", "tables"),
        *("config.choices", "models.patchcore", "preflight"),  # kinds of torchvision's networks
        *("data.readers.coco_objects", "detection.coco", "submission"),  # a key of COCO's
    )
}
TRACKING = "visrun.tracking"  # the one package that speaks with MLflow, which it loads when a store opens


def name_of(path: Path) -> str:
    parts = path.relative_to(Path(visrun.__file__).parents[1]).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in Path(visrun.__file__).parent.rglob("*.py")}


def within(name: str, packages: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def statements(node: ast.AST, *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node that run, those in functions only where ``lazy``; none for the type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from statements(ast.Module(body=child.orelse, type_ignores=[]), lazy=lazy)
        elif lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child, lazy=lazy)


@cache
def imported(module: str, *, lazy: bool = False) -> frozenset[str]:
    """The modules that one imports; ``from visrun import x`` is ``visrun.x`` as well."""
    names = set[str]()
    for node in statements(ast.parse(FILES[module].read_text(encoding="utf-8")), lazy=lazy):
        names |= {alias.name for alias in node.names if isinstance(node, ast.Import)}
        if isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def chains(module: str) -> Iterator[tuple[str, ...]]:
    """How everything is reached that a module imports, wherever in it, and that the import of those loads in turn."""
    seen, left = {module}, [(module, name) for name in imported(module, lazy=True)]
    while left:
        chain = left.pop()
        if chain[-1] not in seen:
            seen.add(chain[-1])
            yield chain
            left += [(*chain, name) for name in imported(chain[-1])] if chain[-1] in FILES else []


@pytest.mark.parametrize("module", sorted(name for name in FILES if not within(name, ABOVE)))
def test_nothing_below_the_seam_knows_config(module: str) -> None:
    foreign = FOREIGN - {"mlflow"} if within(module, {TRACKING}) else FOREIGN
    wrong = [chain for chain in chains(module) if chain[-1].partition(".")[0] in foreign or within(chain[-1], ABOVE)]
    assert not [" -> ".join(chain) for chain in wrong]


def users_of(package: str) -> set[str]:
    """The modules outside of a package that import it, wherever in them."""
    users = {name for name in FILES if any(within(one, {package}) for one in imported(name, lazy=True))}
    return {name for name in users if not within(name, {package})}


def test_packages_import_one_another_one_way() -> None:
    """As they are loaded; a single module at the top counts as a package, and the schema as a part of config."""
    parts: dict[str, set[str]] = {}
    for module in sorted(set(FILES) - {"visrun"}):
        inner = [name for name in imported(module) if name != "visrun" and within(name, {"visrun"})]
        parts.setdefault(part_of(module), set()).update(map(part_of, inner))
    TopologicalSorter({part: uses - {part} for part, uses in parts.items()}).prepare()  # an error names the cycle


def part_of(module: str) -> str:
    part = module.split(".")[1]
    return "config" if part == "hyperparameters" else part


@pytest.mark.parametrize("package", ON_TOP)
def test_what_stands_on_top_is_imported_by_few(package: str) -> None:
    assert {name.split(".")[1] for name in users_of(f"visrun.{package}")} == ON_TOP[package]


def test_what_tasks_are_made_of_knows_no_task() -> None:
    users = users_of("visrun.tasks")
    assert users and not [name for name in users if within(name, BELOW_TASKS)]


def test_shared_code_names_no_task() -> None:
    """As a value, which could be compared or looked up; sentences may tell of tasks."""
    words = {*TASKS, *(f"task={task}" for task in TASKS)}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
    said = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in words
    }
    assert {next((known for known in NAMING if within(name, {known})), name) for name in said} == NAMING


def test_the_rule_covers_what_it_says() -> None:
    assert set(FILES) >= ABOVE | BELOW_TASKS
    reached = {
        chain[-1] for chain in chains("visrun.launch")
    }  # which imports torch through modules of visrun only, late
    assert {"hydra", "pydantic", "visrun.config.settings", "visrun.optimizers", "torch"} <= reached
