"""What a name that nothing here has was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from visrun.synonyms import hint, is_command, ours

HYDRA = "hydra"  # the node of its own settings
ALIKE = 0.7  # of 1: from which likeness on a key is a misspelt one; a little below, opt is like dropout


def is_hydra_key(key: str) -> bool:
    """Whether a key is Hydra's own, such as ``hydra.run.dir`` and ``hydra/launcher``."""
    return key == HYDRA or key.startswith((f"{HYDRA}.", f"{HYDRA}/"))


def did_you_mean(name: str, names: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """`` (did you mean NAME?)``, or nothing where no name is near.

    Capitals do not count, and what another tool calls something here goes before what is spelt like it.

    Args:
        elsewhere: Names that are not to be had here -> how they are: ``loss=mae with task=regression``.
    """
    other = "" if is_command(ours(name)) else ours(name)
    meant = [name.casefold(), *(word.rpartition("=")[2] for word in other.split())]
    here = {known.casefold(): known for known in names}
    there = {known.casefold(): typed for known, typed in (elsewhere or {}).items()}
    if " " in other and meant[-1] in there:  # which of the tasks that have it is meant
        there[meant[-1]] = other
    alike = [get_close_matches(meant[0], list(known), n=1) for known in (here, there)]
    told = [known[given] for known in (here, there) for given in meant if given in known]
    told += [known[given] for known, close in zip((here, there), alike, strict=True) for given in close]
    return f" (did you mean {told[0]}?)" if told else ""


def near(name: str, known: Iterable[str]) -> str:
    """`` (did you mean KEY?)`` for a misspelt, shortened (``lr``) or sectionless (``root``) setting; else nothing.

    Of another tool's word it says what that is here, or that there is nothing like it; of Hydra's own, how it is given.
    """
    if is_hydra_key(name) and name != HYDRA:
        return f", but Hydra's: type {name}=VALUE"
    keys, leaf = sorted(known), name.rpartition(".")[2]
    same = [key for key in keys if key.rpartition(".")[2] == leaf or _initials(key) == leaf]
    if told := hint(name) or ("" if same else hint(leaf)):
        return told
    alike = get_close_matches(name, same or keys, n=1, cutoff=0.0 if same else ALIKE)
    close = alike or get_close_matches(leaf, keys, n=1, cutoff=ALIKE)
    return f" (did you mean {close[0]}?)" if close else ""


def _initials(key: str) -> str:
    return "".join(part[0] for part in key.split("_")) if "_" in key and "." not in key else ""
