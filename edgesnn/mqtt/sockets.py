"""The way to a broker: TCP, and TLS that verifies the broker and may show our own certificate."""

from __future__ import annotations

import socket
import ssl

from edgesnn.broker_url import Broker
from edgesnn.errors import ConfigError

TIMEOUT_S = 5.0


def dial(broker: Broker) -> socket.socket:
    """Return a connected socket; each step of the way takes `TIMEOUT_S` at most.

    Raises:
        ConfigError: the files of its certificates cannot be used.
        OSError: the broker cannot be reached, or (SSLError) is not who it should be.
    """
    context = tls_context(broker) if broker.tls else None
    sock = socket.create_connection((broker.host, broker.port), TIMEOUT_S)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if context is None else context.wrap_socket(sock, server_hostname=broker.host)
    except BaseException:
        sock.close()
        raise


def tls_context(broker: Broker) -> ssl.SSLContext:
    """Return what the connection is secured with: certificate and host name are always verified.

    Raises:
        ConfigError: a file cannot be read, holds something else, or certificate and key do not belong together.
    """
    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
    except OSError as error:  # ssl.SSLError is one
        hint = "name a PEM file of certificate authorities, or leave it out for the system's"
        what = "cannot use the certificate authorities"
        raise ConfigError(what, where=broker.ca_file, found=_reason(error), hint=hint) from None
    if broker.cert_file is not None:
        _show(context, broker.cert_file, broker.key_file or broker.cert_file)
    return context


def _show(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    """Give the context our own certificate and key."""

    def refuse() -> str:
        what = "the key is encrypted, and nobody is here to type its passphrase"
        raise ConfigError(what, where=key_file, hint="write it without one, readable by this user only")

    try:
        context.load_cert_chain(cert_file, key_file, refuse)
    except OSError as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            what, expected = "certificate and key do not belong together", f"the key of {cert_file}"
            raise ConfigError(what, where=key_file, found="the key of another", expected=expected) from None
        hint = f"{cert_file} and {key_file} must be PEM files: a certificate, and its key"
        raise ConfigError("cannot use our certificate", where=cert_file, found=_reason(error), hint=hint) from None


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
