# SPDX-License-Identifier: BSD-3-Clause
"""Who is logged in, for the host and for the box: who(1), last(1), wall(1)."""
import contextlib
import os
import pathlib
import re
import signal

import pexpect
import pytest

from lib import baseline as picture
from lib import host, syslog

WTMP = "/var/log/wtmp"


@pytest.fixture(autouse=True)
def everybody(conf):
    """sshd puts everybody into a box; nobody was ever logged in."""
    conf.nsbox("[profile all]\nusers = *\n")
    conf.pam("sshd", "login", "su", "cron")
    for path in (picture.UTMP, WTMP):
        os.truncate(path, 0)
    return conf


@contextlib.contextmanager
def session(sshd, user, address="127.0.0.1"):
    """A login on a terminal from that address; yields (pexpect child, box id)."""
    child = sshd.spawn(user, opts=("-b", address, "-e", "none"))
    child.expect(r"[$#] ")
    child.sendline("export TERM=dumb PS1='$ '; bind 'set enable-bracketed-paste off'; echo id=$NSBOX_ID")
    child.expect(r"id=(\w{10})\r\n")
    identifier = child.match[1]
    child.expect(r"\$ $")
    yield child, identifier
    if child.isalive():
        leave(child)


def leave(child):
    child.sendline("exit")
    child.expect_exact("logout")
    child.wait()
    child.close()


def log_out(child):
    """Of login(1) on a terminal of the host."""
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()


def ask(child, command):
    """Runs a command in the session; what it printed."""
    child.sendline(f"{command}; echo end'-'of")
    child.expect("end-of\r\n")
    text = child.before.split("\n", 1)[1]
    child.expect(r"\$ $")
    return text.replace("\r", "")


def who():
    """{line: (user, host)}"""
    found = {}
    for line in host.run("who", check=True).out.splitlines():
        match = re.fullmatch(r"(\S+)\s+(\S+)\s+\d{4}-\d\d-\d\d \d\d:\d\d(?: \((\S+)\))?", line)
        assert match, line
        found[match[2]] = (match[1], match[3])
    return found


def last():
    """{line: (user, host, the rest)}; last(1) cuts the line to 12 characters."""
    found = {}
    for line in host.run("last", "-w", "--time-format", "iso", check=True).out.splitlines():
        match = re.fullmatch(r"(\S+)\s+(nsbox/\w{6})\s+(\S*)\s+(\d{4}-\S+)\s+(.*)", line)
        if match:
            assert match[2] not in found, f"two records: {line}"
            found[match[2]] = (match[1], match[3], match[5])
    return found


def has_end(line):
    """Whether last(1) shows an end. (In the second of the end it says "still running".)"""
    return last()[line][2].startswith("- ")


def records(path):
    """[(type, pid, line, user)] of all records of a file."""
    data = pathlib.Path(path).read_bytes()
    found = []
    for offset in range(0, len(data), picture.UTMP_RECORD.size):
        kind, pid, line, _, user, *_ = picture.UTMP_RECORD.unpack_from(data, offset)
        found.append((kind, pid, line.split(b"\0")[0].decode(), user.split(b"\0")[0].decode()))
    return found


def test_three_boxes_of_two_users(sshd, baseline):
    """who and last show each box by its line, user and remote host; one logs out: the others are still shown, the ended
    one has its end in last."""
    with session(sshd, "alice", "127.0.0.2") as (_, one), session(sshd, "alice", "127.0.0.3") as (two, second), \
            session(sshd, "bob", "127.0.0.4") as (_, three):
        expected = {f"nsbox/{one}": ("alice", "127.0.0.2"), f"nsbox/{second}": ("alice", "127.0.0.3"),
                    f"nsbox/{three}": ("bob", "127.0.0.4")}
        assert who() == expected
        assert {line: entry[:2] for line, entry in last().items()} == {line[:12]: entry for line, entry in expected.items()}
        assert all("still logged in" in entry[2] for entry in last().values()), last()
        leave(two)
        ended = f"nsbox/{second}"
        host.wait_until(lambda: ended not in who(), what="the record is closed")
        assert who() == {line: entry for line, entry in expected.items() if line != ended}
        found = host.wait_until(lambda: has_end(ended[:12]) and last(), what="last shows the end")
        assert re.match(r"- \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* +\(00:0\d\)", found[ended[:12]][2]), found
        assert all("still logged in" in entry[2] for line, entry in found.items() if line != ended[:12]), found
    host.wait_until(lambda: who() == {}, what="all are out")
    host.wait_until(lambda: all(has_end(line) for line in last()), what="last shows all ends")


def test_records_are_well_formed(sshd, baseline):
    """Two records of one login in wtmp, one in utmp: same line and process; the process is the host's and lives; the ids
    of different logins differ."""
    with session(sshd, "alice") as (_, one), session(sshd, "bob") as (_, two):
        found = {record[2]: record for record in picture.utmp_records()}
        assert set(found) == {f"nsbox/{one}", f"nsbox/{two}"}
        assert len({record[3] for record in found.values()}) == 2 and all(len(record[3]) == 4 for record in found.values())
        for line, user in ((one, "alice"), (two, "bob")):
            assert sshd.monitors(user) == [found[f"nsbox/{line}"][1]]
        pids = {line: record[1] for line, record in found.items()}
    host.wait_until(lambda: len(records(WTMP)) == 4)
    for line, pid in pids.items():
        assert [record for record in records(WTMP) if record[2] == line] == [
            (7, pid, line, "alice" if line.endswith(one) else "bob"), (8, pid, line, "")]


def test_who_in_the_box(sshd, baseline):
    """In the box who(1) shows the own terminal only, last(1) nothing of the host. (The file is named, because who(1)
    asks whether the record's process lives, and sshd's is not in the box.)"""
    with session(sshd, "alice", "127.0.0.2") as (one, _), session(sshd, "bob", "127.0.0.3") as (two, _):
        for child, user, address in ((one, "alice", "127.0.0.2"), (two, "bob", "127.0.0.3")):
            lines = ask(child, "who /run/utmp").splitlines()
            assert len(lines) == 1 and lines[0].split()[:2] == [user, "pts/0"] and f"({address})" in lines[0], lines
            found = [line.split()[:3] for line in ask(child, "last -w").splitlines() if "wtmp" not in line and line]
            assert found == [[user, "pts/0", address]], found
        assert ask(one, "users /run/utmp").split() == ["alice"] and ask(two, "users /run/utmp").split() == ["bob"]


def test_command_without_a_terminal(sshd, baseline):
    """ssh host command is a login too, shown while it runs."""
    with sshd.session("alice"):
        assert [entry for entry in who().values()] == [("alice", "127.0.0.1")]
    host.wait_until(lambda: who() == {})


def test_many_logins(sshd, baseline):
    """Each login has its beginning and its end in wtmp; none stays open in utmp."""
    number = host.count(30, 6)
    for _ in range(number):
        assert sshd.ssh("alice", "true").rc == 0
    host.wait_until(lambda: who() == {})
    host.wait_until(lambda: len(records(WTMP)) == 2 * number)
    assert [kind for kind, *_ in records(picture.UTMP) if kind == 7] == []


def test_services_that_are_no_login(conf, baseline):
    """su and cron write no record; login does."""
    assert host.run("su", "alice", "-c", "true").rc == 0
    assert records(picture.UTMP) == [] and records(WTMP) == []
    child = host.spawn("login", "-f", "alice", env={**os.environ, "TERM": "dumb"})
    child.expect(r"\$ $")
    [line] = [record[2] for record in picture.utmp_records() if record[4] == "alice" and record[2].startswith("nsbox/")]
    log_out(child)
    host.wait_until(lambda: line not in who())


def test_files_of_the_host_are_not_written_from_the_box(sshd, baseline):
    """root in a box writes the box's utmp and wtmp: the host's stay."""
    with session(sshd, "root") as (child, identifier):
        before = records(picture.UTMP), records(WTMP)
        ask(child, ": >/run/utmp; : >/var/log/wtmp; printf x >>/run/utmp; printf x >>/var/log/wtmp")
        assert (records(picture.UTMP), records(WTMP)) == before
        assert f"nsbox/{identifier}" in who()
        ask(child, ": >/run/utmp; : >/var/log/wtmp")


def test_killed_monitor_of_sshd(sshd, baseline):
    """kill -9 of sshd's root process: nobody calls close, the record is closed all the same, in utmp and wtmp."""
    with session(sshd, "alice") as (child, one), session(sshd, "bob") as (_, two):
        [pid] = sshd.monitors("alice")
        os.kill(pid, signal.SIGKILL)
        host.wait_until(lambda: set(who()) == {f"nsbox/{two}"}, timeout=3)
        host.wait_until(lambda: records(WTMP)[-1][:3] == (8, pid, f"nsbox/{one}"))
        host.wait_until(lambda: has_end(f"nsbox/{one[:6]}"), what="last shows the end")
        assert "still logged in" in last()[f"nsbox/{two[:6]}"][2]
        child.close(force=True)


def test_no_utmp(sshd, conf, baseline):
    """A host without utmp (none of the new ones has it): logins work, no file is made."""
    os.rename(picture.UTMP, f"{picture.UTMP}.away")
    try:
        start = syslog.mark()
        assert sshd.ssh("alice", "true").rc == 0
        syslog.wait_for("ended after", start)
        assert not os.path.exists(picture.UTMP)
        assert not syslog.matching("utmp", start)
    finally:
        os.rename(f"{picture.UTMP}.away", picture.UTMP)


def test_long_host_name(conf, baseline):
    """Names longer than the record's fields are cut, not overrun."""
    name = "far." * 60 + "example"
    child = host.spawn("login", "-h", name, "-f", "alice", env={**os.environ, "TERM": "dumb"})
    child.expect(r"\$ $")
    [origin] = [record[5] for record in picture.utmp_records() if record[2].startswith("nsbox/")]
    assert name.startswith(origin) and len(origin) > 200
    log_out(child)


# -- wall --


def seen(child, text, timeout=1):
    """Whether the text reaches the terminal."""
    return child.expect([text, pexpect.TIMEOUT], timeout=timeout) == 0


@pytest.fixture
def terminals(sshd, baseline):
    """Two sessions of alice, one of bob, and a terminal of the host with the number that all of them have."""
    outer = host.spawn("bash", "--norc", "-i", env={**os.environ, "TERM": "dumb", "PS1": "$ "})
    outer.expect(r"\$ $")
    with session(sshd, "alice") as (one, _), session(sshd, "alice") as (two, _), session(sshd, "bob") as (three, _):
        for child in (one, two, three):
            assert ask(child, "tty").strip() == "/dev/pts/0"
            ask(child, "mesg y")
        yield outer, one, two, three
    outer.sendline("exit")
    outer.wait()
    outer.close()


def test_wall_of_root_reaches_no_box(terminals):
    """root's wall on the host: no box's terminal, no other terminal of the number, no hanging. (It says that it
    cannot open the boxes' lines.)"""
    result = host.run("wall", "the-sky-is-falling", timeout=10)
    assert result.rc == 0, result
    assert all(re.fullmatch(r"wall: /dev/nsbox/\w{10}: No such file or directory", line) for line in result.err.splitlines())
    assert not any(seen(child, "the-sky-is-falling", 0.3) for child in terminals)


def test_wall_of_a_boxed_user_stays_in_the_box(terminals):
    """A boxed user's wall reaches the own box's terminals only."""
    outer, one, two, three = terminals
    one.sendline("wall knock-knock")
    assert seen(one, "Broadcast message from alice") and seen(one, "knock-knock")
    assert not any(seen(child, "knock-knock", 0.3) for child in (outer, two, three))


def test_wall_and_write_of_a_boxed_root_stay_in_the_box(sshd, terminals):
    """The same for root in a box, and for write(1) to a user of another box."""
    with session(sshd, "root") as (child, _):
        child.sendline("wall from-the-boxed-root")
        assert seen(child, "from-the-boxed-root")
        assert "not logged in" in ask(child, "echo hello | write bob pts/0")
        assert not any(seen(other, "from-the-boxed-root|hello", 0.3) for other in terminals)


def test_mesg_and_terminals_of_others(terminals):
    """Writing to the number of another's terminal writes to the own."""
    _, one, two, _ = terminals
    assert ask(one, "echo mine >/dev/pts/0").strip() == "mine"
    assert not seen(two, "mine", 0.3)
    assert ask(one, "ls --color=never /dev/pts").split() == ["0", "ptmx"]
