"""The service: `edgesnn run -c config.toml` (docs/daemon.md).

Start at `service.py`. The configuration: `reading.py` makes a `Config` of a file (`schema.py` says what it may hold,
`places.py` on which line a key stands), `check.py` holds it against models, files and the broker. A stream: `runner.py`
drives a `feeds.py`; `gate.py` says what is published, `outlet.py` brings it to the sink. What it says of itself:
`facts.py`, told by `beacon.py`, `notify.py`, `pages.py`, `metrics.py` and `logs.py`. Imports pipeline, publish and what
is below them; pydantic and prometheus-client are the extra `daemon`.
"""
