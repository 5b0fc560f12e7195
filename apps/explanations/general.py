"""What the Explanations tab shows of a deployment: beliefs, stored contributions, coverage."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Sum

from apps.core.ids import first_at
from apps.deployments.explainers import component_of, is_image
from apps.deployments.models import Deployment, Revision
from apps.deployments.services import model_of
from apps.explanations import drawing
from apps.explanations.drawing import Curve, Ranking, Swarm
from apps.explanations.interactions import InteractionMap, interaction_map
from apps.explanations.models import Explanation, GlobalExplanation
from apps.explanations.summaries import adding_up
from apps.explanations.words import Words
from apps.monitoring.models import TrafficHour
from apps.predictions.selectors import predictions_of

PERIODS = {"day": ("24 hours", timedelta(days=1)), "week": ("7 days", timedelta(days=7))}
_MOST_DOTS = 250
_MEASURES = {
    "logLoss": "rise of the log loss",
    "error": "rise of the error share",
    "squaredError": "rise of the squared error",
    "absoluteError": "rise of the absolute error",
}


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The global explanation of one revision, drawn."""

    revision: Revision
    made: GlobalExplanation | None
    words: Words
    name: str = ""

    def _part(self, what: str) -> dict[str, Any] | None:
        return self.made.content.get(what) if self.made else None

    @property
    def contributions(self) -> Ranking | None:
        found = self._part("contributions")
        if found is None:
            return None
        unit = f"mean size in {found['unit']}"
        return drawing.ranking("What moves its answers", unit, found["importance"], self.words)

    @property
    def permutation(self) -> Ranking | None:
        found = self._part("permutation")
        if found is None:
            return None
        title = "What makes it right" if found["truthKnown"] else "What it relies on"
        unit = _MEASURES.get(found["unit"], found["unit"])
        return drawing.ranking(title, unit, found["importance"], self.words)

    @property
    def main(self) -> Ranking | None:
        return self.contributions or self.permutation

    @property
    def curves(self) -> list[Curve]:
        found = self._part("curves")
        return drawing.curves(found, self.words) if found else []

    @property
    def explained_class(self) -> Any:
        found = self._part("curves")
        return found["curves"][0].get("class") if found and found["curves"] else None

    @property
    def about(self) -> dict[str, Any] | None:
        """Rows, seed and background of what was computed."""
        found = self._part("permutation")
        if found is None:
            return None
        parts = ("seed", "backgroundId")
        return {part: found[part] for part in parts} | {"rows": found["importance"]["rows"]}

    @property
    def interactions(self) -> InteractionMap | None:
        found = self._part("interactions")
        return interaction_map(found, self.words) if found and found.get("pairs") else None

    @property
    def no_interactions(self) -> str:
        """Why they are not there, empty where nothing was wrong."""
        return str((self._part("interactions") or {}).get("error", ""))

    def chart(self, name: str) -> Any:
        """The chart of a name in an address, None where there is none."""
        if name in ("contributions", "permutation", "interactions"):
            return getattr(self, name)
        at = name.removeprefix("curve-")
        curves = self.curves
        is_there = name.startswith("curve-") and at.isdigit() and int(at) < len(curves)
        return curves[int(at)] if is_there else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many predictions of a period are explained: in their own request, or later."""

    at_once: int
    later: int
    predictions: int

    @property
    def explained(self) -> int:
        return self.at_once + self.later

    @property
    def share(self) -> float | None:
        return min(self.explained / self.predictions, 1.0) if self.predictions else None


def beliefs_of(revision: Revision) -> Beliefs:
    made = GlobalExplanation.objects.filter(revision=revision).first()
    component = component_of(revision)
    name = adding_up(component) if component else ""
    return Beliefs(revision, made, Words(model_of(revision).metadata), name)


def explained_revisions(deployment: Deployment) -> list[Revision]:
    """The revisions whose explainer can tell of many cases, newest first: images cannot."""
    revisions = deployment.revisions.select_related("global_explanation").prefetch_related(
        "components__model_version"
    )
    found = [(revision, component_of(revision)) for revision in revisions]
    return [revision for revision, each in found if each is not None and not is_image(each)]


def is_computed(revision: Revision) -> bool:
    """True where it is known what its model believes; without a query where that is fetched."""
    made = getattr(revision, "global_explanation", None)
    return made is not None and made.made_at is not None


def coverage_of(deployment: Deployment, *, period: str, now: datetime) -> Coverage:
    """Explained predictions from their indexes, each once; all from the rollups by the hour."""
    start = (now - PERIODS[period][1]).replace(minute=0, second=0, microsecond=0)
    at_once = predictions_of(deployment, start=start).filter(explanations__isnull=False)
    made_later = Explanation.objects.filter(
        deployment=deployment, prediction_id__gte=first_at(start), erased_at=None
    ).exclude(prediction_id__in=at_once.values("id"))
    later = made_later.aggregate(n=Count("prediction_id", distinct=True))["n"]
    traffic = TrafficHour.objects.filter(deployment_id=deployment.id, at__gte=start)
    predictions = traffic.aggregate(n=Sum("predictions"))["n"] or 0
    return Coverage(at_once.count(), later, predictions)


def stored_swarm(
    deployment: Deployment, beliefs: Beliefs, *, period: str, now: datetime
) -> Swarm | None:
    """The newest stored contributions of a revision in one method, None where there are none."""
    found = predictions_of(deployment, start=now - PERIODS[period][1]).filter(
        revision=beliefs.revision, explanations__isnull=False
    )
    contents = []
    for record in found.order_by("-id").only("explanations")[:_MOST_DOTS]:
        for content in record.explanation_values:
            if content.get("name") == beliefs.name and content.get("contributions"):
                contents.append(content)
    return drawing.swarm(contents, beliefs.words) if contents else None
