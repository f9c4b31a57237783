"""Where a broker is and as whom to go there: `mqtt://[user@]host[:port]`, `mqtts://` with TLS, `ws://` and `wss://`.

A password never stands in a URL (URLs end up in shell histories, process lists and logs): it comes from a file or from
the environment variable EDGESNN_MQTT_PASSWORD.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from edgesnn.errors import ConfigError, UsageError

PASSWORD_VARIABLE = "EDGESNN_MQTT_PASSWORD"
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
DEFAULT_PATH = "/mqtt"
_SECURE = ("mqtts", "wss")
_FORM = "mqtt://[user@]host[:port], mqtts:// with TLS, or ws://[user@]host[:port][/path], wss:// with TLS"
_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True)
class Broker:
    """A broker's address and our credentials; printing it never shows the password. `path`: of a websocket."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    path: str | None = None

    @property
    def url(self) -> str:
        """The address for messages: no user, no password.

        >>> Broker("::1", 8883, tls=True, user="ann").url
        'mqtts://[::1]:8883'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = ("mqtt" if self.path is None else "ws") + ("s" if self.tls else "")
        return f"{scheme}://{host}:{self.port}{self.path or ''}"


def parse_broker(
    url: str,
    *,
    password_file: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Broker:
    """Return the broker that `url` names, with the password of `password_file` or of the environment.

    Raises:
        UsageError: the URL is wrong or holds a password; a password without a user, certificates without TLS.
        ConfigError: the password or a certificate file cannot be read.

    >>> parse_broker("ws://ann@gate.local/mqtt", environment={}).url
    'ws://gate.local:80/mqtt'
    """
    parts, port = _split(url)
    user = unquote(parts.username) if parts.username else None
    password = _password(password_file, environment)
    if password_file is not None and user is None:
        raise UsageError("a password without a user", where="--mqtt-password-file", hint="write mqtt://user@host")
    if key_file is not None and cert_file is None:
        raise UsageError("a key without its certificate", where="--mqtt-key-file", hint="name its certificate, too")
    for name, file in (("ca", ca_file), ("cert", cert_file), ("key", key_file)):
        _check_certificate(parts.scheme, f"--mqtt-{name}-file", file)
    return Broker(
        host=parts.hostname or "",
        port=port or DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme in _SECURE,
        user=user,
        password=password if user is not None else None,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        path=_websocket_path(parts) if parts.scheme.startswith("ws") else None,
    )


def _check_certificate(scheme: str, flag: str, file: str | None) -> None:
    if file is not None and scheme not in _SECURE:
        raise UsageError("only mqtts:// has certificates", where=flag, hint="write mqtts://host, or wss://host")
    if file is not None and not Path(file).is_file():
        raise ConfigError("no such certificate file", where=file)


def _websocket_path(parts: SplitResult) -> str:
    path = DEFAULT_PATH if parts.path in ("", "/") else parts.path
    return f"{path}?{parts.query}" if parts.query else path


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
    if parts.scheme in ("ws", "wss"):
        wrong = parts.fragment or not _PATH.fullmatch(_websocket_path(parts))
    else:
        wrong = parts.path not in ("", "/") or parts.query or parts.fragment
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or wrong or port == 0:
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
