"""A wall clock that the test sets for a process of its own: a library that stands before libc's clocks (LD_PRELOAD).

CLOCK_REALTIME, time(2) and gettimeofday(2) go by as many seconds as a shared file says; monotonic clocks stay. So does
what a kernel does when its clock is set, as far as a process sees it; adjtimex(2) says that nobody synchronised it.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
static volatile int64_t* by;
static int (*next_gettime)(clockid_t, struct timespec*);
__attribute__((constructor)) static void begin(void) {
    next_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    const char* path = getenv("EDGESNN_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY) : -1;
    if (fd >= 0) by = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
}
static int64_t shift(void) { return by && by != MAP_FAILED ? *by : 0; }
int clock_gettime(clockid_t id, struct timespec* t) {
    if (!next_gettime) begin();
    int code = next_gettime(id, t);
    if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += shift();
    return code;
}
int gettimeofday(struct timeval* t, void* zone) {
    struct timespec s;
    (void)zone;
    int code = clock_gettime(CLOCK_REALTIME, &s);
    t->tv_sec = s.tv_sec;
    t->tv_usec = s.tv_nsec / 1000;
    return code;
}
time_t time(time_t* t) {
    struct timespec s;
    clock_gettime(CLOCK_REALTIME, &s);
    if (t) *t = s.tv_sec;
    return s.tv_sec;
}
int adjtimex(struct timex* t) { (void)t; return TIME_ERROR; }
"""


class WallClock:
    """The wall clock of processes that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler is here to make the clock with")
        source, self._library, self._file = folder / "clock.c", folder / "clock.so", folder / "clock"
        source.write_text(SHIM)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)
        self.set(0)

    def set(self, by_s: int) -> None:
        """Let it differ from the true one by so many seconds."""
        data = struct.pack("=q", by_s)
        if self._file.exists():
            with self._file.open("r+b", buffering=0) as file:
                file.write(data)
        else:
            self._file.write_bytes(data)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "EDGESNN_TEST_CLOCK": str(self._file)}
