"""Publishing: numbers predictions and hands them to sinks. Knows predictions, not models.

Start reading in `publisher.py` (the door); `sinks/` has one file a destination and `registry.py` one line each;
`outbox.py` is the queue between the predicting thread and the broker, `outbox_durable.py` the same in a file;
`topics.py` says what is published where;
`broker.py` starts a local broker for the demo and the tests. May import the ground floor and `edgesnn.mqtt` only.
"""

from __future__ import annotations

from edgesnn.publish.publisher import Publisher, new_boot_id

__all__ = ["Publisher", "new_boot_id"]
