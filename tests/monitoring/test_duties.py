"""The controller sees to the rollups, and one duty that fails stops no other."""

import logging
from typing import Any

import pytest

from apps.deployments.management.commands import controller
from apps.monitoring import tasks

seen: list[str] = []
command = controller.Command()


def fails() -> None:
    seen.append("fails")
    raise RuntimeError("the database is away")


def ends() -> None:
    seen.append("ends")
    command.running = len(seen) < 4


def test_a_duty_that_fails_is_logged_and_tried_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CONTROLLER_DUTIES = [f"{__name__}.fails", f"{__name__}.ends"]
    monkeypatch.setattr(controller, "_SECONDS_BETWEEN_DUTIES", 0)
    monkeypatch.setattr(controller, "close_old_connections", lambda: None)
    command.running = True
    with caplog.at_level(logging.ERROR, logger="controller"):
        command._see_to_duties()
    assert seen == ["fails", "ends"] * 2
    assert len(caplog.records) == 2


def test_rolling_up_is_a_duty_of_the_controller(settings: Any) -> None:
    assert f"{tasks.__name__}.roll_up" in settings.CONTROLLER_DUTIES
