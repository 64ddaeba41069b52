"""Fields that explain themselves and error lines for people."""

import pytest

from visrun.config.fields import Float, Frozen, Int, allowed, field, leaves, meaning, one_of, show, validate


class Inner(Frozen):
    size: Int = field(3, "A size.", unit="pixels", hint="or two", ge=1, le=9)
    share: Float | None = field(None, "A share.", allowed="a number > 0", gt=0)


class Optional(Frozen):
    """A value that may be left out."""

    size: Int | None = field(None, "How big.", empty="as it comes")


class Outer(Frozen):
    name: str = field("a", "A name.", min_length=1)
    flag: bool = field(False, "A flag.")
    power: Float = field(1.0, "A power.", gt=0, lt=2)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("model", "name", "text"),
    [
        (Inner, "size", "an integer from 1 to 9"),
        (Inner, "share", "a number > 0"),
        (Outer, "name", "a text"),
        (Outer, "flag", "true or false"),
        (Outer, "power", "a number > 0 and < 2"),
    ],
)
def test_allowed_follows_from_the_field(model, name, text):
    assert allowed(model.model_fields[name]) == text


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({"inner": {"size": 0}}, ["inner.size=0: must be an integer from 1 to 9 (or two)"]),
        ({"inner": {"size": True}}, ["inner.size=true: must be an integer from 1 to 9 (or two)"]),
        ({"inner": {"sise": 2}}, ["inner.sise is no setting (did you mean inner.size?)"]),
        ({"inner": 3}, ["inner must be a mapping of keys to values"]),
        ({"inner": None}, ["inner must be a mapping of keys to values"]),
        ({"zzz": 1}, ["zzz is no setting"]),
        ({"power": float("inf")}, ["power=Infinity: must be a number > 0 and < 2"]),
        ({"name": "", "flag": "perhaps"}, ['name="": must be a text', "flag=perhaps: must be true or false"]),
        ({"name": {"_target_": "os.system"}}, ['name={"_target_": "os.system"}: must be a text']),
    ],
)
def test_one_line_for_every_wrong_key(values, lines):
    found, wrong = validate(Outer, values)
    assert (found, list(wrong.values())) == (None, lines)


def test_a_name_that_is_no_text_is_told_as_one():
    _, wrong = validate(Outer, {"name": "caf\udce9"})
    assert wrong == {"name": r'name="caf\udce9": the name is not UTF-8; rename it or name another one'}


def test_what_no_value_stands_for_ends_the_help():
    info = leaves(Optional)["size"]
    assert meaning(info) == "How big; null = as it comes."
    assert meaning(info, nothing="empty") == "How big; empty = as it comes."
    assert meaning(leaves(Inner)["size"]) == leaves(Inner)["size"].description


def test_valid_values_are_a_frozen_model():
    found, lines = validate(Outer, {"power": "1.5", "inner": {"size": "4", "share": 1}})
    assert lines == {}
    assert found == Outer(power=1.5, inner=Inner(size=4, share=1.0))
    with pytest.raises(Exception, match="frozen"):
        found.power = 1.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "abc"),
        ("", '""'),
        (" ", '" "'),
        ("a\nb", '"a\\nb"'),
        (None, "null"),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        (0.1, "0.1"),
    ],
)
def test_show(value, text):
    assert show(value) == text


def test_show_is_short():
    assert show("x" * 500) == "x" * 77 + "..."


def test_words():
    assert one_of(["a"]) == "a"
    assert one_of(("a", "b", "c")) == "a, b or c"


def test_fields_of_sections_have_dotted_keys():
    assert list(leaves(Outer)) == ["name", "flag", "power", "inner.size", "inner.share"]
    assert leaves(Outer)["inner.share"] is Inner.model_fields["share"]
