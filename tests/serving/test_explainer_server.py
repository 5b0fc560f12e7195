"""The explainer's server: fits at the start, explains within its time, says why it cannot."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier

from apps.serving.background import read_table
from apps.serving.errors import LoadError, ServingError
from apps.serving.explainer import ExplainerServer
from apps.serving.http import Request
from apps.serving.spec import Explaining, Limits, ServerSpec

NAMES = ["age", "income", "city"]
METADATA = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
    "features": [
        {"name": "age", "type": "integer"},
        {"name": "income", "type": "number"},
        {"name": "city", "type": "integer"},
    ],
    "exampleInput": {"instances": [{"age": 40, "income": 2000.0, "city": 1}]},
}
CASE = {"age": 30, "income": 1500.0, "city": 2}
SHAP = {"name": "shap", "method": "shap.tree"}


def rows(count: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "age": random.integers(18, 80, count),
            "income": random.uniform(500, 4000, count).round(1),
            "city": random.integers(0, 3, count),
        }
    )


def outcomes(frame: pd.DataFrame) -> np.ndarray:
    return ((frame["age"] < 40) & (frame["income"] < 2500)).astype(int).to_numpy()


class Server:
    """An explainer's server in this process, asked as a client asks it."""

    def __init__(self, spec: ServerSpec) -> None:
        self.server = ExplainerServer(spec)

    async def ask(self, act: str, body: Any) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            answer = self.server.handle(Request("POST", f"/v1/models/m:{act}", data))
            response = await answer if isinstance(answer, asyncio.Future) else answer
        except ServingError as error:
            return error.status, {"error": error.message}
        return response.status, json.loads(response.body)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        response = self.server.handle(Request("GET", path, b""))
        assert not isinstance(response, asyncio.Future)
        return response.status, json.loads(response.body)


Make = Callable[..., Server]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The server of a model on three features, with these methods and this background."""

    def made(
        *explainers: dict[str, Any],
        table: pd.DataFrame | None = None,
        model: Any = None,
        metadata: dict[str, Any] | None = None,
        max_rows: int = 100,
        **explaining: Any,
    ) -> Server:
        frame = rows()
        chosen = GradientBoostingClassifier(n_estimators=20, random_state=0)
        fitted = (chosen if model is None else model).fit(
            frame.to_numpy(dtype=float), outcomes(frame)
        )
        joblib.dump(fitted, tmp_path / "m.joblib")
        (rows(120) if table is None else table).to_csv(tmp_path / "rows.csv", index=False)
        told = Explaining(explainers or (SHAP,), str(tmp_path / "rows.csv"), **explaining)
        return Server(
            ServerSpec(
                "m", "sklearn", "joblib", str(tmp_path / "m.joblib"), metadata or METADATA,
                limits=Limits(max_rows=max_rows), explaining=told,
            )
        )  # fmt: skip

    return made


async def test_is_ready_when_each_method_explained_the_example(make: Make) -> None:
    server = make(SHAP, {"name": "near", "method": "lime", "settings": {"samples": 200}})
    assert server.get("/v2/health/ready")[0] == 503
    assert (await server.ask("explain", {"instances": [CASE]}))[0] == 503
    await server.server.load()
    assert server.get("/v2/health/ready")[0] == 200
    _, told = server.get("/v1/models/m")
    assert [(each["name"], each["milliseconds"] > 0) for each in told["explainers"]] == [
        ("shap", True),
        ("near", True),
    ]
    assert (told["background"]["rows"], told["background"]["of"]) == (120, 120)


async def test_explains_each_instance_by_each_method_the_same_way_twice(make: Make) -> None:
    server = make(SHAP, {"name": "near", "method": "lime", "settings": {"samples": 200}}, seed=5)
    await server.server.load()
    texts = []
    for _ in range(2):
        status, body = await server.ask("explain", {"instances": [CASE, CASE], "seconds": 20})
        assert status == 200
        for each in [answer for answers in body["explanations"] for answer in answers]:
            del each["milliseconds"], each["budget"]["secondsUsed"]
        texts.append(json.dumps(body))
    assert texts[0] == texts[1]
    first = body["explanations"][0][0]
    total = first["baseValue"] + sum(part["contribution"] for part in first["contributions"])
    assert total == pytest.approx(first["prediction"], abs=1e-6)
    assert (first["seed"], first["budget"]["seconds"]) == (5, 20)


async def test_what_the_model_answered_does_not_change_an_explanation(make: Make) -> None:
    server = make(SHAP)
    await server.server.load()
    _, alone = await server.ask("explain", {"instances": [CASE]})
    for outputs in ([alone["explanations"][0][0]["output"]], [[0.5, 0.5]], ["bad"]):
        status, told = await server.ask("explain", {"instances": [CASE], "outputs": outputs})
        assert status == 200
        for name in ("contributions", "prediction", "output"):
            assert told["explanations"][0][0][name] == alone["explanations"][0][0][name]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"instances": [CASE], "explainers": ["lime"]}, 404, "There is no explainer lime here"),
        ({"instances": [CASE], "explainers": []}, 400, "must be a list of names"),
        ({"instances": [CASE] * 5}, 400, "At most 4 instances"),
        ({"instances": [CASE | {"age": "old"}]}, 400, "age"),
        ({"instances": []}, 400, ""),
        ({"instances": [CASE], "outputs": []}, 400, "for each instance"),
        ({"instances": [CASE], "outputs": "x"}, 400, "for each instance"),
        ({"instances": [CASE], "seconds": 0}, 400, "seconds"),
        ({"instances": [CASE], "seconds": "x"}, 400, "seconds"),
        (b"{", 400, "not JSON"),
        (b"[]", 400, "JSON object"),
    ],
)
async def test_bad_requests_are_refused_in_words(
    make: Make, body: Any, status: int, words: str
) -> None:
    server = make(max_rows=4)
    await server.server.load()
    answered, content = await server.ask("explain", body)
    assert answered == status
    assert words in content["error"]


async def test_time_that_is_up_is_a_504_and_the_next_is_answered(make: Make) -> None:
    slow = {"name": "slow", "method": "shap.permutation", "settings": {"permutations": 2000}}
    server = make(SHAP, slow)
    await server.server.load()
    asked = {"instances": [CASE] * 60, "explainers": ["slow"], "seconds": 0.2}
    status, body = await server.ask("explain", asked)
    assert (status, "not finished within 0.2 seconds" in body["error"]) == (504, True)
    assert (await server.ask("explain", {"instances": [CASE], "explainers": ["shap"]}))[0] == 200


async def test_health_is_answered_while_it_explains(make: Make) -> None:
    slow = {"name": "slow", "method": "shap.permutation", "settings": {"permutations": 500}}
    server = make(slow)
    await server.server.load()
    asking = asyncio.ensure_future(server.ask("explain", {"instances": [CASE] * 20}))
    await asyncio.sleep(0.05)
    assert server.get("/v2/health/ready")[0] == 200
    assert server.get("/metrics.json")[1]["inFlight"] == 1
    assert (await asking)[0] == 200
    assert server.get("/metrics.json")[1]["inFlight"] == 0


async def test_predictions_are_not_its_work(make: Make) -> None:
    server = make()
    await server.server.load()
    assert (await server.ask("predict", {"instances": [CASE]}))[0] == 404


class NotANumber(GradientBoostingClassifier):
    """Answers with NaN, as a broken model does."""

    def decision_function(self, X: Any) -> Any:  # noqa: N803
        return np.full(len(X), np.nan)


@pytest.mark.parametrize(
    ("explainer", "change", "words"),
    [
        ({"method": "shap.linear"}, {}, "does not suit this model"),
        ({"method": "magic"}, {}, "There is no method magic"),
        ({"method": "lime", "settings": {"sample": 1}}, {}, "lime has no setting sample"),
        ({"method": "lime"}, {"table": rows()[["age", "city"]]}, "lacks 1 of the model's features"),
        (
            {"method": "lime"},
            {"table": rows().assign(income="much")},
            'the text "much" in row 0 of income',
        ),
        ({"method": "lime"}, {"table": rows(1)}, "1 row"),
        ({"method": "lime"}, {"table": rows(0)}, "no rows"),
        (
            {"method": "counterfactuals"},
            {"model": DummyClassifier(strategy="constant", constant=1)},
            "to every row of the background",
        ),
        (
            {"method": "counterfactuals"},
            {"table": rows().assign(age=70)},
            "to every row of the background",
        ),
        ({"method": "shap.tree"}, {"model": NotANumber(n_estimators=5)}, "NaN"),
        (
            {
                "method": "reason_codes",
                "settings": {
                    "catalogue": {
                        "version": "1",
                        "codes": [{"code": "A", "text": "Age", "features": ["age"]}],
                    }
                },
            },
            {},
            "maps no code to 2 of the model's features: income, city",
        ),
    ],
)
async def test_what_does_not_suit_fails_the_start_in_a_sentence(
    make: Make, explainer: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    server = make({"name": "x"} | explainer, **change)
    with pytest.raises(LoadError) as error:
        await server.server.load()
    assert words in error.value.message
    assert server.get("/v2/health/ready")[1] == {"state": "failed", "message": error.value.message}


async def test_sums_up_importance_and_curves_over_the_background(make: Make) -> None:
    table = rows(150)
    table["outcome"] = np.where(outcomes(table) == 1, "bad", "good")
    server = make(SHAP, table=table)
    await server.server.load()
    _, body = await server.ask("summarise", {"method": "importance"})
    summary = body["summary"]
    assert (summary["truthKnown"], summary["importance"]["ranking"][2]) == (True, "city")
    _, body = await server.ask("summarise", {"method": "importance", "by": "shap"})
    assert body["summary"]["importance"]["measure"] == "contribution"
    asked = {"method": "partial_dependence", "features": ["age", ["age", "income"]], "rows": 20}
    _, body = await server.ask("summarise", asked)
    alone, pair = body["summary"]["curves"]
    assert (len(alone["individual"]), len(pair["average"])) == (20, len(pair["grid"][0]))
    assert (alone["class"], body["summary"]["unit"]) == ("bad", "probability")
    _, body = await server.ask("summarise", {"method": "interactions", "rows": 20})
    pairs = body["summary"]["pairs"]
    assert [pair["features"] for pair in pairs][0] == ["age", "income"]
    assert body["summary"]["rows"] == 20


async def test_measures_what_a_method_costs_on_rows_of_the_background(make: Make) -> None:
    server = make(SHAP)
    await server.server.load()
    _, body = await server.ask("summarise", {"method": "cost", "by": "shap", "rows": 4})
    found = body["summary"]
    assert (found["of"], len(found["milliseconds"])) == ("background", 4)
    assert min(found["milliseconds"]) > 0
    assert found["example"]["contributions"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"method": "magic"}, 400, "importance, partial_dependence"),
        ({"method": "importance", "by": "x"}, 404, "no explainer x"),
        ({"method": "cost", "by": "x"}, 404, "no explainer x"),
        ({"method": "cost", "by": "shap", "rows": 1000}, 400, "from 2 to 100"),
        ({"method": "interactions", "features": ["age"]}, 400, "two features or more"),
        ({"method": "importance", "rows": 1}, 400, "at least 2"),
        ({"method": "importance", "repeats": 0}, 400, "1 to 100"),
        ({"method": "partial_dependence", "features": ["x"]}, 400, "no feature of the model"),
    ],
)
async def test_summaries_that_cannot_be_are_refused(
    make: Make, asked: dict[str, Any], status: int, words: str
) -> None:
    server = make()
    await server.server.load()
    answered, body = await server.ask("summarise", asked)
    assert (answered, words in body["error"]) == (status, True)


@pytest.mark.parametrize("sampling", ["sample", "kmeans"])
async def test_a_large_background_is_thinned_the_same_way_each_time(
    make: Make, sampling: str
) -> None:
    found = []
    for _ in range(2):
        server = make(table=rows(500), rows=40, sampling=sampling, seed=3)
        await server.server.load()
        found.append(server.get("/v1/models/m")[1]["background"])
    assert found[0] == found[1]
    assert (0 < found[0]["rows"] <= 40, found[0]["of"]) == (True, 500)


def test_reads_what_the_registry_reads(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("age;income\n3;1,5\n4;2,5\n")
    assert read_table(tmp_path / "a")["income"].tolist() == [1.5, 2.5]
    rows(3).to_parquet(tmp_path / "b")
    assert read_table(tmp_path / "b").equals(rows(3))
    (tmp_path / "c").write_bytes(b"PAR1 and no more")
    with pytest.raises(LoadError, match="cannot be read"):
        read_table(tmp_path / "c")
