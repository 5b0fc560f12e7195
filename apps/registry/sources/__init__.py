"""Places outside from which models come: Git, object storage, addresses, MLflow.

What is fetched is fetched by `child`, a process that has no database, no secret but the one it
needs, and no way to addresses within. `running` starts it; the rest is imported by either.
"""
