# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the tests in the virtual machine. A file of them begins with `# host: --vm`."""
import pathlib

import pytest

from lib.vm import Vm


def pytest_collection_modifyitems(items):
    """The first test of a file boots, and an emulated machine is slow: so without --full it does a part (lib/sample.py)."""
    for item in items:
        if pathlib.Path(__file__).parent not in item.path.parents:
            continue
        for mark in (pytest.mark.timeout(600), pytest.mark.some(2), pytest.mark.one_in(4)):
            if not item.get_closest_marker(mark.name):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def bare_vm():
    """A machine as Debian installs it, for this run."""
    machine = Vm()
    yield machine
    machine.stop()


@pytest.fixture(scope="session")
def vm(bare_vm):
    """The machine with the product, its lines in /etc/pam.d, its service, and a configuration that boxes nobody."""
    bare_vm.install()
    bare_vm.shipped_stacks()
    bare_vm.run("systemctl daemon-reload && systemctl enable --now nsbox.service", check=True)
    return bare_vm


@pytest.fixture(autouse=True)
def _what_it_said(request):
    """Of a test that failed: what the machine has said."""
    yield
    call = getattr(request.node, "report_call", None)
    machine = request.node.funcargs.get("bare_vm") if "bare_vm" in request.fixturenames else None
    if machine and call is not None and call.failed and machine.alive():
        print(machine.console_tail(20))
        print(machine.run("journalctl --no-pager -n 60").out)
