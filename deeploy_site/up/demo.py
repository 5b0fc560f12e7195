"""What the demo loader left in VAR_DIR/demo.json: where to sign in, and what should answer."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeploy_site.up import web_client


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's sign-in, its key pair for the API, and its deployments."""

    path: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, var_dir: Path) -> "Demo | None":
        path = var_dir / "demo.json"
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return cls(path, content) if isinstance(content, dict) else None

    @property
    def sign_in(self) -> tuple[str, str]:
        return self.content.get("username", ""), self.content.get("password", "")

    def move_to(self, base_url: str) -> None:
        """Writes the address of this start, where another PORT or BASE_URL is in force."""
        if self.content.get("baseUrl") == base_url:
            return
        self.content["baseUrl"] = base_url
        draft = self.path.with_suffix(".json.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self.content, file, indent=2)
        draft.replace(self.path)

    def waiting_for(self, address: str) -> dict[str, str]:
        """Deployments that are wanted but do not answer yet: name and state.

        One that was stopped or deleted, or whose key pair was revoked, is not waited for.
        """
        waiting = {}
        for deployment in self.content.get("deployments", []):
            state = self._state(address, deployment["id"])
            if state is not None:
                waiting[str(deployment["name"])] = state
        return waiting

    def _state(self, address: str, deployment_id: str) -> str | None:
        workspace = self.content.get("workspaceId")
        code, found = web_client.read_json(
            f"{address}/workspaces/{workspace}/deployments/{deployment_id}",
            user=self.content.get("accessKey", ""),
            password=self.content.get("secretKey", ""),
        )
        if code in {401, 403, 404}:
            return None
        if code != 200:
            return f"no answer yet ({code or 'connection refused'})"
        if found.get("desired") != "running" or found.get("status") == 1:
            return None
        return str(found.get("state", "starting"))
