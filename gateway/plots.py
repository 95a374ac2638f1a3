"""Plots as SVG, made of plain numbers: no script, no style of their own, the same on paper.

Classes are those of ``static/css/desk.css``. Sizes are CSS pixels where a plot is shown at its
own ``width``: it is made at least as narrow as the narrowest place for it, so that its text of
12 px never gets smaller. A plot repeats what a table beside it says: :func:`bars` and
:func:`columns` return an image with a title and a description, and no numbers of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup

#: The width of a plot inside a card on a phone of 360 px, and the height of one over time.
NARROW, LOW = 288, 200
#: The same where a plot has half a desk's screen, or a sheet of paper, for itself.
WIDE, HIGH = 540, 320

#: How wide a letter of 12 px is at most on average, in every font that pages may get.
_LETTER = 7.2
_ROW, _TEXT, _THICK, _THIN = 38, 12, 9, 4
_TOP, _BOTTOM, _LEFT = 10, 24, 34


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of :func:`bars`: lengths in the plot's unit, None where nothing is known.

    ``said`` is how the line's value is written. ``far`` is where a whisker ends, for a spread.
    """

    name: str
    now: float | None
    before: float | None
    said: str
    far: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One moment of :func:`columns`: two columns and a point of the line, in one unit.

    None where the moment is not in that period.
    """

    name: str
    now: float | None
    before: float | None
    line: float | None


def ceiling(value: float) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50… that is no less than ``value``."""
    steps = (mantissa * int(10**power) for power in count() for mantissa in (1, 2, 5))
    return next(step for step in steps if step >= value)


def shortened(text: str, width: float) -> str:
    """Return ``text``, or its beginning and an ellipsis, in at most ``width`` pixels."""
    most = max(1, int(width / _LETTER))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _drawing(
    key: str, width: int, height: float, title: str, says: str, parts: Sequence[Markup]
) -> Markup:
    return Markup(
        '<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{title}</title>'
        '<desc id="{key}-d">{says}</desc>{parts}</svg>'
    ).format(
        width=width,
        height=_px(height),
        key=key,
        title=title,
        says=says,
        parts=Markup("").join(parts),
    )


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rect(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    sizes = {"x": _px(x), "y": _px(y), "w": _px(width), "h": _px(height)}
    return Markup('<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}"/>').format(
        kind=kind, **sizes
    )


def _path(kind: str, *points: tuple[float, float]) -> Markup:
    joined = " L".join(f"{_px(x)} {_px(y)}" for x, y in points)
    return Markup('<path class="{kind}" d="M{joined}"/>').format(kind=kind, joined=joined)


def _text(text: str, x: float, y: float, kind: str = "", anchor: str = "start") -> Markup:
    return Markup(
        '<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
    ).format(kind=kind, x=_px(x), y=_px(y), anchor=anchor, text=text)


def bars(
    key: str, title: str, says: str, lines: Sequence[Bar], *, most: float = 0, width: int = NARROW
) -> Markup:
    """Draw lines of two bars, now above before, each with its name and value over them.

    ``key`` is unique on its page. The longest bar fills the width, unless ``most`` is longer.
    """
    longest = max([most, *(v for b in lines for v in (b.now, b.before, b.far) if v is not None)])
    parts = [part for n, line in enumerate(lines) for part in _line(line, n * _ROW, longest, width)]
    return _drawing(key, width, max(1, len(lines)) * _ROW, title, says, parts)


def _line(bar: Bar, top: float, longest: float, width: int) -> list[Markup]:
    def length(value: float) -> float:
        return width * (value / longest) if longest else 0.0

    room = width - len(bar.said) * _LETTER - 8
    first, second = top + _TEXT + 4, top + _TEXT + 5 + _THICK
    parts = [
        _text(shortened(bar.name, room), 0, top + _TEXT),
        _text(bar.said, width, top + _TEXT, "value", "end"),
        _path("axis", (0, second + _THIN + 1), (width, second + _THIN + 1)),
    ]
    if bar.now is not None:
        parts.append(_rect("bar", 0, first, length(bar.now), _THICK))
    if bar.before is not None:
        parts.append(_rect("bar before", 0, second, length(bar.before), _THIN))
    if bar.now is not None and bar.far is not None:
        end, middle = length(bar.far) - 1, first + _THICK / 2
        parts.append(_path("far", (length(bar.now), middle), (end, middle)))
        parts.append(_path("far", (end, first), (end, first + _THICK)))
    return parts


def columns(
    key: str,
    title: str,
    says: str,
    moments: Sequence[Column],
    *,
    width: int = NARROW,
    height: int = LOW,
) -> Markup:
    """Draw a column now beside one before at each moment, and one line over all moments.

    ``key`` is unique on its page. The scale begins at 0 and has whole numbers.
    """
    heights = [v for m in moments for v in (m.now, m.before, m.line) if v is not None]
    top = ceiling(max([1.0, *heights]))
    floor = height - _BOTTOM
    scale = (floor - _TOP) / top
    parts = [
        part
        for value in _ticks(top)
        for part in (
            _path("axis", (_LEFT, floor - value * scale), (width, floor - value * scale)),
            _text(f"{value}", _LEFT - 6, floor - value * scale + 4, anchor="end"),
        )
    ]
    step = (width - _LEFT) / max(1, len(moments))
    thick = step * 0.38
    for n, moment in enumerate(moments):
        left = _LEFT + step * (n + 0.12)
        for kind, value, x in (
            ("bar", moment.now, left),
            ("bar before", moment.before, left + thick),
        ):
            if value is not None:
                parts.append(_rect(kind, x, floor - value * scale, thick, value * scale))
    middles = [_LEFT + step * (n + 0.5) for n in range(len(moments))]
    points = [
        (x, floor - moment.line * scale)
        for x, moment in zip(middles, moments, strict=True)
        if moment.line is not None
    ]
    if points:
        parts.append(_path("line", *points))
    end = 0.0
    for name, middle in zip((moment.name for moment in moments), middles, strict=True):
        half = len(name) * _LETTER / 2
        x = min(max(middle, _LEFT + half), width - half)
        if x - half >= end:  # there is room for this one's name
            parts.append(_text(name, x, height - 6, anchor="middle"))
            end = x + half + 6
    return _drawing(key, width, height, title, says, parts)


def _ticks(top: int) -> list[int]:
    """Return two to six whole numbers from 0 to ``top``, as far apart as one another."""
    parts = next(n for n in (5, 4, 2, 1) if top % n == 0)
    return [top * n // parts for n in range(parts + 1)]
