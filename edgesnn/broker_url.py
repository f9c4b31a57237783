"""Where a broker is and as whom to go there: `mqtt://[user@]host[:port]`, `mqtts://` with TLS.

A password never stands in a URL (URLs end up in shell histories, process lists and logs): it comes from a file or from
the environment variable EDGESNN_MQTT_PASSWORD.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from edgesnn.errors import ConfigError, UsageError

PASSWORD_VARIABLE = "EDGESNN_MQTT_PASSWORD"
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "mqtt://[user@]host[:port] or mqtts://[user@]host[:port]"


@dataclass(frozen=True)
class Broker:
    """A broker's address and our credentials; printing it never shows the password."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @property
    def url(self) -> str:
        """The address for messages: no user, no password.

        >>> Broker("::1", 8883, tls=True, user="ann").url
        'mqtts://[::1]:8883'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_broker(
    url: str,
    *,
    password_file: str | None = None,
    ca_file: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Broker:
    """Return the broker that `url` names, with the password of `password_file` or of the environment.

    Raises:
        UsageError: the URL is wrong or holds a password; a password without a user, certificates without TLS.
        ConfigError: the password or certificate file cannot be read.

    >>> parse_broker("mqtt://ann@gate.local", environment={})
    Broker(host='gate.local', port=1883, tls=False, user='ann', ca_file=None)
    """
    parts, port = _split(url)
    user = unquote(parts.username) if parts.username else None
    password = _password(password_file, environment)
    if password_file is not None and user is None:
        raise UsageError("a password without a user", where="--mqtt-password-file", hint="write mqtt://user@host")
    if ca_file is not None and parts.scheme != "mqtts":
        raise UsageError("only mqtts:// has certificates", where="--mqtt-ca-file", hint="write mqtts://host")
    if ca_file is not None and not Path(ca_file).is_file():
        raise ConfigError("no such certificate file", where=ca_file)
    return Broker(
        host=parts.hostname or "",
        port=port or DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        user=user,
        password=password if user is not None else None,
        ca_file=ca_file,
    )


def check_url(url: str) -> None:
    """Raise UsageError where `url` is none of a broker, or holds a password."""
    _split(url)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("not a broker URL", where="--mqtt", found=str(error), expected=_FORM) from None
    if parts.password is not None:
        raise UsageError(
            "a password does not belong in a URL",
            where="--mqtt",
            hint=f"put it into the environment variable {PASSWORD_VARIABLE} or into a file named by"
            " --mqtt-password-file, and write mqtt://user@host",
        )
    surplus = parts.path not in ("", "/") or parts.query or parts.fragment
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or surplus or port == 0:
        raise UsageError("not a broker URL", where="--mqtt", found=repr(url), expected=_FORM)
    return parts, port


def _password(password_file: str | None, environment: Mapping[str, str]) -> str | None:
    if password_file is None:
        return environment.get(PASSWORD_VARIABLE)
    try:
        return Path(password_file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        raise ConfigError("cannot read the password file", where=password_file, found=found) from None
