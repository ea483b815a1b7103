# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of all pytest files. They run in the throw-away host only (tests/host)."""
import os

import pytest

from lib import baseline as baseline_module
from lib import host, netlab, pamconf, sample, sshd as sshd_module


def pytest_configure(config):
    """These tests rewrite /etc, kill processes and fill the disk: never on a machine that somebody needs."""
    machine = os.environ.get("NSBOX_MACHINE_NS")
    if not machine or host.machine_namespaces()["mnt"] == host.namespaces()["mnt"]:
        pytest.exit("not in the throw-away host: use tests/host python3 -m pytest ...", 2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """NSBOX_SAMPLE of tests/run: not every one (lib/sample.py). NSBOX_PATIENCE: what a test may take."""
    kept = sample.choose(items, os.environ.get("NSBOX_SAMPLE"))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * host.PATIENCE), append=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """We are root and have the kernel: what is skipped here is never tested."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{call.when}", report)
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure here: {report.longrepr}"


def pytest_terminal_summary(terminalreporter, config):
    """What a test wants to be read in the log: config.nsbox_summary, lines."""
    for line in getattr(config, "nsbox_summary", ()):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def sshd():
    """An sshd with PAM that lives as long as the test file. Its stack is what `conf` writes, or the machine's."""
    server = sshd_module.Sshd()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def lab():
    """The laboratory of networks, for as long as the test file lives."""
    laboratory = netlab.Lab()
    yield laboratory
    laboratory.close()


@pytest.fixture(autouse=True)
def _terminals():
    yield
    host.close_terminals()


@pytest.fixture
def conf():
    """A pamconf.Configuration whose files are put back after the test."""
    configuration = pamconf.Configuration()
    yield configuration
    configuration.restore()


@pytest.fixture
def baseline(request):
    """Takes the baseline, and after the test waits until the host is as before. Yields the picture."""
    before = baseline_module.take_settled()
    yield before
    call = getattr(request.node, "report_call", None)
    if call is None or call.failed:
        host.close_terminals()  # so that the next test has a chance
    baseline_module.wait_equal(before, timeout=5)


@pytest.fixture
def core_pattern(baseline):
    """core_pattern("|/program"): what /proc/sys/kernel/core_pattern holds for the helper of this host. The machine's own is never
    written."""
    place, mounted = "/proc/sys/kernel/core_pattern", []

    def show(text):
        path = f"/run/core_pattern-{len(mounted)}"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
        host.run("mount", "--bind", path, place, check=True)
        mounted.append(path)
        return text
    yield show
    for path in mounted:
        host.run("umount", place, check=True)
        os.unlink(path)
