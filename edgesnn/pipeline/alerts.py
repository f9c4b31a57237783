"""The threshold of so many alerts a day, by a log without anything unusual."""

from __future__ import annotations

from typing import Any

from edgesnn.errors import UsageError
from edgesnn.pipeline.token_stream import TokenStream
from edgesnn.runtime import Model
from edgesnn.tokens import alert_threshold
from edgesnn.tokens.sources.registry import open_lines


def threshold_by_log(model: Model, path: str, days: float, alerts_per_day: float, **options: Any) -> tuple[float, int]:
    """Return the bits per token above which so many lines a day of this log are, and how many lines had a score.

    Args:
        model: of tokens.
        path: of the log, or journal:FILE.
        days: the time that it covers.
        alerts_per_day: how many.
        options: of the `TokenStream` that scores it.

    Raises:
        RecordingError, ModelError, UsageError: the log cannot be read, does not end, or gives no score.
    """
    source = open_lines(path)
    if source.live:
        source.close()
        raise UsageError("a normal log is a file that ends", where=path)
    with TokenStream(source, model, **options) as stream:
        windows = (prediction.tokens for prediction in stream)
        bits = [one.bits_per_token for one in windows if one is not None and one.bits_per_token is not None]
    return alert_threshold(bits, alerts_per_day * days), len(bits)
