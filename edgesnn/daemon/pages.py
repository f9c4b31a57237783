"""/metrics, /healthz and /readyz over HTTP, for programs of this machine. GET and HEAD, a few connections at a time.

Clients that are slow, or many, keep nobody out: where all places are taken, who has kept us waiting longest goes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edgesnn.daemon.schema import Http
from edgesnn.errors import ConfigError

MOST = 8  # connections at a time
PATIENCE_S = 5.0  # for something to come
LONGEST_S = 10.0  # for a whole request
SHORTEST_S = 1.0  # nobody goes for another one before that
ACCEPT_PAUSE_S = 0.2

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

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    def close(self, timeout_s: float = PATIENCE_S) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout_s)


def url_of(http: Http) -> str | None:
    """Return where a program of this machine asks for the pages; None: there are none, or at a port of chance."""
    if not http.enabled or http.port == 0:
        return None
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)  # of all addresses one
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


def as_json(status: int, record: Any) -> Answer:
    """Return an answer that is a JSON object."""
    return status, "application/json", json.dumps(record, allow_nan=False).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Answer]]) -> None:
        self.pages = pages
        self.faults: dict[str, str] = {}  # the last of each page
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        self._asking: dict[Any, float] = {}  # since when, of those whose request is not there yet; the oldest first
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # without the look-up of the host's name that its base does
        self.server_address = self.socket.getsockname()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:  # no descriptor is left: who waits is still there, and would be asked for again at once
            time.sleep(ACCEPT_PAUSE_S)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take it where there is a place, or a connection that can go."""
        now_s = time.monotonic()
        with self._lock:
            if len(self._open) >= MOST:
                oldest, since_s = next(iter(self._asking.items()), (None, now_s))
                if now_s - since_s < SHORTEST_S:
                    return False
                self._drop(oldest)
            self._open.add(request)
            self._asking[request] = now_s
        return True

    def asked(self, request: Any) -> None:
        """Note that the request is there: it will be answered."""
        with self._lock:
            self._asking.pop(request, None)

    def service_actions(self) -> None:
        """Drop who takes too long; called twice a second."""
        late_s = time.monotonic() - LONGEST_S
        with self._lock:
            for request in [one for one, since_s in self._asking.items() if since_s < late_s]:
                self._drop(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
            self._asking.pop(request, None)
        super().shutdown_request(request)

    def _drop(self, request: Any) -> None:
        """Let its thread see an end; with the lock held."""
        del self._asking[request]
        self._open.discard(request)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

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
        self.server.asked(self.request)
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            status, kind, text = as_json(404, {"pages": sorted(self.server.pages)})
        else:
            status, kind, text = self._made(page)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(text)

    def _made(self, page: Callable[[], Answer]) -> Answer:
        path, faults = self.path.partition("?")[0], self.server.faults
        try:
            return page()
        except Exception as error:
            if repr(error) != faults.get(path):
                faults[path] = repr(error)
                _log.exception("page %s failed: this is a fault of edgesnn: please report it", path)
            return as_json(500, {"error": "this page failed; the log says why"})

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s: %s", self.address_string(), format % args)
