"""What "committed" asks of the disk: the calls of fsync and fdatasync, counted beneath SQLite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
static int count;
int syncs(void) { return count; }
int fsync(int fd) { count++; return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { count++; return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""
CHILD = """
import ctypes, json, sys, threading
from pathlib import Path
from tests.outbox_files import opened
from tests.predictions import make_prediction
syncs = ctypes.CDLL(sys.argv[1]).syncs
outbox = opened(Path(sys.argv[2]), durability=sys.argv[3])
counts = [syncs()]
for _ in range(10):
    outbox.put_many([make_prediction(0)] * 5)
counts.append(syncs())
for _ in range(5):
    outbox.ack([item.id for item in outbox.next_batch(10)])
counts.append(syncs())
threads = [threading.Thread(target=lambda: [outbox.put(make_prediction(0)) for _ in range(5)]) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
counts.append(syncs())
print(json.dumps([after - before for before, after in zip(counts, counts[1:])]))
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to count the calls with")
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    library = folder / "counter.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "counter.c", "-ldl"], check=True)
    return library


def run(counter: Path, path: Path, durability: str) -> list[int]:
    command = [sys.executable, "-c", CHILD, str(counter), str(path), durability]
    environment = {**os.environ, "LD_PRELOAD": str(counter)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    counts: list[int] = json.loads(done.stdout)
    return counts


def test_with_power_each_commit_is_on_the_disk_and_threads_share_one(counter, tmp_path):
    puts, acks, together = run(counter, tmp_path / "outbox.db", "power")
    assert puts == 10
    assert acks == 0
    assert 5 <= together <= 25, "50 puts of 10 threads"


def test_with_process_nobody_waits_for_the_disk(counter, tmp_path):
    puts, acks, together = run(counter, tmp_path / "outbox.db", "process")
    assert puts == acks == 0
    assert together <= 1, "a thread of its own syncs the log once in 64 commits (test_outbox_sync.py)"
