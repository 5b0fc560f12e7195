"""The log and the deployment of the monitoring tests, shown on home and found by search."""

from tests.monitoring.conftest import deployment, files, recent, version, write

__all__ = ["deployment", "files", "recent", "version", "write"]
