"""The model server: loads one artifact and answers the V1 and V2 inference protocols.

It knows no Django and nothing of the other apps: it gets an artifact, a specification and
nothing else. Start it with `python -m apps.serving --spec spec.json`.
"""
