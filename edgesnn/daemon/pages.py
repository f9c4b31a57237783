"""/metrics, /healthz and /readyz over HTTP, for programs of this machine. GET and HEAD, a few connections at a time."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edgesnn.daemon.schema import Http
from edgesnn.errors import ConfigError

MOST = 8  # connections at a time; others are closed
PATIENCE_S = 5.0

Answer = tuple[int, str, bytes]
_log = logging.getLogger("edgesnn.daemon")


class Pages:
    """Serves pages until it is closed.

    Args:
        http: where.
        pages: path -> what makes its answer (status, content type, body), in a thread of the server.

    Raises:
        ConfigError: the address cannot be had.
    """

    def __init__(self, http: Http, pages: Mapping[str, Callable[[], Answer]]) -> None:
        try:
            self._server = _Server(http.host, http.port, pages)
        except OSError as error:
            where = f"http://{http.host}:{http.port}"
            raise ConfigError("cannot listen here", where=where, found=error.strerror or str(error)) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="edgesnn-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)


def as_json(status: int, record: Any) -> Answer:
    """Return an answer that is a JSON object."""
    return status, "application/json", json.dumps(record, allow_nan=False).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Answer]]) -> None:
        self.pages = pages
        self._free = threading.Semaphore(MOST)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # without the look-up of the host's name that its base does
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    server_version = "edgesnn"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            status, kind, text = as_json(404, {"pages": sorted(self.server.pages)})
        else:
            status, kind, text = page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s: %s", self.address_string(), format % args)
