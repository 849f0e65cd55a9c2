"""A run's curves as a Plotly figure: plain JSON, drawn by plotly.js wherever it is loaded.

Nothing in a figure is a text of the user's or the backend's, since plotly.js takes markup in
labels for markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from arkor.core.series import Point
from arkor.runner.timeline import Happening, Timeline, When

__all__ = ["Curves", "figure"]


@dataclass(frozen=True, slots=True)
class Curves:
    """The timeline of one run of a figure, and what its curves are called: `A`, or nothing."""

    timeline: Timeline
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One of the diagrams that stand below each other. `share` is its part of the height."""

    title: str
    metrics: tuple[str, ...]
    share: float


PANELS: Final = (
    _Panel("loss", ("loss", "eval_loss"), 3.0),
    _Panel("learning rate", ("learning_rate",), 1.2),
    _Panel("samples / s", ("samples_per_second",), 1.2),
)
NAMES: Final = {
    "loss": "loss",
    "eval_loss": "eval loss",
    "learning_rate": "learning rate",
    "samples_per_second": "samples / s",
}
COLOURS: Final = {
    "loss": "#2f74e0",
    "eval_loss": "#d9730d",
    "learning_rate": "#8b5cf6",
    "samples_per_second": "#0e9f78",
}
RUN_COLOURS: Final = ("#2f74e0", "#d9730d", "#8b5cf6", "#0e9f78")
"""The colours of several runs, whose metrics then differ by their dashes."""

MARKS: Final = {
    "taken over": ("taken over", "diamond", "#c0399f"),
    "connected": ("reconnected", "line-ns-open", "#808998"),
    "gap": ("gap in the ids", "x", "#d92d20"),
    "conflict": ("conflicting ids", "x", "#d92d20"),
    "too large": ("event too large", "x", "#d92d20"),
    "malformed": ("malformed event", "x", "#d92d20"),
}
"""What is marked at the foot of the first panel: its name, its symbol and its colour."""

GAP: Final = 0.055
"""The height between two panels, of 1."""

UNITS: Final = ((2 * 86_400, 3_600, "hours"), (600, 60, "minutes"), (0, 1, "seconds"))
"""From how many seconds on the time is shown in which unit."""


def figure(runs: Sequence[Curves]) -> dict[str, Any]:
    """The figure of one run, or of several over each other, as `Plotly.newPlot` takes it.

    `x` counts steps. Each trace has the time as well, from its run's first figure on, in
    `meta.time`; the axis' names are in `layout.meta`. A page may exchange the two.
    """
    several = len(runs) > 1
    panels = [panel for panel in PANELS if any(_has(each, panel) for each in runs)]
    unit, unit_name = _unit(runs)
    data: list[dict[str, Any]] = []
    for place, run in enumerate(runs):
        clock = _Clock(_origin(run.timeline), unit)
        for number, panel in enumerate(panels, 1):
            colour = _run_colour(place) if several else None
            data += [_curve(run, name, number, clock, colour) for name in _of(run, panel)]
        if panels:
            data += _marks(run, clock, place, several)
    layout = _layout(panels)
    layout["meta"] = {"step": "step", "time": f"{unit_name} since the first figure"}
    return {"data": data, "layout": layout}


@dataclass(frozen=True, slots=True)
class _Clock:
    origin: float
    unit: int

    def __call__(self, when: When) -> float:
        return round((when.seconds - self.origin) / self.unit, 6)


def _run_colour(place: int) -> str:
    return RUN_COLOURS[place % len(RUN_COLOURS)]


def _of(run: Curves, panel: _Panel) -> Iterator[str]:
    return (name for name in panel.metrics if run.timeline.series.get(name))


def _has(run: Curves, panel: _Panel) -> bool:
    return any(True for _ in _of(run, panel))


def _times(timeline: Timeline) -> Iterator[float]:
    for series in timeline.series.values():
        for point in series.points():
            yield point.x.seconds


def _origin(timeline: Timeline) -> float:
    return min(_times(timeline), default=0.0)


def _unit(runs: Iterable[Curves]) -> tuple[int, str]:
    spans = (max(_times(run.timeline), default=0.0) - _origin(run.timeline) for run in runs)
    longest = max(spans, default=0.0)
    return next((unit, name) for least, unit, name in UNITS if longest >= least)


def _curve(run: Curves, name: str, panel: int, clock: _Clock, colour: str | None) -> dict[str, Any]:
    points: list[Point[When]] = list(run.timeline.series[name].points())
    few = len(points) <= 60
    shown = f"{NAMES[name]} {run.label}".rstrip()
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": shown,
        "x": [point.x.step for point in points],
        "y": [point.y for point in points],
        "xaxis": "x",
        "yaxis": f"y{panel if panel > 1 else ''}",
        "line": {
            "color": colour or COLOURS[name],
            "width": 1.8,
            "dash": "dot" if colour and name == "eval_loss" else "solid",
        },
        "marker": {"size": 5},
        "connectgaps": False,
        "hovertemplate": "%{y:.5g}",
        "meta": {"time": [clock(point.x) for point in points]},
    }


def _marks(run: Curves, clock: _Clock, place: int, several: bool) -> list[dict[str, Any]]:
    saved = [each.when for each in run.timeline.checkpoints]
    found = {("checkpoint", "triangle-up", "#0e9f78"): saved} if saved else {}
    for happening in _marked(run.timeline):
        found.setdefault(MARKS[happening.kind], []).append(happening.when)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{name} {run.label}".rstrip(),
            "x": [each.step for each in when],
            "y": [0.02 + place * 0.05] * len(when),
            "xaxis": "x",
            "yaxis": "y9",
            "marker": {
                "symbol": symbol,
                "size": 9,
                "color": _run_colour(place) if several else colour,
            },
            "hovertemplate": name,
            "meta": {"time": [clock(each) for each in when]},
        }
        for (name, symbol, colour), when in found.items()
    ]


def _marked(timeline: Timeline) -> Iterator[Happening]:
    connected = 0
    for happening in timeline.happenings:
        connected += happening.kind == "connected"
        if happening.kind in MARKS and (happening.kind != "connected" or connected > 1):
            yield happening


def _layout(panels: Sequence[_Panel]) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "autosize": True,
        "height": 150 + int(90 * sum(panel.share for panel in panels)),
        "margin": {"l": 64, "r": 16, "t": 12, "b": 48},
        "hovermode": "x unified",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "#6b7280", "size": 12},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {"title": {"text": "step"}, "anchor": _axis(len(panels)), "zeroline": False},
        "yaxis9": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    }
    top = 1.0
    room = 1.0 - GAP * (len(panels) - 1)
    for number, panel in enumerate(panels, 1):
        bottom = top - room * panel.share / sum(each.share for each in panels)
        layout[_axis(number, "yaxis")] = {
            "title": {"text": panel.title},
            "domain": [max(round(bottom, 4), 0), round(top, 4)],
            "zeroline": False,
            "exponentformat": "power",
        }
        top = bottom - GAP
    return layout


def _axis(number: int, name: str = "y") -> str:
    return name if number <= 1 else f"{name}{number}"
