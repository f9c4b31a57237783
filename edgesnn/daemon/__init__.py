"""The service: `edgesnn run -c config.toml` (docs/daemon.md).

Start at `reading.py` (from a file to a checked `Config`; `schema.py` says what it may hold, `places.py` on which line a
key stands). `check.py` holds it against what is there: models, sources, the broker. Imports pipeline, publish and what
is below them; pydantic and prometheus-client are the extra `daemon`.
"""
