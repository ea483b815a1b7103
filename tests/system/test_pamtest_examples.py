# SPDX-License-Identifier: BSD-3-Clause
"""The examples of nsboxctl pamtest, as they are installed and by the commands of their heads: they work, and they fail where what
they look at is broken."""
import os
import pathlib
import re
import shutil

import pytest

from lib import ctl, host

INSTALLED = pathlib.Path("/usr/share/doc/pam_nsbox/examples/pamtest")


@pytest.fixture(autouse=True)
def _nothing_remains(baseline):
    yield
    assert ctl.boxes() == []
    assert not [name for name in os.listdir("/tmp") if name.startswith("tmp.")], "what mktemp(1) made"


@pytest.fixture
def place(tmp_path):
    """A directory with copies of them."""
    shutil.copytree(INSTALLED, tmp_path / "here")
    return tmp_path / "here"


PREFIXES = {".c": r" \*     ", ".py": r"    ", "": r"#     "}


def commands(path):
    """The indented lines of a head, as a script."""
    head = re.split(r"\*/\n#|\nset -eu\n|\nimport ", path.read_text())[0]
    return "".join(re.findall(rf"(?m)^{PREFIXES[path.suffix]}(.*\n)", head))


def run(place, script, **options):
    return host.run("sh", "-eu", "-c", script, cwd=str(place), timeout=90, **options)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_example_is_tested():
    """A new file needs a test here, and a line in the manual."""
    names = sorted(os.listdir(INSTALLED))
    assert names == ["matrix", "round-trip", "test_service.c", "test_service.py", "try-pamtester"]
    manual = pathlib.Path(os.environ["NSBOX_SOURCE"], "man/nsbox-pamtest.7").read_text()
    for name in names:
        assert f".It Pa {name}\n" in manual, name
        assert commands(INSTALLED / name), name


def test_pamtester(place):
    """Who is to get in gets in; where the stack lets everybody in, the script fails."""
    result = run(place, "sh try-pamtester")
    assert result.rc == 0 and "ann gets in\n" in result.out and "and ben, who is not of the staff, does not\n" in result.out
    change(place / "try-pamtester", "account  required  pam_succeed_if.so user ingroup staff", "account required pam_permit.so")
    result = run(place, "sh try-pamtester")
    assert result.rc != 0 and "and ben" not in result.out


def test_matrix(place):
    """A plan and nine lines that are ok; a row that is not so is "not ok", and prove(1) sees it."""
    result = run(place, "sh matrix")
    lines = result.out.splitlines()
    assert result.rc == 0 and lines[0] == "1..9", result
    assert [re.match(r"ok (\d+) - \w+ at \w+: (?:yes|no)$", text)[1] for text in lines[1:]] == [str(n) for n in range(1, 10)]
    assert "PASS" in run(place, "prove -e sh matrix", check=True).out
    change(place / "matrix", "check closed   ben two   no", "check closed   ben two   yes")
    result = run(place, "sh matrix")
    assert result.rc == 1 and "not ok 4 - ben at closed: yes\n" in result.out
    assert run(place, "prove -e sh matrix").rc != 0


def test_round_trip(place):
    """sshd, su and sudo of this host; with a stack in which one is broken it fails there."""
    result = run(place, "sh round-trip")
    assert result.rc == 0, result
    assert re.findall(r"(\w[\w ]*): (ok|refused)$", result.out, re.M) == [
        ("sshd", "ok"), ("su", "ok"), ("sudo", "ok"), ("a wrong password", "refused")]
    for service, seen in (("sshd", []), ("sudo", ["sshd", "su"])):
        stack = place / f"stack-{service}"
        stack.mkdir()
        (stack / service).write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
        result = run(place, f"sh round-trip {stack}")
        assert result.rc != 0 and re.findall(r"(\w+): ok$", result.out, re.M) == seen, result
        assert "written to /dev/log meanwhile" in result.err


def test_libpamtest(place):
    """Compiled and run by the commands of its head; with a stack that takes any password it fails."""
    script = commands(place / "test_service.c")
    result = run(place, script)
    assert result.rc == 0 and "[  PASSED  ] 4 test(s)." in result.out + result.err, result
    run(place, "rm -r stack")
    result = run(place, script.replace("auth required pam_unix.so", "auth required pam_permit.so"))
    assert result.rc != 0 and "test_wrong_password" in result.out + result.err


def test_pytest(place):
    """Its tests pass by the command of its head; one that expects something else fails."""
    script = commands(place / "test_service.py")
    assert script == "python3 -m pytest test_service.py\n"
    options = {"env": {**os.environ, "PYTEST_ADDOPTS": f"--rootdir={place} -p no:cacheprovider"}}
    result = run(place, script, **options)
    assert result.rc == 0 and "4 passed" in result.out, result
    change(place / "test_service.py", '("ben:x", 1)', '("ben:x", 0)')
    result = run(place, script, **options)
    assert result.rc == 1 and "1 failed" in result.out and "3 passed" in result.out
