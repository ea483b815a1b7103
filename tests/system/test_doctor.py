# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl doctor: on a host that is set up well it finds nothing but notes; each thing that is then set up badly is one more
finding, and what the remedy says takes it away."""
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess

import pytest

from lib import host, pamconf, sshd
from lib.ctl import ctl, running

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

SOURCE = pathlib.Path(os.environ["NSBOX_SOURCE"])
PROFILE = "[profile all]\nusers = * !root\nnetwork = loopback\nuser_memory_max = 90%\nlimits_optional = yes\n"
PAIR = ("session required pam_nsbox.so close\n", "session required pam_unix.so\n", "session required pam_nsbox.so open\n")
ACCOUNT = "account required pam_unix.so\naccount required pam_nsbox.so\n"

# A value of each sysctl that is bad. A new row of the table needs one here.
BAD = {
    "kernel.dmesg_restrict": 0, "kernel.kptr_restrict": 0, "kernel.perf_event_paranoid": 1, "kernel.randomize_va_space": 0,
    "kernel.unprivileged_bpf_disabled": 0, "vm.unprivileged_userfaultfd": 1, "kernel.unprivileged_userns_clone": 1,
    "kernel.apparmor_restrict_unprivileged_userns": 0, "dev.tty.legacy_tiocsti": 1, "kernel.yama.ptrace_scope": 0,
    "fs.protected_symlinks": 0, "fs.protected_hardlinks": 0, "fs.protected_fifos": 0, "fs.protected_regular": 0,
    "fs.suid_dumpable": 1, "kernel.pty.max": 100, "kernel.pty.reserve": 0, "kernel.keys.maxkeys": 20,
    **{f"user.max_{kind}_namespaces": 10 for kind in ("mnt", "pid", "uts", "ipc", "net", "cgroup")},
}
WANTED = {**{name: 0 for name in ("vm.unprivileged_userfaultfd", "kernel.unprivileged_userns_clone", "dev.tty.legacy_tiocsti",
                                  "fs.suid_dumpable")},
          "kernel.perf_event_paranoid": 2, "kernel.randomize_va_space": 2, "kernel.pty.max": 4096, "kernel.pty.reserve": 1024,
          "kernel.keys.maxkeys": 200,
          **{f"user.max_{kind}_namespaces": 9999 for kind in ("mnt", "pid", "uts", "ipc", "net", "cgroup")}}


_numbers = itertools.count()


def path_of(name):
    return pathlib.Path("/proc/sys", name.replace(".", "/"))


HERE = [name for name in BAD if path_of(name).exists()]


class Doctor:
    """What it says now, compared with what it said of the healthy host."""

    def __init__(self, base):
        self.base = base

    @staticmethod
    def ask():
        result = ctl("doctor", "--json")
        assert result.err == "", result
        said = json.loads(result.out)
        assert result.rc == (1 if said["counts"]["problem"] else 0)
        return said

    def new(self):
        """The findings that were not there; lines move."""

        def key(one):
            return one["check"], re.sub(r":\d+$", "", one["where"]), one["what"]

        known = [key(one) for one in self.base["findings"]]
        return [one for one in self.ask()["findings"] if key(one) not in known]

    def one(self, check, severity, what, where=""):
        """The one new finding is this."""
        found = self.new()
        assert len(found) == 1, found
        (finding,) = found
        assert (finding["check"], finding["severity"]) == (check, severity), finding
        assert re.search(what, finding["what"]) and re.search(where, finding["where"]), finding
        assert len(finding["remedy"]) > 5
        return finding


@contextlib.contextmanager
def bound(path, text):
    """Another text in a file of /proc/sys, for this host alone: yields the file behind it."""
    file = pathlib.Path(f"/run/sysctl-{next(_numbers)}")
    file.write_text(text)
    host.run("mount", "--bind", str(file), str(path), check=True)
    try:
        yield file
    finally:
        host.run("umount", str(path), check=True)
        file.unlink()


@pytest.fixture
def doctor(conf):
    """A host on which all is well: stacks, sysctls, a profile for everybody."""
    conf.nsbox(PROFILE)
    conf.pam_all()
    conf.pam("sudo-i", "atd")
    for name in ("cron.allow", "cron.deny", "at.allow"):
        conf.remove(f"/etc/{name}")
    with contextlib.ExitStack() as stack:
        for name in HERE:
            stack.enter_context(bound(path_of(name), f"{WANTED.get(name, 1)}\n"))
        stack.enter_context(bound("/proc/sys/kernel/core_pattern", "core\n"))
        stack.enter_context(bound("/proc/sys/kernel/pid_max", "4194304\n"))
        base = Doctor.ask()
        assert {one["severity"] for one in base["findings"]} == {"note"}, base["findings"]
        yield Doctor(base)


def replace(conf, path, old, new):
    """Edits a file as an administrator would."""
    text = pathlib.Path(path).read_text()
    assert old in text, (old, text)
    conf.file(path, text.replace(old, new, 1))


# -- the command --


def test_usage():
    """Wrong words are usage; help is help."""
    assert ctl("doctor", "--nonsense").rc == 2
    assert ctl("doctor", "x").rc == 2
    result = ctl("doctor", "--help")
    assert result.rc == 0 and result.out.startswith("usage: nsboxctl doctor [--json]")


def test_text_and_json_say_the_same(doctor, conf):
    """Each finding and each check without one is in both; the last line counts them."""
    conf.pam("sshd", variant="none")
    said = doctor.ask()
    result = ctl("doctor")
    assert result.rc == 1 and result.err == ""
    for one in said["findings"]:
        where = f"{one['where']}: " if one["where"] else ""
        assert f"  {one['severity']:<8} {one['check']}: {where}{one['what']}\n           remedy: {one['remedy']}\n" in result.out
    for one in said["passed"]:
        assert f"  ok       {one['check']}\n" in result.out
    assert result.out.count(" remedy: ") == len(said["findings"]) == sum(said["counts"].values())
    counts = said["counts"]
    assert re.fullmatch(rf"{counts['problem']} problems?, {counts['warning']} warnings?, {counts['note']} notes?, "
                        rf"{counts['unseen']} not looked at; {len(said['passed'])} checks found nothing",
                        result.out.splitlines()[-1])
    names = [(one["subject"], one["check"]) for one in said["passed"]]
    assert len(names) == len(set(names))
    assert {one["subject"] for one in said["passed"]} == {"kernel", "pam", "sshd", "ways-out", "network",
                                                           "profiles"}


def test_another_user(doctor, conf):
    """Without root it says what it could not look at, each with a remedy, and does not call that ok."""
    result = host.run("runuser", "-u", "alice", "--", "nsboxctl", "doctor", "--json")
    assert (result.rc, result.err) == (0, "")
    said = json.loads(result.out)
    unseen = {one["check"]: one for one in said["findings"] if one["severity"] == "unseen"}
    assert {"limits", "at", "processes", "roots"} <= set(unseen)
    assert all("as root" in one["remedy"] for one in unseen.values())
    assert not set(unseen) & {one["check"] for one in said["passed"]}
    conf.file("/etc/pam.d/login", pamconf.stack("login"), mode=0o600)
    said = json.loads(host.run("runuser", "-u", "alice", "--", "nsboxctl", "doctor", "--json").out)
    assert [one["where"] for one in said["findings"] if one["check"] == "readable"] == ["login"]


def test_broken_configuration(doctor, conf):
    """A configuration that cannot be read is a problem, with the line; the rest is looked at all the same."""
    conf.nsbox("[profile all]\nusers = *\nnetwrok = host\n")
    finding = doctor.one("configuration", "problem", r"nsbox\.conf:3: .*netwrok")
    assert "line" in finding["remedy"]


def test_no_profile(doctor, conf):
    """Nobody is boxed: a note, and missing lines matter to nobody."""
    conf.nsbox("")
    conf.pam_all(variant="none")
    new = doctor.new()
    assert [(one["check"], one["severity"]) for one in new] == [("any-profile", "note")], new


def test_hostile_names_do_not_reach_the_terminal(doctor, conf):
    """Control characters in names and contents of files are shown as they are written, not sent."""
    evil = "\x1b]0;owned\x07\x9b31m"
    conf.pam("sshd", last=[f"session required pam_{evil}.so"])
    conf.file(f"/etc/pam.d/bad{evil}", ACCOUNT + "".join(PAIR[:2]) + "session optional pam_nsbox.so open\n")
    conf.file("/etc/pam.d/login", pamconf.stack("login").replace("pam_nsbox.so open", f"pam_nsbox.so open {evil}"))
    result = ctl("doctor", text=False)
    assert result.rc == 1 and rb"\x1b]0;owned\x07" in result.out
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", result.out)
    said = json.loads(ctl("doctor", "--json", text=False).out)
    assert any("\x1b]0;owned" in one["what"] for one in said["findings"])


def test_inside_a_box(conf):
    """A box cannot be the doctor of its host."""
    conf.nsbox(PROFILE)
    result = ctl("run", "--user", "alice", "--", shutil.which("nsboxctl"), "doctor")
    assert result.rc == 1 and "inside of a box" in result.err and result.out == ""


# -- kernel --


def test_every_sysctl_has_a_test():
    """The table's names are those of BAD."""
    text = (SOURCE / "ctl/sysctl-table.c").read_text()
    names = set(re.findall(r'^\t\{ "([\w.]+)"', text, re.M))
    names |= {f"user.max_{kind}_namespaces" for kind in re.findall(r'^\tNAMESPACE\("(\w+)"\)', text, re.M)}
    assert names == set(BAD)


@pytest.mark.parametrize("name", HERE)
def test_sysctl(doctor, name):
    """A bad value is one finding; the line that the remedy says, put into effect, takes it away."""
    with bound(path_of(name), f"{BAD[name]}\n") as file:
        (finding,) = doctor.new()
        assert finding["check"] == name and finding["where"] == str(path_of(name))
        assert finding["what"].startswith(f"it is {BAD[name]}: ")
        key, value = re.search(r'write "([\w.]+) = (\d+)" into /etc/sysctl.d/', finding["remedy"]).groups()
        assert key == name
        file.write_text(f"{value}\n")
        assert doctor.new() == []


@pytest.mark.parametrize("pattern", ["|/usr/lib/systemd/systemd-coredump %P %u", "@/run/coredump.sock"])
def test_core_pattern(doctor, conf, pattern):
    """A handler of core dumps is a note; with core = yes in a profile a warning."""
    with bound("/proc/sys/kernel/core_pattern", pattern + "\n") as file:
        doctor.one("kernel.core_pattern", "note", re.escape(pattern))
        conf.nsbox(PROFILE + "core = yes\n")
        finding = doctor.one("kernel.core_pattern", "warning", "profile all has core = yes")
        assert "core = yes" in finding["remedy"]
        file.write_text("core\n")
        assert doctor.new() == []


def test_pid_max(doctor, conf):
    """One box may not have half of all processes."""
    with bound("/proc/sys/kernel/pid_max", "32768\n"):
        assert doctor.new() == []
        conf.nsbox(PROFILE + "pids_max = 20000\n")
        doctor.one("kernel.pid_max", "warning", "32768 .*profile all 20000")


def test_user_namespaces(doctor, conf):
    """None for anybody is good, until a profile takes one for each box."""
    with bound("/proc/sys/user/max_user_namespaces", "0\n") as file:
        assert doctor.new() == []
        conf.nsbox(PROFILE + "user_namespace = keep-id\n")
        (finding,) = [one for one in doctor.new() if one["check"] == "user.max_user_namespaces"]
        assert finding["severity"] == "problem" and "profile all has user_namespace = keep-id" in finding["what"]
        file.write_text(re.search(r"max_user_namespaces = (\d+)", finding["remedy"])[1])
        assert [one for one in doctor.new() if one["check"] == finding["check"]] == []


def test_seccomp(doctor, conf):
    """A kernel without filters: a problem while a profile wants them."""
    with bound("/proc/sys/kernel/seccomp/actions_avail", "allow\n"):
        doctor.one("seccomp", "problem", "cannot filter system calls, and profile all wants it")
        conf.nsbox(PROFILE + "seccomp = off\n")
        assert [one["severity"] for one in doctor.new() if one["check"] == "seccomp"] == ["note"]
    conf.nsbox(PROFILE)
    program = pathlib.Path("/usr/libexec/nsbox/nsbox-seccomp")
    program.rename("/usr/libexec/nsbox/away")
    try:
        doctor.one("seccomp", "problem", "program that makes filters .* is missing", str(program))
    finally:
        pathlib.Path("/usr/libexec/nsbox/away").rename(program)


def test_limits(doctor, conf):
    """A limit that no control group of this host holds."""
    replace(conf, pamconf.NSBOX_CONF, "limits_optional = yes\n", "limits_optional = no\ncpuset = 4000\n")
    assert [one["check"] for one in doctor.new() if one["severity"] == "problem"] == ["limits"]


# -- stacks --

# name, service, text, check, severity, what, where the finding is (line), text without it
STACKS = [
    ("no-account", "sshd", "".join(PAIR), "incomplete", "warning", "the account line is missing", None,
     ACCOUNT + "".join(PAIR)),
    ("no-session", "sshd", ACCOUNT + PAIR[1], "incomplete", "problem", "the session line is missing", 2,
     ACCOUNT + "".join(PAIR)),
    ("account-of-sudo", "sudo", ACCOUNT + "".join(PAIR), "incomplete", "warning", "asks about the caller", 2, "".join(PAIR)),
    ("no-close", "su", PAIR[1] + PAIR[2], "incomplete", "warning", "no session line leaves the box", 2, "".join(PAIR)),
    ("optional", "cron", PAIR[0] + PAIR[1] + "session optional pam_nsbox.so open\n", "control", "problem",
     r'"optional" lets in unboxed', 3, "".join(PAIR)),
    ("ignored", "cron", PAIR[0] + PAIR[1] + "session [success=ok default=ignore] pam_nsbox.so open\n", "control", "problem",
     "lets in unboxed", 3, "".join(PAIR)),
    ("sufficient-above", "cron", PAIR[0] + "session sufficient pam_unix.so\n" + PAIR[2], "skipped", "problem",
     "pam_unix.so ends the stack", 2, PAIR[0] + "session optional pam_unix.so\n" + PAIR[2]),
    ("jumped-over", "cron", PAIR[0] + PAIR[1] + "session [success=1 default=ignore] pam_succeed_if.so quiet uid = 0\n" + PAIR[2],
     "skipped", "note", "is skipped", 3, "".join(PAIR)),
    ("behind", "cron", "".join(PAIR) + "session optional pam_systemd.so\n", "misplaced", "warning",
     "pam_systemd.so stands behind .*logind", 4, PAIR[0] + "session optional pam_systemd.so\n" + PAIR[1] + PAIR[2]),
    ("before", "cron", "session optional pam_exec.so /bin/true\n" + "".join(PAIR), "misplaced", "warning",
     "at logout it ends in the box", 1, PAIR[0] + "session optional pam_exec.so /bin/true\n" + PAIR[1] + PAIR[2]),
    ("before-calm", "cron", PAIR[1] + PAIR[0] + PAIR[2], "misplaced", "note", "at logout it ends in the box", 1, "".join(PAIR)),
    ("one-line", "cron", PAIR[1] + "session required pam_nsbox.so\n", "misplaced", "note", "one line opens and leaves", 2,
     "".join(PAIR)),
    ("alone", "cron", PAIR[0] + PAIR[2], "alone", "problem", "is alone in its session lines", 2, "".join(PAIR)),
    ("word", "cron", PAIR[0] + PAIR[1] + "session required pam_nsbox.so open opne\n", "module-words", "problem", '"opne"', 3,
     "".join(PAIR)),
    ("profile", "cron", PAIR[0] + PAIR[1] + "session required pam_nsbox.so open profile=none\n", "module-words", "problem",
     "there is no profile of that name", 3, PAIR[0] + PAIR[1] + "session required pam_nsbox.so open profile=all\n"),
    ("conf", "cron", PAIR[0] + PAIR[1] + "session required pam_nsbox.so open conf=/nowhere\n", "module-words", "problem",
     "conf=/nowhere", 3, PAIR[0] + PAIR[1] + "session required pam_nsbox.so open conf=/etc/security/nsbox.conf\n"),
    ("include-missing", "cron", "".join(PAIR) + "@include nowhere\n", "readable", "warning", "nowhere cannot be read", 4,
     "".join(PAIR)),
    ("include-loop", "cron", "".join(PAIR) + "@include cron\n", "readable", "warning", "cron cannot be read", 4, "".join(PAIR)),
]


@pytest.mark.parametrize("service, text, check, severity, what, line, mended", [row[1:] for row in STACKS],
                         ids=[row[0] for row in STACKS])
def test_stack(doctor, conf, service, text, check, severity, what, line, mended):
    """A stack with one thing wrong is one finding, at its line; without it there is none."""
    conf.pam(service, text=text)
    found = [one for one in doctor.new() if one["check"] == check]
    assert found, doctor.new()
    assert found[0]["severity"] == severity and re.search(what, found[0]["what"])
    if line is not None:
        assert found[0]["where"] == f"/etc/pam.d/{service}:{line}"
    conf.pam(service, text=mended)
    assert [one for one in doctor.new() if one["check"] == check] == []


@pytest.mark.parametrize("service, severity", [("sshd", "problem"), ("login", "problem"), ("su", "note"), ("sudo-i", "note")])
def test_missing(doctor, conf, service, severity):
    """A service by which people come in and whose stack does not name the module. The remedy's two lines mend it."""
    conf.pam(service, variant="none")
    finding = doctor.one("missing", severity, "no session line names pam_nsbox.so, and profile all", f"^/etc/pam.d/{service}$")
    first, last = re.findall(r'"(session required pam_nsbox.so \w+)"', finding["remedy"])
    conf.pam(service, variant="none", first=[first], last=[last])
    assert [one for one in doctor.new() if one["check"] == "missing"] == []


def test_missing_where_named(doctor, conf):
    """A profile that names a service counts on its stack, whatever the service is."""
    conf.pam("chfn", text="session required pam_unix.so\n")
    assert doctor.new() == []
    conf.nsbox(PROFILE.replace("network", "services = * chfn\nnetwork"))
    doctor.one("missing", "problem", "profile all names the service chfn", "^/etc/pam.d/chfn$")


@pytest.mark.parametrize("word, what", [("sshdd", "has no file"), ("gdm", "never boxed")])
def test_service_names(doctor, conf, word, what):
    """Words of services that nothing answers to."""
    conf.nsbox(PROFILE.replace("network", f"services = * {word}\nnetwork"))
    doctor.one("services", "warning", what, r"nsbox.conf:3$")


def test_shipped_examples(doctor, conf):
    """conf/pam.d as it is, installed over Debian's: no warning about any line of it."""
    for name in ("cron", "login", "sshd", "su", "sudo"):
        conf.file(f"/etc/pam.d/{name}", (SOURCE / "conf/pam.d" / name).read_text())
    assert [one for one in doctor.new() if one["subject"] == "pam" and one["severity"] != "note"] == []
    conf.file("/etc/pam.d/sshd", (SOURCE / "conf/pam.d/sshd-admins-exempt").read_text())
    found = [one for one in doctor.new() if one["subject"] == "pam" and one["where"].startswith("/etc/pam.d/sshd")]
    assert {(one["check"], one["severity"]) for one in found} == {("skipped", "note")} and len(found) == 2


def test_shared_file(doctor, conf):
    """Our lines in common-session: found through every way to include, in one finding for each service."""
    conf.file("/etc/pam.d/common-session", "".join(PAIR))
    for inclusion in ("@include common-session\n", "session include common-session\n", "session substack common-session\n"):
        conf.pam("cron", text=inclusion)
        found = doctor.new()
        assert [(one["check"], one["severity"], one["where"]) for one in found if "service cron" in one["what"]] == \
            [("shared-file", "note", "/etc/pam.d/common-session:1")], found


def test_vendor_directory(doctor, conf):
    """A stack that only /usr/lib/pam.d has is looked at, and /etc/pam.d comes before it."""
    conf.remove("/etc/pam.d/login")
    conf.file("/usr/lib/pam.d/login", ACCOUNT + PAIR[1])
    assert ("incomplete", "/usr/lib/pam.d/login:2") in [(one["check"], one["where"]) for one in doctor.new()]
    conf.pam("login")
    assert doctor.new() == []


def test_owner_of_a_stack(doctor, conf):
    """A stack that somebody else writes: the remedy's commands mend it."""
    conf.file("/etc/pam.d/cron", pamconf.stack("cron"), mode=0o666, uid=2001)
    finding = doctor.one("owners", "problem", "others than root", "^/etc/pam.d/cron$")
    owner, mode = re.search(r"chown (\S+) and chmod (\S+) ", finding["remedy"]).groups()
    host.run("chown", owner, finding["where"], check=True)
    host.run("chmod", mode, finding["where"], check=True)
    assert doctor.new() == []


def module_path():
    return next(pathlib.Path("/").glob("usr/lib/*/security/pam_nsbox.so"))


def test_module_file(doctor):
    """The module is missing, or others can write it."""
    path = module_path()
    path.rename(path.with_name("away"))
    try:
        doctor.one("installation", "problem", "it is missing: services that name it", r"/security/pam_nsbox.so$")
    finally:
        path.with_name("away").rename(path)
    path.chmod(0o666)
    try:
        doctor.one("installation", "problem", "others than root can change it", r"/security/pam_nsbox.so$")
    finally:
        path.chmod(0o644)
    assert doctor.new() == []


READINGS = {
    "plain": "session optional MODULE\n",
    "dash": "-session optional MODULE\n",
    "case": "SESSION Optional MODULE\n",
    "brackets": "session [success=ok default=ignore] MODULE\n",
    "spaced": "session [ success=ok   default=ignore ] MODULE\n",
    "comment": "# session optional MODULE\n",
    "late-comment": "session optional pam_permit.so # MODULE\n",
    "continued": "session \\\noptional \\\n MODULE\n",
    "continued-blank": "session optional \\ \n MODULE\n",
    "continued-comment": "session optional \\\n# between\n MODULE\n",
    "comment-continued": "session optional pam_permit.so # x \\\nsession optional MODULE\n",
    "comment-swallows": "# x \\\nsession optional MODULE\n",
    "no-newline": "session optional MODULE",
    "tabs": "session\toptional\tMODULE\n",
    "other-type": "account optional MODULE\n",
    "at-include": "@include common-probe\n",
    "include": "session include common-probe\n",
    "substack": "session substack common-probe\n",
    "account-include": "account include common-probe\n",
    "absolute": "session include /etc/pam.d/common-probe\n",
    "other": "auth required pam_permit.so\n",
}
NOT_RUN = ("comment", "late-comment", "other-type", "account-include")


@pytest.mark.parametrize("name", READINGS)
def test_reads_as_libpam_does(conf, name):
    """A session line that libpam runs is one that nsboxctl sees, and the other way round."""
    mark = pathlib.Path("/run/doctor-mark")

    def write(module):
        part = "session optional MODULE\naccount required pam_permit.so\n"
        for file, text in (("common-probe", part), ("probe", READINGS[name]),
                           ("other", part if name == "other" else "session required pam_permit.so\n")):
            conf.file(f"/etc/pam.d/{file}", text.replace("MODULE", module))

    conf.nsbox(PROFILE)
    write(f"pam_exec.so /usr/bin/touch {mark}")
    mark.unlink(missing_ok=True)
    host.run("pamtester", "probe", "alice", "open_session")
    ran = mark.exists()
    mark.unlink(missing_ok=True)
    write("pam_nsbox.so open")
    seen = [one for one in Doctor.ask()["findings"] if one["check"] == "control" and "system_err" in one["what"]
            and (one["where"].startswith("/etc/pam.d/probe:") or one["what"].startswith("service probe:"))]
    assert bool(seen) == ran == (name not in NOT_RUN), seen


# -- sshd --

DEFAULT = "/etc/ssh/sshd_config"


@pytest.mark.parametrize("lines, where", [
    ("UsePAM no\n", f"^{DEFAULT}:1$"),
    ("usepam=no\nUsePAM yes\n", f"^{DEFAULT}:1$"),
    ("Port 22\n", f"^{DEFAULT}$"),
    ("Match User alice\nUsePAM yes\n", f"^{DEFAULT}$"),
    ("Include /etc/ssh/more/*.conf\nUsePAM yes\n", "^/etc/ssh/more/10.conf:2$"),
])
def test_use_pam(doctor, conf, lines, where):
    """Without PAM nobody is boxed: where that is said, also in what is included; without a line it is so, too."""
    conf.file("/etc/ssh/more/10.conf", "# first\nUsePAM no\n")
    conf.file("/etc/ssh/more/20.conf", "UsePAM yes\n")
    conf.file(DEFAULT, lines)
    finding = doctor.one("use-pam", "problem", "nobody who comes by it is boxed", where)
    assert '"UsePAM yes"' in finding["remedy"]
    conf.file(DEFAULT, "UsePAM yes\n" + lines)
    assert doctor.new() == []


@pytest.mark.parametrize("lines", ["UsePAM yes\n", "UsePAM no\n", "Port 22\n", "# UsePAM yes\n", "UsePAM = yes # x\nUsePAM no\n",
                                   'UsePAM "yes"\n', "Include /etc/ssh/more/*.conf\nUsePAM yes\n", "Include more/20.conf\n",
                                   "Match all\nInclude more/20.conf\n"])
def test_reads_as_sshd_does(doctor, conf, lines):
    """sshd -T says of the same file what doctor takes it for."""
    conf.file("/etc/ssh/more/10.conf", "# first\nUsePAM no\n")
    conf.file("/etc/ssh/more/20.conf", "UsePAM yes\n")
    server = sshd.Sshd()
    key = f"HostKey {server.directory}/hostkey\n"
    server.stop()
    conf.file(DEFAULT, key + lines)
    result = host.run("/usr/sbin/sshd", "-T", "-f", DEFAULT)
    if result.rc == 0:  # UsePAM in a Match block is none that sshd takes
        said = "usepam yes" in result.out
        assert ([one["check"] for one in doctor.new()] == []) == said, result.out
    else:
        assert "Match" in lines, result


def test_second_sshd(doctor):
    """Another sshd with a file of its own that says no; it goes, and so does the finding."""
    good = sshd.Sshd()
    assert doctor.new() == []
    good.stop()
    bad = sshd.Sshd(pam=False)
    try:
        doctor.one("use-pam", "problem", rf"process number {bad.process.pid} .*UsePAM no", f"^{bad.directory}/sshd_config:")
    finally:
        bad.stop()
    assert doctor.new() == []


def test_sshd_by_another_name(doctor, conf):
    """Its PAM service is its name: that stack counts."""
    server = sshd.Sshd(name="sshd-second")
    try:
        finding = doctor.one("pam-service", "problem", "the PAM service sshd-second", "^/etc/pam.d/sshd-second$")
        assert "/etc/pam.d/sshd" in finding["remedy"]
        shutil.copy("/etc/pam.d/sshd", conf.file("/etc/pam.d/sshd-second", ""))
        assert doctor.new() == []
    finally:
        server.stop()


def test_user_called_sshd(doctor, fake):
    """Whoever calls his process so is not believed."""
    title = "sshd: /usr/sbin/sshd -D -f /etc/none [listener] 0 of 10-100 startups"
    program = fake("/usr/local/bin/sshd", "/usr/bin/sleep")
    with subprocess.Popen([title, "60"], executable=program, user="alice", group="alice", extra_groups=[]) as process:
        try:
            host.wait_until(lambda: host.comm(process.pid) == "sshd" and host.cmdline(process.pid).startswith(title))
            assert doctor.new() == []
        finally:
            process.kill()
    # of root's it would be one
    with subprocess.Popen([title, "60"], executable=program) as process:
        try:
            host.wait_until(lambda: host.comm(process.pid) == "sshd" and host.cmdline(process.pid).startswith(title))
            doctor.one("use-pam", "unseen", f"process number {process.pid} was started with this file, which is gone", "^/etc/none$")
        finally:
            process.kill()


@pytest.mark.parametrize("line, severity", [("PermitUserEnvironment yes", "note"), ("UseLogin yes", "warning")])
def test_sshd_options(doctor, conf, line, severity):
    conf.file(DEFAULT, f"UsePAM yes\nMatch User alice\n{line}\n")
    doctor.one("options", severity, line, f"^{DEFAULT}:3$")
    conf.file(DEFAULT, f"UsePAM yes\n{line.replace('yes', 'no')}\n")
    assert doctor.new() == []


@pytest.fixture
def fake():
    """fake("/usr/sbin/x"): a program of that name is installed; gone after the test."""
    made = []

    def make(path, source=None):
        assert not os.path.lexists(path)
        made.append(path)
        if source:
            shutil.copy(source, path)
        else:
            pathlib.Path(path).write_text("#!/bin/sh\n")
        os.chmod(path, 0o755)
        return path

    yield make
    for path in made:
        pathlib.Path(path).unlink(missing_ok=True)


def test_dropbear(doctor, fake):
    """An ssh server that asks no PAM: a note where it is installed, a problem while it runs."""
    fake("/usr/sbin/dropbear", "/usr/bin/sleep")
    doctor.one("other-servers", "note", "dropbear is installed")
    with subprocess.Popen(["/usr/sbin/dropbear", "60"]) as process:
        try:
            doctor.one("other-servers", "problem", rf"dropbear runs \(process {process.pid}\)")
        finally:
            process.kill()


# -- ways out --


@pytest.mark.parametrize("name, service, client, allow", [("cron", "cron", "crontab", "/etc/cron.allow"),
                                                          ("at", "atd", "at", "/etc/at.allow")])
def test_jobs(doctor, conf, name, service, client, allow):
    """Jobs of boxed users whose service boxes nobody: each way that the remedy names helps."""
    conf.pam(service, variant="none")
    finding = doctor.one(name, "problem", rf"made by {client}\(1\), run outside: no session line", f"^/etc/pam.d/{service}$")
    first, last = re.findall(r'"(session required pam_nsbox.so \w+)"', finding["remedy"])
    assert allow in finding["remedy"]
    conf.file(allow, "root\n")
    assert doctor.new() == []
    conf.file(allow, "root\nbob\n")
    doctor.one(name, "problem", "^jobs of bob, made")
    conf.remove(allow)
    conf.pam(service, variant="none", first=[first], last=[last])
    assert doctor.new() == []
    # the stack is right, but no profile takes the service
    conf.nsbox(PROFILE.replace("network", "services = sshd login su\nnetwork"))
    found = {one["check"]: one for one in doctor.new()}
    assert set(found) == {"cron", "at"} and found[name]["severity"] == "problem"
    assert f"no profile takes the service {service}" in found[name]["what"] and found[name]["where"].endswith("nsbox.conf:1")
    assert f"add {service} to services of the profile all" in found[name]["remedy"]
    conf.nsbox(PROFILE.replace("network", "services = sshd login su cron atd\nnetwork"))
    assert doctor.new() == []


def test_who_may_make_jobs(doctor, conf):
    """Whom the deny files name may not; without any file everybody may use crontab, and nobody at."""
    conf.pam("cron", "atd", variant="none")
    assert {one["check"] for one in doctor.new()} == {"cron", "at"}
    names = [line.split(":")[0] for line in pathlib.Path("/etc/passwd").read_text().splitlines()]
    for name in ("cron", "at"):
        conf.file(f"/etc/{name}.deny", "\n".join(names) + "\n")
    assert doctor.new() == []
    conf.file("/etc/at.deny", "\n".join(name for name in names if name != "carol"))
    doctor.one("at", "problem", "^jobs of carol, made")
    conf.remove("/etc/at.deny")
    conf.remove("/etc/cron.deny")
    assert [one["check"] for one in doctor.new()] == ["cron"]


def test_jobs_that_cannot_be_made(doctor, conf):
    """Where the box does not show the spool, there is no way to the daemon."""
    conf.pam("cron", variant="none")
    assert [one["check"] for one in doctor.new()] == ["cron"]
    conf.nsbox(PROFILE + "mask = /var/spool/cron\n")
    assert doctor.new() == []
    for line in ("root = curated", "no_new_privs = yes", "user_namespace = keep-id"):
        conf.nsbox(PROFILE + line + "\n")
        assert [one for one in doctor.new() if one["subject"] == "ways-out"] == [], line


@pytest.fixture
def booted():
    """As on a host that systemd has booted, as far as sd_booted(3) looks."""
    made = not os.path.exists("/run/systemd/system")
    os.makedirs("/run/systemd/system", exist_ok=True)
    yield
    if made:
        os.rmdir("/run/systemd/system")


def test_user_manager(doctor, conf, booted):
    """pam_systemd starts a manager outside that reads units of the home; not where it is masked, or the home is another."""
    assert [one for one in doctor.new() if one["check"] == "user-manager"] == []
    with_it = pamconf.stack("sshd", before_open=["session optional pam_systemd.so"])
    conf.pam("sshd", text=with_it)
    (finding,) = [one for one in doctor.new() if one["check"] == "user-manager"]
    assert finding["severity"] == "warning" and re.match(r"/etc/pam.d/sshd:\d+$", finding["where"])
    conf.nsbox(PROFILE + "home = tmpfs\n")
    assert [one for one in doctor.new() if one["check"] == "user-manager"] == []
    conf.nsbox(PROFILE)
    unit = re.search(r"systemctl mask (\S+)", finding["remedy"])[1]
    os.symlink("/dev/null", f"/etc/systemd/system/{unit}")
    try:
        assert [one for one in doctor.new() if one["check"] == "user-manager"] == []
    finally:
        os.unlink(f"/etc/systemd/system/{unit}")


def test_linger(doctor, conf):
    """A boxed user whose manager is there from the boot on; others do not matter."""
    conf.file("/var/lib/systemd/linger/alice", "")
    conf.file("/var/lib/systemd/linger/root", "")
    finding = doctor.one("linger", "problem", "^alice lingers", "^/var/lib/systemd/linger/alice$")
    assert finding["remedy"] == "run: loginctl disable-linger alice"
    os.unlink(finding["where"])
    assert doctor.new() == []


@pytest.mark.parametrize("program, word", [("exim4", "userforward"), ("postfix", "allow_mail_to_commands")])
def test_forward(doctor, conf, fake, program, word):
    """A mailer that takes orders from ~/.forward; not where the home is another."""
    fake(f"/usr/sbin/{program}")
    assert word in doctor.one("forward", "warning", r"~/\.forward")["remedy"]
    conf.nsbox(PROFILE + "home = none\n")
    assert [one for one in doctor.new() if one["check"] == "forward"] == []


@contextlib.contextmanager
def listening(path, mode, gid=0):
    """A socket, as a service leaves it."""
    made = not os.path.isdir(os.path.dirname(path))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, mode)
        os.chown(path, 0, gid)
        try:
            yield
        finally:
            os.unlink(path)
            if made:
                os.rmdir(os.path.dirname(path))


def test_deputies(doctor, conf):
    """Sockets by which one is root outside: a problem where a profile shows one to somebody who may open it."""
    with listening("/run/docker.sock", 0o666):
        assert doctor.new() == []
        conf.nsbox(PROFILE + "bind = /var/run/docker.sock\n")
        finding = doctor.one("deputies", "problem", "^/run/docker.sock is in sight .*root on the host", r"nsbox.conf:6$")
        assert finding["remedy"].startswith("remove that line")
        os.chmod("/run/docker.sock", 0o660)
        assert [one for one in doctor.new() if one["check"] == "deputies"] == []
        os.chown("/run/docker.sock", 0, 2001)  # alice's own group
        doctor.one("deputies", "problem", "in sight of alice in the box")
    with listening("/var/lib/incus/unix.socket", 0o666):
        conf.nsbox(PROFILE)
        finding = doctor.one("deputies", "problem", "root on the host", r"nsbox.conf:1$")
        conf.nsbox(PROFILE + re.search(r'"(mask = .*)"', finding["remedy"])[1] + "\n")
        assert doctor.new() == []


def test_sockets(doctor, conf):
    """A socket that nothing is known of is a note."""
    with listening("/run/some.sock", 0o666):
        conf.nsbox(PROFILE + "bind = /run/some.sock\n")
        doctor.one("sockets", "note", "profile all binds the socket /run/some.sock", r"nsbox.conf:6$")


def test_groups(doctor, conf):
    """Members of a group that is root by another name. The remedy's command mends it."""
    text = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/gshadow", pathlib.Path("/etc/gshadow").read_text(), mode=0o640)
    conf.file("/etc/group", re.sub(r"^docker:.*\n", "", text, flags=re.M) + "docker:x:7001:bob\n")
    finding = doctor.one("groups", "note", "^bob is in the group docker: .*root on the host")
    host.run(*finding["remedy"].removeprefix("run: ").split(), check=True)
    assert doctor.new() == []


def test_processes(doctor, conf):
    """A tmux server of a boxed user that was started outside; it is named with its number, by which it can be ended."""
    host.run("runuser", "-u", "alice", "--", "tmux", "-L", "doctor", "-f", "/dev/null", "new-session", "-d", "sleep 100", check=True)
    (server,) = host.wait_until(lambda: len(found := host.find("tmux: server")) == 1 and found)  # it forks once more
    finding = doctor.one("processes", "warning", "^a tmux server of alice", rf"^process {server}$")
    host.run(*re.search(r"end it: (kill \d+)", finding["remedy"])[1].split(), check=True)
    host.wait_until(lambda: not host.find("tmux: server"))
    assert doctor.new() == []
    # in a box it is none
    with running(script="tmux -L doctor -f /dev/null new-session -d 'sleep 100'; echo ready; exec cat"):
        host.wait_until(lambda: len(host.find("tmux: server")) == 1)
        assert doctor.new() == []


# -- profiles --

# lines of the profile, check, severity, what, lines that mend it ("" : without)
SETTINGS = [
    ("on_error = allow", "settings", "warning", "on_error: who can make the box fail", "on_error = deny"),
    ("pids_max = infinity", "settings", "warning", "pids_max: a fork bomb", "pids_max = 100"),
    ("namespaces = ipc mount pid cgroup", "settings", "note", "namespaces: root in the box renames", ""),
    ("namespaces = uts ipc mount pid", "settings", "warning", "control groups of the whole host", ""),
    ("seccomp = off", "unprotected", "warning", "no system call is filtered", "seccomp = default"),
    ("nested_namespaces = yes", "unprotected", "note", "user namespaces can be made", "nested_namespaces = no"),
    ("nested_namespaces = yes", "unprotected", "warning", "can mount a /proc in which nothing is masked", ""),
    ("capabilities = all", "capabilities", "warning", "keeps all of them", "capabilities = default"),
    ("capabilities = default +cap_sys_admin", "capabilities", "warning", "keeps cap_sys_admin: ", "capabilities = none"),
    ("capabilities = +cap_mknod", "capabilities", "warning", "keeps cap_mknod: ", "capabilities = +cap_mknod -cap_mknod"),
    ("capabilities = +cap_net_admin", "capabilities", "warning", "keeps cap_net_admin: ", ""),
    ("capabilities = +cap_sys_nice", "capabilities", "note", "keeps cap_sys_nice: ", ""),
    ("capabilities = +cap_sys_admin\nuser_namespace = keep-id", "capabilities", "note", "keeps cap_sys_admin", ""),
    ("dev = /dev/doctor-disk", "devices", "warning", "/dev/doctor-disk is a raw disk", ""),
    ("network = host", "unprotected", "note", "the network is the host's", "network = loopback"),
    ("private_tmp = no", "unprotected", "note", "/tmp and /var/tmp are shared", "private_tmp = session"),
    ("devpts = host\nseccomp = off", "unprotected", "warning", "terminal is shared with the host", "devpts = private"),
    ("namespaces = uts mount pid cgroup", "unprotected", "note", "shared memory", ""),
    ("share = user", "unprotected", "note", "see, signal and trace each other", "share = session"),
    ("root = /srv/not-there", "roots", "problem", "is refused: .*not-there", "root = host"),
]


@pytest.mark.parametrize("line, check, severity, what, mended", SETTINGS, ids=[row[0].replace("\n", " ") for row in SETTINGS])
def test_setting(doctor, conf, line, check, severity, what, mended):
    """A line that gives something up is one finding; what stands there instead is none."""
    if not os.path.exists("/dev/doctor-disk"):
        os.mknod("/dev/doctor-disk", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    base = PROFILE.replace("network = loopback\n", "") if line.startswith("network") else PROFILE
    conf.nsbox(base + line + "\n")
    found = [one for one in doctor.new() if one["check"] == check and re.search(what, one["what"])]
    assert len(found) == 1 and found[0]["severity"] == severity, doctor.new()
    assert re.search(r"/etc/security/nsbox.conf:\d+$", found[0]["where"]) and len(found[0]["remedy"]) > 5
    conf.nsbox((base if mended else PROFILE) + mended + "\n")
    assert [one for one in doctor.new() if one["check"] == check] == []
    os.unlink("/dev/doctor-disk")


def test_where_a_setting_comes_from(doctor, conf):
    """The line is that of the profile, of the one that it inherits, or of [defaults]."""
    conf.nsbox(PROFILE + "inherits = base\n[profile base]\nusers =\npids_max = infinity\n[defaults]\non_error = allow\n")
    assert {(one["what"].split(": ")[1], one["where"][-2:].lstrip(":")) for one in doctor.new()} == {("pids_max", "9"), ("on_error", "11")}


def test_remedies_of_the_plan():
    """Each sentence of plan_warnings() has a row of its own."""
    plan = (SOURCE / "common/plan-session.c").read_text()
    body = plan[plan.index("\n/* Capabilities with which root"):]
    body = re.sub(r'"\s+"', "", body[:body.index("if (powers == NULL)")])
    sentences = re.findall(r'"([a-z/][^"\n]{19,})"', body)
    begins = re.findall(r'^\t\{ "([^"]+)",', (SOURCE / "ctl/unprotected.c").read_text(), re.M)
    assert len(sentences) > 12 and len(begins) > 12
    for sentence in sentences:
        assert any(sentence.startswith(begin) for begin in begins), sentence
    for begin in begins:
        assert any(sentence.startswith(begin) for sentence in sentences), begin


def test_users_without_a_profile(doctor, conf):
    """Who may log in and gets no profile; who is left out by name is left out on purpose."""
    conf.nsbox(PROFILE.replace("* !root", "alice bob carol"))
    new = {one["check"]: one for one in doctor.new()}
    assert set(new) == {"users", "catch-all"}
    assert new["users"]["severity"] == "warning" and "no profile is for " in new["users"]["what"]
    assert new["catch-all"]["severity"] == "note"
    conf.nsbox(PROFILE.replace("* !root", "* !alice !mallory"))
    assert doctor.new() == []
    conf.nsbox(PROFILE.replace("* !root", "alice") + "[profile rest]\nusers = *\n" + PROFILE.split("\n", 2)[2])
    assert {one["check"] for one in doctor.new()} & {"users", "catch-all"} == set()
    # from one network only
    conf.nsbox(PROFILE.replace("network", "from = 192.0.2.0/24\nnetwork"))
    finding = next(one for one in doctor.new() if one["check"] == "users")
    assert "from some hosts only" in finding["what"]
    conf.nsbox(PROFILE.replace("network", "from = 192.0.2.0/24\nnetwork") + "[profile rest]\nusers = *\n" + PROFILE.split("\n", 2)[2])
    assert [one for one in doctor.new() if one["check"] == "users"] == []
