"""`manage.py up` from outside: what it says, what answers, and that nothing stays behind."""

import ast
import html
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from deeploy_site import embedded_postgres
from tests.live import free_port
from tests.site.product import Product, lives, new_var_dir, running, wait_for

pytestmark = pytest.mark.slow
PATH = "/workspaces/retail-credit/deployments/consumer-credit-risk/predict"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A first start, with the demo."""
    yield from running()


def call(
    product: Product, path: str = PATH, body: Any = None, token: str | None = None
) -> tuple[int, bytes]:
    """Status and body of a prediction, or of a GET where there is no body; 0 without an answer."""
    headers = {"Content-Type": "application/json"}
    if body is not None:
        headers["Authorization"] = f"Bearer {token or product.demo['deployments'][0]['token']}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{product.port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def predicts(product: Product) -> bool:
    return call(product, body=product.demo["deployments"][0]["exampleInput"])[0] == 200


def test_the_start_prints_the_address_and_the_sign_in(product: Product) -> None:
    assert f"http://127.0.0.1:{product.port}" in product.said
    assert product.demo["username"] in product.said
    assert product.demo["password"] in product.said


def sign_in(product: Product, then: str) -> str:
    """Signs in with what the start printed; the page that this leads to."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    address = f"http://127.0.0.1:{product.port}/account/login/"
    form = opener.open(address).read().decode()
    token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    typed = {"login": product.demo["username"], "password": product.demo["password"]}
    data = urllib.parse.urlencode(typed | {"csrfmiddlewaretoken": token, "next": then})
    request = urllib.request.Request(address, data.encode(), {"Referer": address})
    answer = opener.open(request)
    assert answer.url.endswith(then)
    return answer.read().decode()


@pytest.mark.parametrize(
    ("snippet", "runs"), [("curl", ["sh", "-euc"]), ("python", [sys.executable, "-c"])]
)
def test_what_the_overview_offers_to_paste_works(
    product: Product, snippet: str, runs: list[str]
) -> None:
    page = sign_in(product, "/w/retail-credit/deployments/consumer-credit-risk/")
    shown = page.split(f'<pre class="code" id="{snippet}" tabindex="0">')[1].split("</pre>")[0]
    environment = os.environ | {"TOKEN": product.demo["deployments"][0]["token"]}
    result = subprocess.run(
        [*runs, html.unescape(shown)], env=environment, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr
    answer = ast.literal_eval(result.stdout)
    assert len(answer["predictions"]) == len(answer["predictionLogIds"]) == 1
    assert answer["requestLogId"]


def test_the_demo_file_holds_what_scripts_need_and_is_for_its_owner_only(product: Product) -> None:
    assert (product.var_dir / "demo.json").stat().st_mode & 0o777 == 0o600
    demo = product.demo
    assert demo["baseUrl"] == f"http://127.0.0.1:{product.port}"
    for name in ("username", "password", "workspaceId", "accessKey", "secretKey"):
        assert isinstance(demo[name], str), name
        assert demo[name], name
    assert len(demo["deployments"]) == 3
    told = {"id", "name", "token", "exampleInput", "holdout", "case", "explainedEvery"}
    for deployment in demo["deployments"]:
        assert set(deployment) == told


def test_the_demo_answers_what_the_pipeline_says_in_plain_python(product: Product) -> None:
    folder = product.var_dir / "demo"
    frame = pd.read_csv(folder / "holdout.csv", dtype_backend="numpy_nullable").head(50)
    rows = frame.drop(columns="outcome").to_dict("records")
    path = folder / "gradient-boosting" / "model.skops"
    pipeline = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    expected = pipeline.predict_proba(pd.DataFrame(rows))
    status, body = call(product, body={"instances": rows})
    assert status == 200
    answer = json.loads(body)
    assert np.abs(np.array(answer["predictions"]) - expected).max() <= 1e-12
    assert len(answer["predictionLogIds"]) == 50
    assert answer["requestLogId"]


def test_every_deployment_of_the_demo_answers_its_token(product: Product) -> None:
    workspace = product.demo["workspaceId"]
    for each in product.demo["deployments"]:
        path = f"/workspaces/{workspace}/deployments/{each['id']}/predict"
        assert call(product, path, each["exampleInput"], each["token"])[0] == 200


def test_a_second_start_of_the_same_directory_says_who_runs(product: Product) -> None:
    assert product.process is not None
    code, said = product.refused(PORT=str(free_port()))
    assert code == 1
    assert f"already runs from {product.var_dir}" in said
    assert f"kill {product.process.pid}" in said
    assert predicts(product)


def test_a_port_in_use_is_named_with_its_owner(product: Product) -> None:
    other = Product()
    try:
        code, said = other.refused(PORT=str(product.port))
    finally:
        other.remove()
    assert code == 1
    assert f"Port {product.port} on 127.0.0.1 is taken by process" in said
    assert f"PORT={product.port + 1} make run" in said


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    other = Product()
    try:
        code, said = other.refused(PORT=port)
    finally:
        other.remove()
    assert code == 2
    assert f"PORT={port}" in said


@pytest.mark.parametrize("name", ["web", "controller", "worker"])
def test_a_process_that_is_killed_is_started_again(product: Product, name: str) -> None:
    killed = product.recorded(name)
    assert killed is not None
    killed.kill()
    wait_for(lambda: f"{name} ended (killed by SIGKILL)" in product.said, 10, f"{name} is missed")
    wait_for(lambda: product.recorded(name) not in (None, killed), 20, f"{name} is back")
    wait_for(lambda: predicts(product), 60, "predictions")


def test_a_model_server_that_is_killed_is_started_again(product: Product) -> None:
    servers = [p for p in product.processes() if "apps.serving" in p.cmdline()]
    assert len(servers) == 6  # a model and an explainer of each demo deployment
    for server in servers:
        server.kill()
    wait_for(lambda: predicts(product), 60, "predictions")


def test_a_killed_database_comes_back_and_so_does_the_service(product: Product) -> None:
    (server,) = [p for p in product.processes() if p.cmdline()[0].endswith("/bin/postgres")]
    server.kill()
    wait_for(lambda: "PostgreSQL ended; starting it again" in product.said, 10, "it is missed")
    wait_for(lambda: call(product, "/readyz")[0] == 200, 40, "pages")
    wait_for(lambda: predicts(product), 40, "predictions")


def test_ctrl_c_stops_every_process_and_the_next_start_does_nothing_twice(product: Product) -> None:
    started = product.processes()
    assert any("apps.serving" in process.cmdline() for process in started)
    assert product.stop(signal.SIGINT) == 0
    assert product.processes() == []
    assert not any(map(lives, started))
    product.start()
    for slow in ("Making", "Updating", "Collecting", "Loading"):
        assert slow not in product.said
    assert predicts(product)


def test_another_port_is_honoured_and_told_to_scripts(product: Product) -> None:
    assert product.stop(signal.SIGTERM) == 0
    assert product.processes() == []
    product.port = free_port()
    product.start()
    assert product.demo["baseUrl"] == f"http://127.0.0.1:{product.port}"
    assert (product.var_dir / "demo.json").stat().st_mode & 0o777 == 0o600
    assert predicts(product)


def test_after_a_killed_supervisor_everything_ends_and_the_next_start_works(
    product: Product,
) -> None:
    assert product.process is not None
    product.process.kill()
    product.process.wait()
    wait_for(lambda: not product.processes(), 60, "all processes ended")
    product.start()
    assert predicts(product)


def test_what_survives_a_killed_supervisor_and_its_guard_is_cleaned_by_the_next_start(
    product: Product,
) -> None:
    assert product.process is not None
    guard, names = product.recorded("guard"), ("web", "worker", "controller")
    left = [product.recorded(name) for name in names]
    assert guard is not None
    guard.kill()
    product.process.kill()
    product.process.wait()
    assert call(product, "/healthz")[0] == 200
    product.start()
    assert f"Stopped what a killed start had left: {', '.join(names)}" in product.said
    assert predicts(product)
    assert [process for process in left if process and lives(process)] == []


def test_after_a_loss_of_power_the_next_start_works(product: Product) -> None:
    product.kill_all()
    assert list(embedded_postgres.socket_directory(product.var_dir).glob(".s.PGSQL.*"))
    assert (product.var_dir / "postgres" / "postmaster.pid").exists()
    product.start()
    wait_for(lambda: predicts(product), 60, "predictions")
    assert product.stop() == 0
    assert product.processes() == []


@pytest.fixture
def foreign_database() -> Iterator[tuple[str, Path]]:
    """A server that the product did not start."""
    folder = new_var_dir()
    yield embedded_postgres.start(folder, durable=False), folder
    embedded_postgres.stop(folder)


def test_a_database_of_ones_own_is_used_and_left_running(
    foreign_database: tuple[str, Path],
) -> None:
    url, folder = foreign_database
    product = Product(DATABASE_URL=url, DEMO="0")
    try:
        product.start()
        assert call(product, "/readyz") == (200, b"ready\n")
        assert not (product.var_dir / "postgres").exists()
        assert not (product.var_dir / "demo.json").exists()
        assert product.stop() == 0
        assert product.processes() == []
        assert embedded_postgres.is_running(folder)
    finally:
        product.remove()


def test_a_stop_during_the_start_leaves_nothing() -> None:
    product = Product(DEMO="0")
    try:
        product.process = product.launch()
        wait_for(lambda: "Starting web" in product.said, 60, "half-way")
        assert product.stop(signal.SIGINT) == 0
        assert product.processes() == []
    finally:
        product.remove()


def test_two_starts_at_once_make_one(tmp_path: Path) -> None:
    product = Product(DEMO="0")
    try:
        product.output_name = "first.txt"
        first = product.launch()
        product.output_name = "second.txt"
        second = product.launch()
        product.process = first
        over = wait_for(lambda: [p for p in (first, second) if p.poll() is not None], 30, "one")
        product.process = ({first, second} - set(over)).pop()
        names = {first.pid: "first.txt", second.pid: "second.txt"}
        assert "already runs from" in (product.var_dir / names[over[0].pid]).read_text()
        product.output_name = names[product.process.pid]
        wait_for(lambda: "Ready after" in product.said, 90, "the other")
    finally:
        product.remove()


def test_a_database_of_another_kind_is_refused_at_once() -> None:
    product = Product(DATABASE_URL="mysql://127.0.0.1/x", DEMO="0")
    try:
        code, said = product.refused()
    finally:
        product.remove()
    assert code == 2
    assert "it must be postgresql://" in said
