"""Plots of a study: each as a PNG file, and all together on one interactive page that needs no network.

    draw(study, trials_of(study), Path("multirun/NAME/plots"))

The page holds plotly's script once (5 MB), which a file for each plot would repeat. It is whole in itself, so it opens
in MLflow's artifact viewer, from the disk and out of a mail.
"""

from __future__ import annotations

import html
import importlib.util
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visrun.console import Bugs
from visrun.figures.palette import BLUE, GREY, ORANGE
from visrun.files import update, write_atomic
from visrun.record.sweep_files import IMPORTANCE
from visrun.sweep import panels
from visrun.sweep.trials import STATES, counts
from visrun.sweep.view import View, look, remembered, silent

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

PAGE = "sweep.html"
MOST_LINES = 300  # of the page's lines, each a trial
MOST_CONTOUR = 150  # trials: the page's contour holds their number squared for each pair of parameters

one_at_a_time = threading.Lock()  # matplotlib's fonts and Optuna's loggers belong to the process


class Plot(NamedTuple):
    """A plot: its heading, whether a study can give it, how it is drawn as a file and as a figure of the page."""

    heading: str
    possible: Callable[[View], bool]
    png: Callable[[View, Path], None]
    figure: Callable[[View], Any]


def draw(study: Study, trials: Sequence[FrozenTrial], folder: Path, bugs: Bugs | None = None) -> list[Path]:
    """Draw what the study can give by now; a file is replaced as a whole, so it may be read at any time.

    Args:
        study: With the user attribute ``visrun`` that names its objectives.
        trials: Those that count; queued ones are passed over.
        folder: Made where it is missing.
        bugs: Of former drawings; what a plot raises is logged, but not again.

    Beside them importance.json holds the share of the variance that each parameter explains, as far as it is known.

    Returns:
        The files: history.png, importance.png, parallel.png, slice.png, contour.png, intermediate.png, pareto.png as
        far as there is something to see, and sweep.html (where plotly is installed). [] for a study without values.
    """
    bugs = Bugs() if bugs is None else bugs
    with one_at_a_time:
        view = look(study, trials)
        given = {name: plot for name, plot in PLOTS.items() if plot.possible(view)}
        folder.mkdir(parents=True, exist_ok=True)
        update(folder / IMPORTANCE, (json.dumps(view.importance) + "\n").encode())
        files = [drawn(name, plot, view, folder, bugs) for name, plot in given.items()]
        page = interactive(view, given, folder / PAGE, bugs) if given and importlib.util.find_spec("plotly") else None
        return [path for path in (*files, page) if path is not None]


def drawn(name: str, plot: Plot, view: View, folder: Path, bugs: Bugs) -> Path | None:
    """The plot's file; None where it could not be drawn, which must not end a sweep."""
    path, temporary = folder / f"{name}.png", folder / f".{name}.png"
    try:
        plot.png(view, temporary)
    except Exception as error:
        bugs.log(f"{path} was not drawn", error)
        return None
    return temporary.replace(path)


def interactive(view: View, given: dict[str, Plot], path: Path, bugs: Bugs) -> Path:
    """Write the page with all figures; one that cannot be made is left out."""
    from plotly.io import to_html
    from plotly.offline import get_plotlyjs

    sections = []
    for name, plot in given.items():
        try:
            with silent():
                figure = plot.figure(view)
        except Exception as error:
            bugs.log(f"{name} was not put on the page", error)
            continue
        figure.update_layout(title=None, template="plotly_white", margin={"t": 40, "r": 40})
        body = to_html(figure, include_plotlyjs=False, full_html=False, config={"displaylogo": False})
        sections.append(f'<h2 id="{name}">{html.escape(plot.heading)}</h2><div class="plot">{body}</div>')
    text = TEMPLATE.format(title=html.escape(view.name), note=html.escape(note(view)), plots="\n".join(sections))
    write_atomic(path, text.replace("PLOTLY", get_plotlyjs(), 1).encode())
    return path


def note(view: View) -> str:
    """What the study has come to, in one line."""
    best = view.best()
    return counts(view.trials) + (f"; best {view.metric} {best.value:.6g} in trial {best.number}" if best else "")


def history_figure(view: View) -> Any:
    """Values and the best so far, over the trials."""
    from optuna.visualization import plot_optimization_history

    figure = plot_optimization_history(view.study, target_name=view.metric)
    figure.for_each_trace(lambda trace: trace.update(name="best so far", line={"shape": "hv"}), {"name": "Best Value"})
    return figure.update_layout(xaxis_title="trial")


def importance_figure(view: View) -> Any:
    """The shares that are known already, as bars."""
    import plotly.graph_objects as go

    names, shares = list(view.importance)[::-1], list(view.importance.values())[::-1]
    bars = go.Bar(x=shares, y=names, orientation="h", text=[f"{share:.3f}" for share in shares], marker={"color": BLUE})
    return go.Figure(bars).update_xaxes(title=f"share of the variance of {view.compared_metric}")


def parallel_figure(view: View) -> Any:
    """A line for each trial; of many, some."""
    from optuna.visualization import plot_parallel_coordinate

    return plot_parallel_coordinate(some(view, MOST_LINES), params=list(view.varied), target_name=view.metric)


def slice_figure(view: View) -> Any:
    """The metric over each parameter; of pruned trials the last that they reported, as crosses."""
    import plotly.graph_objects as go
    from optuna.visualization import plot_slice

    names = sorted(view.tried[: panels.MOST_SLICES])  # as Optuna orders them
    figure = plot_slice(view.study, params=names, target_name=view.metric)
    for column, name in enumerate(names, start=1):
        having = [
            (trial, value) for trial, value in zip(view.pruned, view.stopped_at, strict=True) if name in trial.params
        ]
        crosses = go.Scatter(
            x=[place_of(trial, name) for trial, _ in having],
            y=[value for _, value in having],
            text=[f"trial {trial.number}, pruned" for trial, _ in having],
            mode="markers",
            marker={"symbol": "x", "size": 5, "color": GREY},
            showlegend=False,
        )
        figure.add_trace(crosses, **({"row": 1, "col": column} if len(names) > 1 else {}))
    return figure


def place_of(trial: FrozenTrial, name: str) -> Any:
    """Where a trial lies on an axis of Optuna's slices: at a number, or at the text of a choice."""
    value, choices = trial.params[name], hasattr(trial.distributions[name], "choices")
    return repr(value) if choices else value


def contour_figure(view: View) -> Any:
    """The metric over pairs of the most important parameters; of many trials, some."""
    from optuna.visualization import plot_contour

    names = view.spanning[: panels.MOST_CONTOURS]
    figure = plot_contour(some(view, MOST_CONTOUR), params=names, target_name=view.metric)
    return figure.update_layout(height=300 * max(2, len(names)))


def intermediate_figure(view: View) -> Any:
    """The metric over the epochs, a line for each trial; pruned ones in orange."""
    from optuna.visualization import plot_intermediate_values

    states = {trial.number: STATES[trial.state] for trial in view.trials}
    colours = {"complete": BLUE, "pruned": ORANGE}
    shown = view.thinned(view.reporting, MOST_LINES)
    figure = plot_intermediate_values(remembered(view.name, view.maximize[:1], shown))

    def told(trace: Any) -> None:
        number = int(trace.name.removeprefix("Trial"))
        state = states[number]
        colour = colours.get(state, GREY)
        trace.update(name=f"trial {number}, {state}", line={"color": colour, "width": 1}, opacity=0.7)
        trace.update(marker={"symbol": "x" if state == "pruned" else "circle", "size": 4, "color": colour})

    figure.for_each_trace(told)
    return figure.update_layout(xaxis_title="epoch", yaxis_title=view.metric)


def pareto_figure(view: View) -> Any:
    """The objectives against each other."""
    from optuna.visualization import plot_pareto_front

    assert view.whole is not None
    return plot_pareto_front(view.whole, target_names=list(view.metrics))


def some(view: View, most: int) -> Study:
    """The study with no more than ``most`` of its complete trials."""
    if len(view.complete) <= most:
        return view.study
    return remembered(view.name, view.maximize[:1], view.thinned(view.complete, most))


def is_contour(view: View) -> bool:
    """Whether there are two parameters to span a surface, and enough trials to guess one."""
    return len(view.spanning) >= 2 and len(view.complete) >= 4


PLOTS: dict[str, Plot] = {
    "history": Plot("History", lambda view: bool(view.complete), panels.history, history_figure),
    "importance": Plot("Importance", lambda view: bool(view.importance), panels.importance, importance_figure),
    "parallel": Plot("Parallel coordinates", lambda view: len(view.varied) > 1, panels.parallel, parallel_figure),
    "slice": Plot("Slices", lambda view: bool(view.complete and view.tried), panels.slices, slice_figure),
    "contour": Plot("Contours", is_contour, panels.contour, contour_figure),
    "intermediate": Plot(
        "Values during the trials",
        lambda view: any(len(trial.intermediate_values) > 1 for trial in view.reporting),
        panels.intermediate,
        intermediate_figure,
    ),
    "pareto": Plot(
        "Pareto front",
        lambda view: view.whole is not None and len(view.metrics) <= 3 and len(view.complete) > 1,
        panels.pareto,
        pareto_figure,
    ),
}

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; color: #3c4043; margin: 1.5rem; }}
h1 {{ font-size: 1.3rem; }} h2 {{ font-size: 1.05rem; margin: 1.5rem 0 0; }}
.plot {{ overflow-x: auto; }}
</style>
<script>PLOTLY</script></head>
<body><h1>{title}</h1><p>{note}</p>
{plots}
</body></html>
"""
