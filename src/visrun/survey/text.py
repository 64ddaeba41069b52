"""A survey in words."""

from __future__ import annotations

from visrun.data.check import MOST_SHOWN
from visrun.data.recognise import choices
from visrun.survey.look import Service, Spread, Survey
from visrun.text import plural

SEVERAL = "several labels an image: loss=bce"


def as_text(survey: Survey) -> str:
    """The images, a table of the tasks, what each finds, and what is wrong, for a terminal."""
    shared = {service.reason for service in survey.services if not service.ready}
    if not survey.images and len(survey.services) > 1 and len(shared) == 1:
        return f"{survey.root}: no task can be served: {shared.pop()}"
    width = max(len(service.task) for service in survey.services)
    lines = [_images(survey), ""]
    lines += [f"  {service.task:<{width}}  {_verdict(service)}" for service in survey.services]
    for summary, tasks in _summaries(survey).items():
        lines += ["", f"{', '.join(tasks)}:", *(f"  {line}" for line in summary.splitlines())]
    for title in ("warnings", "problems"):
        several = _lines(survey, title)
        if several:
            lines += ["", f"{title} ({len(several):,}):", *(f"  {line}" for line in several[:MOST_SHOWN])]
            lines += [f"  ... and {len(several) - MOST_SHOWN:,} more"] if len(several) > MOST_SHOWN else []
    return "\n".join(lines)


def _lines(survey: Survey, title: str) -> list[str]:
    """The warnings or the problems, each once; before one of a single task stands its name, where several were read."""
    found: dict[str, list[str]] = {}
    for service in survey.services:
        for line in getattr(service, title):
            found.setdefault(line, []).append(service.task)
    alone = sum(bool(service.summary) for service in survey.services) < 2
    return [line if alone or len(tasks) > 1 else f"{tasks[0]}: {line}" for line, tasks in found.items()]


def _summaries(survey: Survey) -> dict[str, list[str]]:
    """What runs would print, each once with the tasks that would print it."""
    found: dict[str, list[str]] = {}
    for service in survey.services:
        if service.summary:
            found.setdefault(service.summary.replace(f" in {survey.root}", ""), []).append(service.task)
    return found


def _images(survey: Survey) -> str:
    if not survey.images or survey.width is None or survey.height is None:
        return f"{survey.root}: no task can be served"
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in survey.suffixes.items())
    sizes = f"width {_span(survey.width)}, height {_span(survey.height)} pixels"
    return f"{survey.root}: {plural(survey.images, 'image')} ({kinds}), {sizes}"


def _span(spread: Spread) -> str:
    if spread.low == spread.high:
        return f"{spread.low:,g}"
    return f"{spread.low:,g} to {spread.high:,g} (median {spread.median:,g})"


def _verdict(service: Service) -> str:
    if not service.ready:
        return f"no   {service.reason}"
    others = f" ({choices(service.others, 'and')} would fit, too)" if service.others else ""
    several = f"; {SEVERAL}" if service.multilabel else ""
    return f"yes  data={service.layout}{others}{several}"
