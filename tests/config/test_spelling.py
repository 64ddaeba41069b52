"""Values as words: read back by Hydra's own parser exactly as they were."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from visrun.config.spelling import PLAIN, text, to_override
from visrun.errors import ConfigError


def parsed(line: str) -> Any:
    return OverridesParser.create().parse_overrides([line])[0].value()


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(PLAIN, fullmatch=True)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS.filter(lambda text: "${" not in text)
)


def exactly(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(exactly, one, other))
    return type(one) is type(other) and one == other


@given(st.recursive(SCALARS, st.lists, max_leaves=6))
@settings(deadline=None, max_examples=200)
@example("it's a \\' \\")
@example(["\\", "'", '"', "null", "1e3", "", " a "])
@example(["1e-05x", "0/5", "-1", "1_0", "INF", "CON", "~x", "true"])
@example(1e-320)
def test_any_plain_value_survives_hydras_parser(value: Any) -> None:
    assert exactly(parsed(to_override("data.root", value)), value)


def test_nan_survives() -> None:
    back = parsed(to_override("learning_rate", math.nan))
    assert isinstance(back, float)
    assert math.isnan(back)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("2026-11-26/22-22-29_sweep", "hydra.sweep.dir=2026-11-26/22-22-29_sweep"),
        ("/photos/x.csv", "hydra.sweep.dir=/photos/x.csv"),
        ("/photos (1)/a,b", "hydra.sweep.dir='/photos (1)/a,b'"),
        ("null", "hydra.sweep.dir='null'"),
        (["a", "it's", "7"], "hydra.sweep.dir=[a,'it\\'s','7']"),
    ],
)
def test_quotes_stand_only_where_they_are_needed(value: Any, line: str) -> None:
    assert to_override("hydra.sweep.dir", value) == line
    assert f"hydra.sweep.dir={text(value)}" == line


def test_what_cannot_be_written_is_refused_by_its_key() -> None:
    for value in ("a${b}", ["c", "a${b}"]):
        with pytest.raises(ConfigError, match=r"^data.root=a\$\{b\}"):
            to_override("data.root", value)
    for value, kind in (({"a": 1}, "dict"), (b"hi", "bytes"), ([b"hi"], "bytes")):
        with pytest.raises(ConfigError, match=rf"^data\.root: a value of type {kind} is not taken"):
            to_override("data.root", value)
