"""Small charts as inline SVG and HTML strings; colours come from the page's CSS classes.

Every chart carries its numbers as text too, so that nothing is told by length or colour alone.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import median

CHART_WIDTH, CHART_HEIGHT = 640, 150
_MAX_COLUMNS = 72


def bars(values: Mapping[str, float], *, unit: str = "", digits: int = 0) -> str:
    """Horizontal bars, longest first."""
    longest = max(values.values(), default=0) or 1
    rows = (
        f'<div class="bar"><span class="label">{escape(name)}</span>'
        f'<span class="track"><span style="width:{100 * value / longest:.2f}%"></span></span>'
        f'<span class="value">{value:,.{digits}f}{escape(unit)}</span></div>'
        for name, value in sorted(values.items(), key=lambda item: -item[1])
    )
    return f'<div class="bars">{"".join(rows)}</div>'


def columns(values: Mapping[str, int], *, label: str) -> str:
    """Vertical columns in the order given; `label` says what is counted."""
    tallest = max(values.values(), default=0) or 1
    width = CHART_WIDTH / max(len(values), 1)
    drawn = "".join(
        f'<rect x="{n * width + width * 0.1:.2f}" y="{CHART_HEIGHT - height:.2f}" '
        f'width="{width * 0.8:.2f}" height="{height:.2f}" rx="2">'
        f"<title>{escape(name)}: {value:,}</title></rect>"
        for n, (name, value) in enumerate(values.items())
        if (height := CHART_HEIGHT * value / tallest)
    )
    names = list(values)
    peak = f"most: {tallest:,}"
    axis = (names[0], peak, names[-1]) if len(names) > 1 else (*names, peak)
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" role="img" preserveAspectRatio="none" '
        f'aria-label="{escape(label)}; {peak}">{drawn}</svg>'
        f'<div class="axis">{"".join(f"<span>{escape(text)}</span>" for text in axis)}</div>'
    )


def by_month(counts: Mapping[str, int]) -> dict[str, int]:
    """Every month from the first to the last, empty ones too; years where months are too many.

    Keys are 'YYYY-MM'; any other key ('undated') is left out.
    """
    months = {key: count for key, count in counts.items() if _is_month(key)}
    if not months:
        return {}
    first, last = (_ordinal(key) for key in (min(months), max(months)))
    if last - first < _MAX_COLUMNS:
        names = [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, last + 1)]
        return {name: months.get(name, 0) for name in names}
    years = {f"{year:04d}": 0 for year in range(first // 12, last // 12 + 1)}
    for key, count in months.items():
        years[key[:4]] += count
    return years


def histogram(values: Sequence[int], *, bins: int = 24) -> dict[str, int]:
    """Counts in equal steps from 0 to the 98th percentile, the last step open at the top."""
    if not values:
        return {}
    top = percentile(values, 98)
    step = _round_up(max(top / bins, 1))
    count = min(bins, math.floor(top / step) + 1)
    found = [0] * count
    for value in values:
        found[min(value // step, count - 1)] += 1
    names = [f"{n * step:,} to {(n + 1) * step - 1:,}" for n in range(count - 1)]
    return dict(zip([*names, f"{(count - 1) * step:,} and more"], found, strict=True))


def spread(values: Sequence[int], *, unit: str) -> str:
    """'median 1,204 characters, 90 % below 5,000, longest 40,112'."""
    if not values:
        return ""
    return (
        f"median {median(values):,.0f} {unit}, 90 % at most {percentile(values, 90):,}, "
        f"longest {max(values):,}"
    )


def percentile(values: Sequence[int], share: int) -> int:
    """Nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share / 100 * len(ordered)), 1) - 1]


def _is_month(key: str) -> bool:
    year, _, month = key.partition("-")
    return len(year) == 4 and year.isdecimal() and month.isdecimal() and 1 <= int(month) <= 12


def _ordinal(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _round_up(value: float) -> int:
    """To 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(int(n * power) for n in (1, 2, 5, 10) if n * power >= value)
