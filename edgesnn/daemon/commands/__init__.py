"""Commands over MQTT (docs/mqtt.md, "Commands"): off unless the configuration allows them.

`parsing.py` reads a payload, whatever it holds; `desk.py` receives commands and sends answers, over a connection and in
a thread of its own; `verbs.py` does what they ask, in the service's main thread.
"""
