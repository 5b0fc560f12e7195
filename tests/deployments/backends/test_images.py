"""What image builds leave behind is swept, and what is needed stays."""

import io

import docker
import pytest
from docker.errors import ImageNotFound

from apps.deployments.backends import dockerfiles, images
from apps.deployments.backends.engine import own_labels
from apps.deployments.backends.images import ENVIRONMENT, ImageBuilder

pytestmark = pytest.mark.slow
OTHER_CODE = "0" * 12


def make(engine: docker.DockerClient, role: str, name: str) -> str:
    """An image of ours without content; the engine looks at its labels alone."""
    tag = f"deeploy/{role}:{name}"
    labels = own_labels(role, **{ENVIRONMENT: name.partition("-")[0]})
    engine.images.build(
        fileobj=io.BytesIO(b"FROM scratch\nLABEL swept=maybe\n"), tag=tag, labels=labels
    )
    return tag


def there(engine: docker.DockerClient, tag: str) -> bool:
    try:
        engine.images.get(tag)
    except ImageNotFound:
        return False
    return True


def test_images_of_other_releases_are_swept(engine: docker.DockerClient) -> None:
    code = images._code_digest(dockerfiles.serving_code())
    kept = [make(engine, "environment", "living"), make(engine, "server", f"living-{code}")]
    swept = [
        make(engine, "environment", "dead"),
        make(engine, "server", f"dead-{code}"),
        make(engine, "server", f"living-{OTHER_CODE}"),
    ]
    builder = ImageBuilder()
    assert builder.sweep({kept[0]}) >= len(swept)
    assert [tag for tag in kept if not there(engine, tag)] == []
    assert [tag for tag in swept if there(engine, tag)] == []
    assert builder.sweep({kept[0]}) == 0
    assert builder.sweep(set()) == len(kept)
    builder.engine.close()


def test_an_image_from_which_a_container_runs_stays(engine: docker.DockerClient) -> None:
    engine.images.get("python:3.11-slim").tag("deeploy/environment:busy")
    labels = own_labels("environment", **{ENVIRONMENT: "busy"})
    tag = "deeploy/environment:busy"
    engine.images.build(
        fileobj=io.BytesIO(f"FROM {tag}\nLABEL swept=maybe\n".encode()), tag=tag, labels=labels
    )
    container = engine.containers.run(tag, ["sleep", "60"], detach=True, labels=labels)
    builder = ImageBuilder()
    try:
        builder.sweep(set())
        assert there(engine, tag)
    finally:
        container.remove(force=True)
    builder.sweep(set())
    assert not there(engine, tag)
    builder.engine.close()
