"""Fixtures of all tests, and the line that says how much was compared with other people's data."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from tests.drawn import DRAWN_SHARE, SHARE, drawn

REPOSITORY = Path(__file__).resolve().parent.parent
FULL_SIZE_S = 1800  # the limit of one test at its full size, on a busy machine too
REQUIRED = os.environ.get("EDGESNN_REQUIRE_SHARED") == "1"

# a machine with other work is slow: no reason to fail
hypothesis.settings.register_profile("edgesnn", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("edgesnn")

Shared = Callable[[str], Path]


@pytest.fixture(scope="session")
def shared() -> Shared:
    """Give the path of a file in the shared folder of other people's data.

    The folder is EDGESNN_SHARED, else `shared` beside the repository. A file that is absent skips the test, or fails it
    where EDGESNN_REQUIRE_SHARED=1.
    """
    root = Path(os.environ.get("EDGESNN_SHARED") or REPOSITORY.parent / "shared")

    def locate(name: str) -> Path:
        path = root / name
        if not path.exists():
            reason = f"{path} is absent (EDGESNN_SHARED names the folder of other people's recordings and results)"
            (pytest.fail if REQUIRED else pytest.skip)(reason)
        return path

    return locate


def pytest_configure() -> None:
    """Let Ctrl-C through to what the tests start: a shell's background job, such as a CI's, begins with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the full sizes the time that they take, and leave out what EDGESNN_TEST_SHARE and _DRAWN_SHARE leave out."""
    if SHARE > 1:
        keep_one_in(SHARE, config, items)
    if DRAWN_SHARE > 1:
        draw_one_in(DRAWN_SHARE, items)
    for item in items:
        if item.get_closest_marker("full") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(FULL_SIZE_S))


def keep_one_in(share: int, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep of the cases of each test function, and there of each arm and backend, one in `share`, the first too."""
    functions: dict[tuple[object, ...], list[pytest.Item]] = {}
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        key = (item.nodeid.partition("[")[0], given.get("arm"), given.get("backend"))
        functions.setdefault(key, []).append(item)
    kept = [item for cases in functions.values() for item in cases[::share]]
    chosen = {item.nodeid for item in kept}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
    items[:] = kept


def draw_one_in(share: int, items: list[pytest.Item]) -> None:
    """Let Hypothesis draw one in `share` of the examples that each test asks for."""
    kept = "_hypothesis_internal_use_settings"
    for function in {getattr(item, "obj", None) for item in items}:
        used = getattr(function, kept, None)
        if used is not None:
            setattr(function, kept, hypothesis.settings(used, max_examples=drawn(used.max_examples, share)))


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember which reports belong to conformance cases."""
    if item.get_closest_marker("conformance") and call.when == "setup":
        item.user_properties.append(("conformance", True))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last line how many conformance cases ran and how many were skipped."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    cases: dict[str, bool] = {}
    for outcome, reports in reporter.stats.items():
        for report in reports:
            if ("conformance", True) in getattr(report, "user_properties", ()):
                ran = outcome in ("passed", "failed", "error")
                cases[report.nodeid] = cases.get(report.nodeid, False) or ran
    total = sum(cases.values())
    reporter.write_line(f"conformance cases: {total} ran, {len(cases) - total} skipped")
