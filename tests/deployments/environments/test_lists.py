"""Which packages a version needs, and what may stand in its requirements."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments.environments import lists, performing
from apps.deployments.environments.outcome import BuildFailed
from apps.deployments.environments.pip import Pin
from apps.deployments.models import Component, Deployment, Revision, UseCase
from apps.registry import compatibility
from apps.registry.models import Model, ModelVersion

FOLDER = Path(settings.BASE_DIR) / "apps" / "serving" / "environments"


def version(framework: str, format_: str = "", saved_with: str = "", own: str = "") -> ModelVersion:
    return ModelVersion(
        framework=framework, format=format_, framework_version=saved_with, requirements=own
    )


HERE = compatibility.installed("sklearn")
RULE = [
    ("sklearn", "joblib", "", None),
    ("sklearn", "joblib", HERE, None),
    ("sklearn", "joblib", ".".join([*HERE.split(".")[:2], "0"]), None),
    ("sklearn", "joblib", "1.5.2", "scikit-learn==1.5.2"),
    ("sklearn", "skops", "1.5", "scikit-learn==1.5.*"),
    ("sklearn", "joblib", "99.0.1", "scikit-learn==99.0.1"),
    ("sklearn", "joblib", "1.5.dev0", None),
    ("xgboost", "xgboost-json", "1.7.6", None),
    ("xgboost", "xgboost-ubj", "99.0.0", "xgboost-cpu==99.0.0"),
    ("custom", "", "", None),
    ("external", "", "", None),
]


@pytest.mark.parametrize(("framework", "format_", "saved_with", "first"), RULE)
def test_the_applications_packages_serve_where_they_read_the_file(
    framework: str, format_: str, saved_with: str, first: str | None
) -> None:
    wanted = lists.wanted(version(framework, format_, saved_with))
    assert (wanted[0] if wanted else None) == first


@pytest.mark.django_db
def test_a_framework_with_a_list_of_ours_gets_it() -> None:
    found = lists.environment_for(version("lightgbm"))
    assert found is not None
    assert lists.is_resolved(found)
    assert found == lists.environment_for(version("lightgbm"))
    assert "lightgbm==" in found.requirements


@pytest.mark.django_db
def test_own_requirements_come_before_everything_and_with_what_serving_needs() -> None:
    found = lists.environment_for(version("sklearn", "joblib", HERE, own="Jinja2>=3\nnumpy<3"))
    assert found is not None
    assert not lists.is_resolved(found)
    lines = found.requirements.splitlines()
    assert {"Jinja2>=3", "numpy<3", "orjson", "httptools"} <= set(lines)
    assert "numpy" not in lines


@pytest.mark.django_db
def test_a_version_that_ran_before_keeps_its_list(workspace: Workspace, operator: User) -> None:
    model = Model.objects.create(workspace=workspace, name="M", slug="m", created_by=operator)
    made = ModelVersion.objects.create(
        model=model, number=1, framework="sklearn", requirements="jinja2", created_by=operator
    )
    use_case = UseCase.objects.create(workspace=workspace, name="U", created_by=operator)
    deployment = Deployment.objects.create(
        workspace=workspace, use_case=use_case, name="D", slug="d", owner=operator
    )
    environment = lists.shipped("custom-python")
    revision = Revision.objects.create(
        deployment=deployment, number=1, state_at=environment.created_at, created_by=operator
    )
    Component.objects.create(revision=revision, model_version=made, environment=environment)
    assert lists.environment_for(made) == environment


@pytest.mark.parametrize("name", lists.names())
def test_every_list_is_exact_and_has_what_serving_needs(name: str) -> None:
    pins = lists.pins_of(name)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    packages = {pin.partition("==")[0] for pin in pins}
    assert {"numpy", "pandas", "orjson", "httptools", "uvloop"} <= packages
    assert "://" not in (FOLDER / f"{name}.txt").read_text()
    assert not [each for each in packages if each.startswith(("nvidia", "cuda", "triton"))]


REFUSED = [
    ("--index-url https://example.org/simple\nnumpy", "line 1: --index-url https"),
    ("numpy\n-e .", "line 2: -e . is no package"),
    ("-r other.txt", "line 1: -r other.txt is no package"),
    ("evil @ https://example.org/evil.whl", "is an address"),
    ("git+https://example.org/evil", "is no package"),
    ("./evil.whl", "is no package"),
    ("numpy==", "is no package"),
    ("\n".join(f"p{number}" for number in range(501)), "more than 500 packages"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_requirements_name_packages_and_nothing_else(text: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        lists.parsed(text)
    assert message in refused.value.message


def test_comments_continuations_and_checksums_are_read() -> None:
    text = f"""# made by a tool
numpy==2.4.6 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via pandas
pandas[excel]>=3 ; python_version > "3.8"  # frames
"""
    assert [each.name for each in lists.parsed(text)] == ["numpy", "pandas"]
    assert lists.checksums(text) == {"numpy": {"a" * 64, "b" * 64}}


def test_a_checksum_that_the_requirements_do_not_give_is_refused() -> None:
    text = f"Numpy==2.4.6 --hash=sha256:{'a' * 64}"
    performing.check_sums([Pin("numpy", "2.4.6", "a" * 64)], text)
    with pytest.raises(BuildFailed, match="numpy==2.4.6 does not have a checksum"):
        performing.check_sums([Pin("numpy", "2.4.6", "c" * 64)], text)


def test_a_digest_tells_resolved_lists_from_others_and_pythons_apart() -> None:
    digests = {
        lists.digest_of("3.11", "numpy==2.4.6"),
        lists.digest_of("3.12", "numpy==2.4.6"),
        lists.digest_of("3.11", "numpy==2.4.6", resolved=False),
    }
    assert len(digests) == 3
    assert lists.canonical(["b==1", "A==2", "b==1"]) == "A==2\nb==1"
