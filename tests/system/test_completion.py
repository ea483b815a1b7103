# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
"""The completion of nsboxctl, as bash-completion loads it: what it offers is what the usage says, and what this host has."""
import os
import pathlib
import re
import shlex

import pytest

from lib import host
from lib.ctl import box, ctl, running

PROFILE = "[profile first]\nusers = alice\nnetwork = loopback\n\n[ profile second ] # a comment\nusers = bob\nnetwork = host\n"

# Does what bash does at the TAB key: loads the completion by the program's name, and asks its function.
SCRIPT = """
. /usr/share/bash-completion/bash_completion
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_completion_loader "$1"
function=$(complete -p "${1##*/}" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line, user=None, cwd="/"):
    """The words that are offered for the last word of the line; nothing may be said beside."""
    words = re.findall(r"=|[^ =]+|(?<= )$", line)  # "=" breaks words for readline
    command = ["bash", "--norc", "-c", SCRIPT, "complete", line, *words]
    if user:
        command = ["runuser", "-u", user, "--", *command]
    result = host.run(*command, cwd=cwd, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    said = [text for text in result.err.splitlines() if "compopt: not currently executing" not in text]  # true: SCRIPT is not bash
    assert said == [], (line, result)
    return set(result.out.split())


def usage():
    """{command: its arguments} of `nsboxctl --help`."""
    found = re.findall(r"^  nsboxctl ([a-z]\w*) ?(.*)", ctl("--help").out, re.M)
    assert len(found) > 10
    return dict(found)


def test_commands():
    """Every command of the usage, and the two options that stand alone."""
    assert offered("nsboxctl ") == {*usage(), "--help", "--version"}
    assert offered("nsboxctl --") == {"--help", "--version"}
    assert offered("nsboxctl m") == {name for name in usage() if name.startswith("m")}
    assert offered("nsboxctl nothing ") == set()


@pytest.mark.parametrize("command", sorted(re.findall(r'^\t\{ "(\w+)", "',
                                                      (pathlib.Path(os.environ["NSBOX_SOURCE"]) / "ctl/nsboxctl.c").read_text(), re.M)))
def test_options(command):
    """Of each command all options that its line of the usage has, and once each."""
    options = set(re.findall(r"--[a-z][a-z-]*", usage()[command]))
    if re.search(r"(^|[\[ ])-- ", usage()[command]):
        options.add("--")
    assert offered(f"nsboxctl {command} -") == options
    for option in options - {"--"}:
        rest = offered(f"nsboxctl {command} {option} {'x ' if value_of(command, option) else ''}-")
        assert rest == options - {option}, option


def value_of(command, option):
    found = re.search(rf"{option} \[?([A-Z]+|[a-z]+\|[a-z|]+)", usage()[command])
    return found and found[1]


def test_every_value_is_known():
    """A word in capitals that is new in the usage is looked at once: can it be completed?"""
    text = (pathlib.Path(os.environ["NSBOX_SOURCE"]) / "ctl/completion/nsboxctl.in").read_text()
    completed = {name for names in re.findall(r"^\t([A-Za-z.:| ]+)\) ", text, re.M) for name in re.findall(r"[A-Z]{2,}", names)}
    free = {"COMMAND", "ARGUMENT", "ADDRESS", "GROUP", "NAME", "PACKAGE", "PASSWORD", "SIZE", "SUITE", "URL"}
    values = {word for arguments in usage().values() for word in re.findall(r"[A-Z]{2,}", arguments)}
    assert values - completed - free == set() and completed <= values


def test_users_services_and_terminals(conf):
    conf.nsbox(PROFILE)
    users = {"alice", "bob", "carol", "mallory", "root"}
    for line in ("run --user ", "run --profile first --user ", "explain --service sshd --user ", "kill --now --user "):
        assert users <= offered(f"nsboxctl {line}")
    assert offered("nsboxctl run --user ali") == offered("nsboxctl run --user=ali") == {"alice"}
    assert offered("nsboxctl explain --user alice --service ss") == {"sshd"}
    terminal = host.spawn("sh", "-c", "tty; cat")
    terminal.expect("/dev/(pts/[0-9]+)")
    assert terminal.match[1] in offered("nsboxctl explain --tty p")
    assert offered("nsboxctl mkroot /srv/x --max-size ") == set()


def test_choices():
    assert offered("nsboxctl pamtest --network ") == {"loopback", "host"}
    assert offered("nsboxctl pamtest --user x:y:z --network l") == {"loopback"}
    assert offered("nsboxctl pamtest --pam-dir /etc/pam", cwd="/") == {"/etc/pam.d"}


def test_profiles(conf):
    """Of what logins read, in all files; of the one that --conf names."""
    conf.nsbox(PROFILE)
    conf.dropin("more.conf", "#[profile off]\n[profile third]\nusers = carol\n")
    conf.file("/etc/other.conf", "[profile other]\nusers = carol\n")
    assert offered("nsboxctl run --profile ") == {"first", "second", "third"}
    assert offered("nsboxctl run --profile s") == {"second"}
    assert offered("nsboxctl explain --conf /etc/other.conf --profile ") == {"other"}
    conf.file("/etc/other.conf", "[profile $(touch${IFS}/run/touched)]\n[profile `id`]\n")
    offered("nsboxctl run --conf /etc/other.conf --profile ")
    assert not os.path.exists("/run/touched")


def test_ids(conf, baseline):
    """Of boxes that live; an id that stands there is not asked for again."""
    conf.nsbox(PROFILE)
    assert offered("nsboxctl show ") == set()
    with running():
        ident = box(user="alice")["id"]
        for command in ("show", "enter", "enter --root", "freeze", "thaw", "kill", "kill --now"):
            assert offered(f"nsboxctl {command} ") == {ident}, command
            assert offered(f"nsboxctl {command} {ident[:3]}") == {ident}
            assert offered(f"/usr/sbin/nsboxctl {command} ") == {ident}
        assert offered(f"nsboxctl show {ident} ") == {"--json"}
        assert offered("nsboxctl show ", user="alice") == set()


def test_files(tmp_path):
    """Of check, of mkroot, of --from and --conf."""
    (tmp_path / "one.tar").touch()
    (tmp_path / "tree").mkdir()
    assert offered("nsboxctl check ", cwd=tmp_path) == {"one.tar", "tree"}
    assert offered("nsboxctl mkroot ", cwd=tmp_path) == {"tree"}
    assert offered("nsboxctl mkroot tree --from o", cwd=tmp_path) == {"one.tar"}
    assert offered("nsboxctl run --conf o", cwd=tmp_path) == {"one.tar"}


def test_what_stands_behind_the_command_is_another_line():
    assert "/etc/passwd" in offered("nsboxctl run --user alice -- cat /etc/passw")
    assert "hostname" in offered("nsboxctl run --user alice -- hostnam")


def test_at_the_terminal():
    """The TAB key of a shell, where nobody has named a function."""
    child = host.spawn("bash", "--norc", "-i", env={**os.environ, "PS1": "ready>", "TERM": "dumb"})
    try:
        child.expect("ready>")
        child.sendline(f". {shlex.quote('/usr/share/bash-completion/bash_completion')}; echo so''urced")
        child.expect("sourced")
        child.expect("ready>")
        child.send("nsboxctl expl\t--us\tali\t")
        child.expect("nsboxctl explain --user alice ")
    finally:
        child.close(force=True)
