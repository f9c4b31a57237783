"""Where the service keeps what outlives it: the outbox's file, checkpoints, bundles."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from edgesnn.daemon.schema import Config
from edgesnn.events.formats.base import printable
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import most_bytes

IN_MEMORY = 10_000
"""The most predictions that wait in memory."""


def outbox_of(config: Config, environment: Mapping[str, str]) -> Outbox:
    """Return the outbox that the configuration asks for, in a file or in memory. It outlives the sinks that empty it.

    Raises:
        PublishError: another process has the file, or it is another program's.
    """
    section = config.outbox
    capacity, max_age_s = section.capacity, section.max_age / 1e6
    memory = min(capacity, IN_MEMORY)
    if section.durability == "none":
        return Outbox(capacity=memory, policy=section.policy, max_age_s=max_age_s)
    path = outbox_path(config, environment)
    with contextlib.suppress(OSError):  # the outbox says what is wrong, and holds predictions in memory
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DurableOutbox(
        path,
        durability=section.durability,
        max_bytes=section.max_size,
        capacity=capacity,
        memory=memory,
        policy=section.policy,
        max_age_s=max_age_s,
    )


def short_of_room(config: Config, environment: Mapping[str, str]) -> str | None:
    """Return what to say where the disk has less room than the outbox's file may take; None: it has, or cannot say."""
    if config.outbox.durability == "none":
        return None
    path, most = outbox_path(config, environment).absolute(), most_bytes(config.outbox.max_size)
    try:
        disk = os.statvfs(next(folder for folder in path.parents if folder.is_dir()))
        own = sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.is_file())
    except OSError:  # the outbox says what is wrong
        return None
    room = disk.f_bavail * disk.f_frsize + own
    if room >= most:
        return None
    return (
        f"outbox: the disk of {printable(str(path))} has room for {room / 1e6:.1f} MB, and the file and its log may"
        f" take {most / 1e6:.1f} MB: where it is full, predictions wait in memory only; make room, or lower"
        " outbox.max_size"
    )


def outbox_path(config: Config, environment: Mapping[str, str]) -> Path:
    """Return where the outbox's file is."""
    given = config.outbox.file
    return Path(given) if given else state_folder(environment) / f"outbox-{config.node.name}.sqlite"


def checkpoint_folder(config: Config, environment: Mapping[str, str]) -> Path:
    """Return where checkpoints are."""
    given = config.checkpoint.folder
    return Path(given) if given else state_folder(environment) / f"checkpoints-{config.node.name}"


def bundle_folder(config: Config, environment: Mapping[str, str]) -> Path:
    """Return where bundles are."""
    given = config.recorder.folder
    return Path(given) if given else state_folder(environment) / f"bundles-{config.node.name}"


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return systemd's folder for this service (STATE_DIRECTORY), else the user's (XDG_STATE_HOME).

    >>> str(state_folder({"STATE_DIRECTORY": "/var/lib/edgesnn:/var/lib/other"}))
    '/var/lib/edgesnn'
    """
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "edgesnn"
