"""Pages of people, workspaces and credentials."""
