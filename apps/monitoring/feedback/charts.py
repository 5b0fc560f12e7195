"""The charts of the figures of feedback, and their words."""

from apps.feedback.statistics.agreement import Kappa
from apps.feedback.statistics.proportions import Share
from apps.monitoring.feedback.drawing import Chart, Row, day
from apps.monitoring.feedback.figures import Accuracy, Figures

_STEPS = ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h"))
# Landis & Koch 1977, Biometrics 33, 159-174.
_STRENGTHS = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"))


def charts_of(figures: Figures, *, shows_people: bool) -> dict[str, Chart]:
    """Every chart of the page by its key; those of single people only where they are shown."""
    found = [_time(figures), _groups(figures), _queues(figures), _accuracy(figures)]
    if shows_people:
        found += [_reviewers(figures), _pairs(figures)]
    return {chart.key: chart for chart in found}


def _time(figures: Figures) -> Chart:
    rows = tuple(
        Row(
            day(point.at),
            point.share.n,
            point.share.value,
            point.share.low,
            point.share.high,
            point.stream.value if point.stream else None,
            point.stream.low if point.stream and point.stream.value is not None else None,
            point.stream.high if point.stream and point.stream.value is not None else None,
        )
        for point in figures.points
    )
    unit = "Week from" if figures.period.bucket == "week" else "Day"
    other = "Weighted" if any(row.other is not None for row in rows) else ""
    return Chart("time", "Disagreement over time", "Disagreement", unit, rows, True, True, other)


def _groups(figures: Figures) -> Chart:
    title = "By size of the prediction" if figures.is_number else "By predicted class"
    of = "Prediction" if figures.is_number else "Class"
    rows = tuple(_row(each.name, each.share) for each in figures.groups)
    return Chart("groups", title, "Disagreement", of, rows)


def _queues(figures: Figures) -> Chart:
    rows = tuple(
        Row(
            each.name,
            each.share.plain.n,
            each.share.plain.value,
            *_limits(each.share.plain),
            each.share.value,
            each.share.low,
            each.share.high,
        )
        for each in figures.streams
    )
    return Chart("queues", "Review queues", "Plain", "Queue", rows, other="Weighted")


def _accuracy(figures: Figures) -> Chart:
    of = "Week from" if figures.period.bucket == "week" else "Day"
    rows = tuple(
        Row(day(each.at), each.n, each.value, each.low, each.high)
        for each in figures.accuracies
        if each.at is not None
    )
    measure = "Mean absolute error" if figures.is_number else "Accuracy"
    title = f"{measure} from actuals"
    return Chart("accuracy", title, measure, of, rows, not figures.is_number, True)


def _reviewers(figures: Figures) -> Chart:
    rows = tuple(_row(each.name, each.share) for each in figures.reviewers)
    return Chart("reviewers", "By reviewer", "Disagreement", "Reviewer", rows)


def _pairs(figures: Figures) -> Chart:
    rows = tuple(
        Row(
            f"{each.first} and {each.second}",
            each.kappa.n,
            each.kappa.value,
            each.kappa.low,
            each.kappa.high,
        )
        for each in figures.pairs
    )
    return Chart("pairs", "Between two reviewers", "Cohen's kappa", "Reviewers", rows, False)


def _row(label: str, share: Share) -> Row:
    return Row(label, share.n, share.value, *_limits(share))


def _limits(share: Share) -> tuple[float | None, float | None]:
    return (share.low, share.high) if share.value is not None else (None, None)


def trust_words(figures: Figures) -> str:
    """Which of the two ratios to trust, and why."""
    if not figures.streams:
        return (
            "The plain ratio speaks of what was judged. If people chose these cases, it says "
            "little of all predictions: a review queue with a random audit slice would tell."
        )
    main = figures.streams[0]
    if main.share.value is None:
        return (
            f"{main.share.reason} Until then the plain ratio is all there is, and it is biased: "
            "rules and uncertainty chose most of the judged cases."
        )
    return (
        "For all predictions trust the weighted estimate: the queue prefers uncertain and "
        "unusual cases, and weighting each by the inverse of its chance to be chosen makes up "
        "for that. The plain ratio says what reviewers meet."
    )


def strength(kappa: Kappa) -> str:
    """How strong an agreement is, in the usual words."""
    if kappa.value is None:
        return kappa.reason
    words = next((word for least, word in _STRENGTHS if kappa.value > least), "slight")
    return f"{words} agreement" if kappa.value > 0 else "no more agreement than by chance"


def waited(seconds: float | None) -> str:
    """`14 s`, `3 min`, `5 h`, `3 d`."""
    if seconds is None:
        return "not reached yet"
    for below, unit, word in _STEPS:
        if seconds < below:
            return f"{seconds / unit:.0f}\u00a0{word}"
    return f"{seconds / 86_400:.1f}\u00a0d"


def accuracy_shown(figures: Figures, accuracy: Accuracy) -> str:
    return _accuracy(figures).said(accuracy.value)
