"""The one MQTT client, of publishers and of those who listen. Start at `client.py`.

`events.py`: what a client tells its owner. `link.py`: paho-mqtt, held to bounds that a broker cannot stretch;
`versions.py`: which MQTT it speaks.
`sockets.py`: the way to the broker, TCP and TLS; `websocket.py` goes over it. Imports the ground floor and paho only.
"""

from __future__ import annotations

from edgesnn.mqtt.client import Client, make_client_id
from edgesnn.mqtt.events import Acknowledged, Connected, Event, Lost, Message, Refused, Subscribed, Will
from edgesnn.mqtt.link import IN_FLIGHT

__all__ = [
    "IN_FLIGHT",
    "Acknowledged",
    "Client",
    "Connected",
    "Event",
    "Lost",
    "Message",
    "Refused",
    "Subscribed",
    "Will",
    "make_client_id",
]
