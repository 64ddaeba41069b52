"""A slip in an entry of a plugin is one line that names the entry, what is wrong, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.config.compose import resolve
from visrun.config.entries import entry_problems
from visrun.errors import ConfigError

METRICS = "{'mae': False}"
TASK = f"fit='letterbox', image_size=64, metrics={METRICS}, build='zoo_plugin:Counting'"
MODEL = "build='zoo_plugin:counter', parameters=0.1, speed=3, accuracy=1"
REF = 'must be a function, or "module:function"'
SLIPS = [
    (f"TASKS['counting'] = TaskEntry(losses={{}}, target='value', {TASK})", 'TASKS["counting"].losses={}: must name'),
    *(
        (
            f"TASKS['counting'] = TaskEntry(losses={{'m': 'm:m'}}, target='value', {TASK})".replace(METRICS, wrong),
            f'TASKS["counting"].metrics={told}: must say of one metric at least whether more of it is better',
        )
        for wrong, told in (("{}", "{}"), ("{'mae': 'min'}", '{"mae": "min"}'), ("('mae',)", '["mae"]'))
    ),
    (
        f"TASKS['counting'] = TaskEntry(losses={{'poisson': 'm:poisson'}}, target='labels', {TASK})",
        'TASKS["counting"].target=labels: must be instances, rotated_boxes, mask, boxes, verdict, label, value or none '
        "(did you mean label?)",
    ),
    (
        f"TASKS['counting'] = TaskEntry(losses={{'m': 'm:m'}}, target='value', **dict(dict({TASK}), fit='zom'))",
        'TASKS["counting"].fit=zom: must be crop, letterbox or zoom (did you mean zoom?)',
    ),
    (
        f"TASKS['counting'] = TaskEntry(losses={{'m': 'm:m'}}, target='value', outputs=('images',), {TASK})",
        'TASKS["counting"].outputs=images: must be image, pixel or score (did you mean image?)',
    ),
    *(
        (
            f"class Half:\n    def {one}(self, x): ...\n"
            f"TASKS['half'] = TaskEntry(losses={{'m': 'm:m'}}, target='value', **dict(dict({TASK}), build={build}))",
            f'TASKS["half"].build: its class has {one}(), but no {other}(): thresholds chosen on val need both, see ',
        )
        for one, other in (("decide", "take"), ("take", "decide"))
        for build in ("Half", "'zoo_plugin:Half'")
    ),
    ("TASKS['classification'].losses['my hinge'] = print", 'TASKS["classification"].losses["my hinge"]: a name is'),
    ("TASKS['classification'].losses['hinge'] = 3", f'TASKS["classification"].losses["hinge"]=3: {REF}'),
    ("MODELS['counter'] = print", 'MODELS["counter"]="<built-in function print>": must be a ModelEntry'),
    (f"MODELS['counter'] = ModelEntry(tasks='counting', {MODEL})", 'MODELS["counter"].tasks=counting: must be a tuple'),
    (
        f"MODELS['counter'] = ModelEntry(tasks=('clasification',), {MODEL})",
        'MODELS["counter"].tasks=["clasification"]: must be a tuple of tasks: classification, anomaly_detection, ',
    ),
    (
        f"MODELS['counter'] = ModelEntry(tasks=('counting',), options=('strides', 'depth'), {MODEL})",
        'MODELS["counter"].options=depth: must be backbone, strides, coreset, neighbours or width',
    ),
    (
        "READERS['labels'] = ReaderEntry(read='zoo_plugin', recognise=None, targets=('value',))",
        f'READERS["labels"].read=zoo_plugin: {REF}\nREADERS["labels"].recognise=null: {REF}',
    ),
    ("AUGMENTATIONS['in-vert'] = print", 'AUGMENTATIONS["in-vert"]: a name is made of letters, digits and _'),
    ("SETTINGS['loss_options.beta'] = Setting(1.0, 'Mine.')", "SETTINGS[loss_options.beta]: visrun gives this name a"),
    (
        "AUGMENTATIONS['NaN'] = print",
        'AUGMENTATIONS["NaN"]: is no text where it is typed; take a name that',
    ),
    ("TASKS['classification'].losses['1e3'] = print", 'TASKS["classification"].losses["1e3"]: is no text where it is'),
    ("AUGMENTATIONS['invert'] = True", f'AUGMENTATIONS["invert"]=true: {REF}'),
]


def test_the_tables_as_they_are_have_no_slip() -> None:
    assert entry_problems() == []


@pytest.mark.parametrize(("text", "told"), SLIPS)
def test_a_slip_in_an_entry_is_named_at_every_attempt(zoo: Path, text: str, told: str) -> None:
    zoo.write_text(f"{zoo.read_text()}\n{text}\n")
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            resolve(["plugins=[zoo_plugin]", "model=counter"])
        assert len(caught.value.problems) == len(told.splitlines()), caught.value.problems
        assert str(caught.value).startswith(told)
