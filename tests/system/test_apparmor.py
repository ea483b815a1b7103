# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
"""The AppArmor profiles as they are installed: the parser of this distribution takes them, and they are about the programs that
are there. (Nothing is loaded. What they do: tests/vm/test_apparmor.py.)"""
import os
import pathlib
import re
import shutil

import pytest

from lib import host
from lib.vm import SOURCE

SHIPPED = pathlib.Path("/usr/share/doc/pam_nsbox/examples/apparmor.d")
PROFILES = SHIPPED / "nsbox"
LIBEXEC = pathlib.Path("/usr/libexec/nsbox")
DIRECTORY = pathlib.Path("/etc/apparmor.d")
NAMES = {"nsbox-builder", "nsbox-helper", "nsbox-init", "nsbox-monitor", "nsbox-unpack"}


def parse(path, *words):
    """Without the cache and without the kernel, of which is taken what version 3.0 knows; every warning an error."""
    return host.run("apparmor_parser", "-Q", "-K", "--skip-cache", "--kernel-features=/etc/apparmor.d/abi/3.0",
                    "--warn=all", "--Werror=all", *words, str(path))


@pytest.fixture
def switched_on():
    """Copied as nsbox-helper(8) says."""
    shutil.copytree(SHIPPED, DIRECTORY, dirs_exist_ok=True)
    return DIRECTORY / "nsbox"


def test_parses():
    """The profiles by themselves, where they were installed."""
    result = parse(PROFILES)
    assert result.rc == 0, result
    assert set(host.run("apparmor_parser", "-N", str(PROFILES), check=True).out.split()) == NAMES


def test_a_mistake_would_be_seen(tmp_path):
    """Or the test before shows nothing."""
    broken = tmp_path / "nsbox"
    broken.write_text(PROFILES.read_text().replace("capability sys_chroot,", "capability sys_chrot,", 1))
    assert parse(broken).rc != 0


def test_with_what_an_administrator_adds(switched_on):
    """Files in local/ are read: one with a mistake is an error of its name."""
    for name in NAMES:
        path = DIRECTORY / "local" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("/srv/layers/ rw,\n/srv/layers/** rwk,\n")
        assert parse(switched_on).rc == 0, name
        path.write_text("/srv/layers/ what,\n")
        result = parse(switched_on)
        assert result.rc != 0 and f"local/{name}" in result.err, result
        path.unlink()


def test_what_others_include(switched_on, tmp_path):  # pylint: disable=unused-argument
    """abstractions/base.d reaches profiles with abstractions/base: their text has the rule, and they are still parsed."""
    profile = tmp_path / "other"
    profile.write_text("abi <abi/3.0>,\ninclude <tunables/global>\nprofile other /bin/true {\n  include <abstractions/base>\n}\n")
    assert parse(profile).rc == 0
    assert "peer=nsbox-init" in host.run("apparmor_parser", "-p", str(profile), check=True).out


def test_names_the_programs():
    """Each program in its place is executed, or confined, by a rule: none is forgotten. No place is left open."""
    text = PROFILES.read_text()
    assert "@nsboxlibexecdir@" not in text and f"@{{nsbox}}={LIBEXEC}\n" in text
    ours = re.findall(r"^(?:profile \S+|  )\s*(?:@\{nsbox\}|/\*\*)/nsbox-(\{[a-z,]+\}|[a-z]+)", text, re.M)
    named = {name for group in ours for name in group.strip("{}").split(",")}
    assert {path.name.removeprefix("nsbox-") for path in LIBEXEC.iterdir()} <= named


def test_capabilities():
    """AppArmor takes away from what capget(2) shows, and the helper refuses to begin without one of its table."""
    table = (pathlib.Path(SOURCE) / "helper/capabilities.c").read_text()
    needed = set(re.findall(r'^\t\{ CAP_\w+, "(\w+)"', table, re.M))
    text = PROFILES.read_text()
    helper = text[text.index("profile nsbox-helper"):text.index("profile nsbox-builder")]
    assert len(needed) > 10 and needed <= set(re.findall(r"^  capability (\w+),", helper, re.M))
    builder = text[text.index("profile nsbox-builder"):text.index("profile nsbox-init")]
    assert not needed & set(re.findall(r"^  audit deny capability (\w+),", builder, re.M))


def test_the_manual_names_the_lines_of_the_head():
    """Where overlays lie elsewhere: the manual and the head of the profile say the same."""
    manual = (pathlib.Path(SOURCE) / "man/nsbox-helper.8").read_text()
    assert "/srv/layers/ rw,\n/srv/layers/** rwk,\n" in manual
    assert "`/srv/layers/ rw, /srv/layers/** rwk,`" in PROFILES.read_text()
    assert os.path.exists(SHIPPED / "abstractions/base.d/nsbox")
