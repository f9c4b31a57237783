"""A camera's settings, from the options of a `usb:` address: biases, a part of the sensor, a limit of its rate."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.devices import Rectangle, biases, rectangle
from edgesnn.units import parse_rate_hz

OPTIONS = (
    ("biases", "NAME:VALUE,NAME:VALUE, as the camera's driver names them"),
    ("roi", "X,Y,WxH: the part of the sensor that gives events"),
    ("rate_limit", "events a second (5MHz) above which the camera drops (evk4, evk3)"),
)
RING_LENGTH = 512
"""Transfers of 128 KiB that wait at most: 64 MiB. The package's own default is eight times as many."""
_PERIOD_US = 200
_MOST_A_PERIOD = (1 << 22) - 1


class Model(NamedTuple):
    """A kind of camera.

    Attributes:
        member: of the package's `Name`.
        module: of the package: its settings.
        raw: the format of its bytes, where our own decoder reads them; None: the package decodes.
    """

    member: str
    module: str
    raw: str | None


MODELS = {
    "davis346": Model("INIVATION_DAVIS346", "inivation_davis346", None),
    "dvxplorer": Model("INIVATION_DVXPLORER", "inivation_dvxplorer", None),
    "evk3": Model("PROPHESEE_EVK3_HD", "prophesee_evk3_hd", "evt3"),
    "evk4": Model("PROPHESEE_EVK4", "prophesee_evk4", "evt3"),
}


def configuration(drivers: Any, model: Model, address: Address) -> Any:
    """Return the package's configuration; UsageError where the camera has no such setting."""
    module = getattr(drivers, model.module)
    settings = module.Configuration()
    if "biases" in address.options:
        settings.biases = _biases(module, address)
    properties = module.Properties()
    part = rectangle(address, (properties.width, properties.height))
    if part is not None:
        _set_part(drivers, module, settings, part, address)
    if "rate_limit" in address.options:
        settings.rate_limiter = _rate_limiter(module, address)
    try:
        settings.serialize()
    except (OverflowError, ValueError) as error:
        raise address.wrong("a bias is out of range", found=f"{address.options['biases']} ({error})") from None
    return settings


def ring(drivers: Any, model: Model) -> Any:
    """Return how many transfers may wait."""
    return getattr(drivers, model.module).RingConfiguration(ring_length=RING_LENGTH)


def _biases(module: Any, address: Address) -> Any:
    known = {field.name: field.type for field in dataclasses.fields(module.Biases)}
    values = biases(address, known)
    return module.Biases(
        **{name: bool(value) if known[name] in (bool, "bool") else value for name, value in values.items()}
    )


def _set_part(drivers: Any, module: Any, settings: Any, part: Rectangle, address: Address) -> None:
    """Let only a rectangle give events: by the package's rectangle, or by masks, whose rows count from the bottom."""
    if hasattr(settings, "region_of_interest"):
        settings.region_of_interest = module.RegionOfInterest(part.x, part.y, part.width, part.height)
        return
    if not hasattr(settings, "y_mask"):
        raise address.wrong("this camera has no roi", hint="leave events out after they came: --filter roi:...")
    properties = module.Properties()
    mask = drivers.RowColumnMask(width=properties.width, height=properties.height, set=True)
    from_bottom = properties.height - part.y - part.height
    mask.clear_rectangle(x=part.x, y=from_bottom, width=part.width, height=part.height)
    settings.x_mask, settings.y_mask = mask.x_mask(), mask.y_mask()
    settings.mask_intersection_only = False


def _rate_limiter(module: Any, address: Address) -> Any:
    if not hasattr(module, "RateLimiter"):
        hint = "leave events out after they came: --filter rate:limit=..."
        raise address.wrong("this camera has no rate_limit", hint=hint)
    rate_hz = parse_rate_hz(address.options["rate_limit"], where=address.url)
    count = round(rate_hz * _PERIOD_US / 1e6)
    if not 1 <= count <= _MOST_A_PERIOD:
        raise address.wrong(
            "rate_limit is out of range",
            found=address.options["rate_limit"],
            expected="5kHz to 20GHz, in steps of 5kHz",
        )
    return module.RateLimiter(reference_period_us=_PERIOD_US, maximum_events_per_period=count)
