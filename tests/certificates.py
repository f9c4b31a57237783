"""Certificates for brokers of tests, made by openssl: an authority, and what it signed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """Signs certificates; `file` holds its own."""

    def __init__(self, folder: Path, name: str) -> None:
        found = shutil.which("openssl")
        if found is None:
            pytest.skip("openssl is not installed: no certificates to test with")
        self._openssl, self._folder, self._name = found, folder, name
        self._key, self.file = folder / f"{name}.key", folder / f"{name}.pem"
        self._run(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            f"/CN={name}",
            "-keyout",
            self._key,
            "-out",
            self.file,
        )

    def sign(self, name: str, alternative: str = "IP:127.0.0.1", days: int = 2) -> tuple[Path, Path]:
        """Return (certificate, key); with a negative number of days it has expired."""
        stem = self._folder / f"{self._name}-{name}"
        key, request, certificate, more = (stem.with_suffix(end) for end in (".key", ".csr", ".crt", ".ext"))
        more.write_text(f"subjectAltName={alternative}\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._run(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.file,
            "-CAkey",
            self._key,
            "-CAcreateserial",
            "-days",
            str(days),
            "-extfile",
            more,
            "-out",
            certificate,
        )
        return certificate, key

    def encrypted(self, key: Path) -> Path:
        """Return the file of a key, encrypted."""
        path = key.with_suffix(".secret")
        self._run("pkey", "-in", key, "-aes256", "-passout", "pass:hunter2", "-out", path)
        return path

    def _run(self, *arguments: object) -> None:
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True)
