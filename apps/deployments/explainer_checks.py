"""Whether an explainer can be what is asked for, before anything is made."""

import re

from apps.core.errors import Invalid
from apps.deployments.explainer_files import MODULE
from apps.deployments.explainer_settings import SAMPLINGS, Explainer, Method, wrong
from apps.deployments.models import Deployment, EnvironmentVariable, Revision
from apps.registry.models import Artifact, ModelVersion
from apps.serving.explainers import EXPLAINERS
from apps.serving.methods import CUSTOM, WITHOUT_BACKGROUND

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_MOST, _MOST_ARGUMENTS = 10, 100
_LARGEST_SETTINGS = 100_000


def reference_of(version: ModelVersion) -> Artifact | None:
    """The file of a version's reference data."""
    reference = getattr(version, "reference", None)
    return reference.artifact if reference else None


def check(revision: Revision, given: Explainer, version: ModelVersion) -> None:
    """Raises Invalid where the explainer cannot be one of that revision and version."""
    if revision.deployment.kind != Deployment.Kind.MANAGED:
        raise wrong("Only a model that runs here can have an explainer of ours.")
    if given.image:
        _check_image(revision, given)
        return
    check_explainer(given, version)
    _check_module(revision, given)


def check_explainer(given: Explainer, version: ModelVersion) -> None:
    """Raises Invalid where methods and background cannot explain this version."""
    if version.framework == ModelVersion.Framework.CUSTOM:
        raise wrong(
            "The model is an image of its own, and methods take a model's file. An explainer that "
            "is an image can explain it."
        )
    check_methods(given.every_method, has_module=given.module is not None)
    if given.background is None and reference_of(version) is None:
        needy = [m for m in given.methods if m.method not in WITHOUT_BACKGROUND]
        if needy:
            raise wrong(
                f"{needy[0].name} measures against a background, and {version} has no reference "
                "data. Add a background, or a version with reference data."
            )
    if given.background and given.background.workspace_id != version.model.workspace_id:
        raise wrong("There is no such background in this workspace.")
    if given.sampling not in SAMPLINGS:
        raise wrong(f"The background is drawn as {' or '.join(SAMPLINGS)}.")
    if not 2 <= given.rows <= 100_000:
        raise wrong("The background has from 2 to 100,000 rows.")
    if not 0 <= given.seed < 2**31:
        raise wrong("The seed is a whole number from 0 to 2,147,483,647.")


def _check_image(revision: Revision, given: Explainer) -> None:
    if given.methods and given.methods != given.every_method or given.module or given.background:
        raise wrong(
            "An explainer that is an image explains alone; take the methods, the module and the "
            "background away, or the image."
        )
    if revision.backend == "process":
        raise wrong(
            "An explainer that is an image runs on the docker or swarm backend; choose one."
        )
    if len(given.args) > _MOST_ARGUMENTS or any(len(each) > 1000 for each in given.args):
        raise wrong(f"A container takes at most {_MOST_ARGUMENTS} arguments of 1,000 characters.")
    known = EnvironmentVariable.objects.filter(workspace=revision.deployment.workspace)
    if known.filter(id__in=given.variable_ids).count() != len(set(given.variable_ids)):
        raise wrong("One of the explainer's variables is not in this workspace, or no longer.")


def _check_module(revision: Revision, given: Explainer) -> None:
    module = given.module
    if module is None:
        return
    if module.workspace_id != revision.deployment.workspace_id:
        raise wrong("There is no such module of an explainer in this workspace.")
    if module.scan.get("kind") != MODULE:
        raise wrong(f"{module} is no explainer; upload a module with explain.")
    if not given.reason.strip():
        message = (
            f"{module} is code, which runs as it is written. Read it, and say why it may run here."
        )
        raise Invalid(message, [{"field": "explainer_reason", "message": message}])


def check_methods(methods: tuple[Method, ...], *, has_module: bool = False) -> None:
    """Raises Invalid where a name or a method cannot be used, with those that can. The method of a
    module may be named where there is one."""
    if len(methods) > _MOST:
        raise wrong(f"At most {_MOST} explainers for one deployment.")
    for method in methods:
        if not _NAME.fullmatch(method.name):
            raise wrong(
                f"{method.name[:60]} is no name for an explainer: letters, digits, dots, dashes "
                "and underscores, at most 40."
            )
        if method.method == CUSTOM and not has_module:
            raise wrong(f"{method.name} runs a module of your own; choose or upload one for it.")
        if method.method not in EXPLAINERS:
            known = ", ".join(sorted(set(EXPLAINERS) - {CUSTOM}))
            raise wrong(f"There is no method {method.method}; known are {known}.")
        if len(str(method.settings)) > _LARGEST_SETTINGS:
            raise wrong(f"The settings of {method.name} are too large.")
    names = [method.name for method in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise wrong(f"Two explainers are named {twice[0]}; give each a name of its own.")
