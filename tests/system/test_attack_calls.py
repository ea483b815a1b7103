# SPDX-License-Identifier: BSD-3-Clause
"""seccomp: each call of the table is tried for real, by both entries of the kernel, as user and as root of the box."""
import errno
import functools
import os
import re
import signal
import subprocess

import pytest

from attacks import as_user, su, tool
from lib import host

PROGRAM = "/usr/libexec/nsbox/nsbox-seccomp"
LEVELS = ("default", "strict")
BAD = [0xffffffffffffffff] * 6  # no pointer, no descriptor, no size: a call that is let through does nothing
NEW = {"user": 0x10000000, "ns": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000,
       "net": 0x40000000}
SIGCHLD = 17
TIOCSTI, TIOCLINUX, TIOCSETD, TCGETS = 0x5412, 0x541c, 0x5423, 0x5401
FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17}
ALL_CAPABILITIES = "capabilities = all\n"


def numbers(name):
    """{call: number} of the kernel's header for one entry."""
    text = host.read(f"/usr/include/x86_64-linux-gnu/asm/unistd_{name}.h")
    return {call: int(number) for call, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


NUMBERS = {"64": numbers(64), "86": numbers(32)}


def table():
    """(words, error, calls, conditional) of each row."""
    rows = []
    for line in host.run(PROGRAM, "list", check=True).out.splitlines():
        words, error, calls, _why = line.split("\t")
        rows.append((words.split(), error, calls.removesuffix(" (...)").split(), calls.endswith("(...)")))
    return rows


def refused(level, nested=False):
    """{call: errno} of the rows that hold whatever the arguments are."""
    return {call: getattr(errno, error) for words, error, calls, conditional in table() if not conditional and
            (words[0] == "default" or level == "strict") and not (nested and "unless-nested" in words) for call in calls}


@functools.cache
def has_int_80():
    """Some virtual machines give no process this entry: then there is none to close, and who tries dies. Asked outside of a box."""
    found = host.run(tool("call"), input=f"86 {NUMBERS['86']['getpid']}\n", check=True).out.strip()
    assert found.isdigit() or found == f"killed by {signal.SIGSEGV.value}", found
    return found.isdigit()


def there(lines):
    """Without those that this machine has no entry for."""
    return [line for line in lines if line[0] != "86" or has_int_80()]


def attempts(lines, user, **options):
    """What each line of call.c gave, in a box of this user."""
    text = "".join(" ".join(str(word) for word in line) + "\n" for line in lines)
    result = host.run("su", user, "-c", f"exec {tool('call')}", input=text, timeout=60, **options)
    found = result.out.splitlines()
    assert result.rc == 0 and len(found) == len(lines), result
    return [int(line) if line.lstrip("-").isdigit() else line for line in found]


def one(line, user="alice"):
    return attempts([line], user)[0]


@pytest.fixture
def profile(conf):
    """profile(lines): everybody is in such a box by su."""
    conf.pam("su", "su-l")

    def write(*lines):
        conf.nsbox("[profile all]\nusers = *\n" + "".join(f"{line}\n" for line in lines))
    return write


# -- the calls --


@pytest.mark.parametrize("user", ["alice", "root"])
@pytest.mark.parametrize("level", LEVELS)
def test_refused_calls(profile, baseline, level, user):
    """Every call that the table refuses whatever its arguments are, by syscall and by int 0x80. Root has all capabilities:
    what stops him is the filter."""
    profile(f"seccomp = {level}", "capabilities = all")
    wanted = refused(level)
    cases = there([(entry, call) for entry in NUMBERS for call in wanted if call in NUMBERS[entry]])
    found = attempts([(entry, NUMBERS[entry][call], *BAD) for entry, call in cases], user)
    assert {case: result for case, result in zip(cases, found)} == {case: -wanted[case[1]] for case in cases}
    assert len(cases) > ((90 if level == "default" else 150) - 40) / (1 if has_int_80() else 2)


def test_attacks_work_where_they_may(profile, baseline):
    """The same without a filter: none of them gets EPERM from the kernel, so the test above is not blind."""
    profile("seccomp = off", "capabilities = all")
    wanted = refused("strict")
    cases = there([(entry, call) for entry in NUMBERS for call in wanted
                   if call in NUMBERS[entry] and wanted[call] == errno.EPERM])
    found = attempts([(entry, NUMBERS[entry][call], *BAD) for entry, call in cases], "root")
    assert [case for case, result in zip(cases, found) if result == -errno.EPERM] == []


@pytest.mark.parametrize("level", LEVELS)
def test_unknown_calls(profile, level):
    """What is no call of a kernel that libseccomp knows is ENOSYS, by each entry; x32 is no entry at all."""
    profile(f"seccomp = {level}")
    lines = there([("64", 9999), ("64", 600), ("64", 0x3fffffff), ("86", 9999), ("x32", 0), ("x32", 39), ("x32", 520), ("x32", 9999)])
    assert attempts(lines, "alice") == [-errno.ENOSYS] * len(lines)


@pytest.mark.parametrize("level", LEVELS)
def test_clone3_is_missed_by_nobody(profile, level):
    """clone3(2) is ENOSYS; threads, posix_spawn and subprocesses work all the same."""
    profile(f"seccomp = {level}")
    assert set(attempts(there([("64", 435, 0, 0), ("86", 435, 0, 0)]), "alice")) == {-errno.ENOSYS}
    script = ("import threading, subprocess, os; t = [threading.Thread(target=print, args=('thread',)) for _ in range(20)]; "
              "[x.start() for x in t]; [x.join() for x in t]; os.waitpid(os.posix_spawn('/bin/echo', ['echo', 'spawn'], {}), 0); "
              "print(subprocess.run(['echo', 'sub'], capture_output=True).stdout)")
    result = host.run("su", "alice", "-c", 'exec python3 -c "$0"', script)
    assert result.rc == 0 and result.out.count("thread") == 20 and "spawn" in result.out and "sub" in result.out, result


# -- arguments --


@pytest.mark.parametrize("level", LEVELS)
def test_user_namespaces(profile, level):
    """clone and unshare with CLONE_NEWUSER, alone and among others, with bits above; fork goes on."""
    profile(f"seccomp = {level}", "capabilities = all")
    user = NEW["user"]
    lines = there([("64", 56, user | SIGCHLD), ("64", 56, user | NEW["pid"] | SIGCHLD), ("64", 56, 1 << 40 | user | SIGCHLD),
                   ("64", 272, user), ("64", 272, user | NEW["ns"]), ("64", 272, 1 << 40 | user), ("86", 120, user | SIGCHLD),
                   ("86", 310, user)])
    assert attempts(lines, "alice") == [-errno.EPERM] * len(lines)
    assert attempts(lines, "root") == [-errno.EPERM] * len(lines)
    assert all(result > 0 for result in attempts(there([("64", 56, SIGCHLD), ("86", 120, SIGCHLD)]), "alice"))
    result = su("alice", "unshare --user true")
    assert result.rc != 0 and "Operation not permitted" in result.err


def test_other_namespaces(profile):
    """strict: no namespace of any type, root with all capabilities neither; default leaves that to the capabilities."""
    kinds = [flag for name, flag in NEW.items() if name != "user"] + [0x80]
    lines = there([("64", 272, flag) for flag in kinds] + [("86", 310, flag) for flag in kinds] +
                  [("64", 56, flag | SIGCHLD) for flag in kinds[:-1]])
    profile("seccomp = strict", "capabilities = all")
    assert attempts(lines, "root") == [-errno.EPERM] * len(lines)
    profile("seccomp = default", "capabilities = all")
    assert [result for result in attempts(lines, "root") if result < 0] == []


@pytest.mark.parametrize("level", LEVELS)
def test_terminal_injection(profile, level):
    """TIOCSTI and TIOCLINUX whatever stands above the 32 bits that the kernel looks at; other requests go through."""
    profile(f"seccomp = {level}", "capabilities = all")
    requests = [value | above for value in (TIOCSTI, TIOCLINUX) for above in (0, 1 << 32, 0xffffffff << 32)]
    lines = there([("64", 16, 0, request, 0) for request in requests] + [("86", 54, 0, TIOCSTI, 0), ("86", 54, 0, TIOCLINUX, 0)])
    for user in ("alice", "root"):
        assert attempts(lines, user) == [-errno.EPERM] * len(lines)
    assert one(("64", 16, 0, TCGETS, 0)) == -errno.ENOTTY
    assert one(("64", 16, 0, TIOCSETD, 0)) == -(errno.EPERM if level == "strict" else errno.ENOTTY)


def injected(line):
    """Whether `id` run by su on a terminal finds its way into the shell outside, whose terminal it shares."""
    child = host.spawn("bash", "--norc", "-i", env={**os.environ, "PS1": "outside> ", "TERM": "dumb"})
    child.expect("outside> ")
    child.sendline(line)
    child.expect("pushed: [^\r\n]*\r\n")
    child.expect("outside> ")
    child.sendline("echo fin''ished")
    child.expect("finished")
    return "injected" in child.before


@pytest.mark.parametrize("service", ["su", "sudo"])
def test_outer_terminal(conf, service):
    """Line 16. A session by su and sudo pushes a command into the terminal that it shares with the shell outside: without a
    filter it is run there, with one it is not."""
    conf.pam("su", "sudo")
    script = ("import fcntl\ntry:\n for c in 'echo inj''ected\\n': fcntl.ioctl(0, 0x5412, c.encode())\n print('pushed: yes')\n"
              "except OSError as e: print('pushed:', e.errno)")
    os.makedirs("/opt/attacks", exist_ok=True)
    with open("/opt/attacks/push.py", "w") as file:
        file.write(script + "\n")
    sysctl = "/proc/sys/dev/tty/legacy_tiocsti"
    open_kernel = not os.path.exists(sysctl) or host.read(sysctl).strip() == "1"
    # su -c begins a session without a terminal of its own; sudo makes one where it is told to
    line = {"su": "su alice --session-command 'python3 /opt/attacks/push.py'",
            "sudo": "sudo -u alice python3 /opt/attacks/push.py"}[service]
    conf.sudoers("root ALL=(ALL) NOPASSWD: ALL\nDefaults !use_pty\n")
    for level, expected in (("off", open_kernel), ("default", False), ("strict", False)):
        conf.nsbox(f"[profile all]\nusers = *\nseccomp = {level}\n")
        assert injected(line) == expected, level


@pytest.mark.parametrize("level", LEVELS)
def test_socket_families(profile, level):
    """Families that are not in the list are EAFNOSUPPORT, also with bits above 32; socketcall(2) of 32-bit programs, whose
    arguments no filter sees, makes no socket."""
    profile(f"seccomp = {level}", "capabilities = all")
    kept = set(FAMILIES.values()) - ({17} if level == "strict" else set())
    others = [family for family in range(0, 70) if family not in kept]
    lines = there([("64", 41, above | family, 2) for family in others + [1 << 31] for above in (0, 1 << 32)] +
                  [("64", 53, family, 2, 0, 0) for family in others if family not in FAMILIES.values()] +
                  [("86", 359, family, 2) for family in others] + [("86", 102, 1, 0), ("86", 102, 8, 0)])
    for user in ("alice", "root"):
        assert set(attempts(lines, user)) == {-errno.EAFNOSUPPORT}
    made = attempts(there([("64", 41, family, 2) for family in kept - {17}] + [("64", 41, 1 << 32 | 1, 2), ("86", 359, 1, 2)]), "root")
    assert all(result >= 0 for result in made)
    if has_int_80():
        assert one(("86", 102, 3, 0)) == -errno.EFAULT  # connect: no socket, no harm


def test_netlink_protocols(profile):
    """strict: routes and audit records only."""
    profile("seccomp = strict")
    found = attempts([("64", 41, 16, 3, protocol) for protocol in range(0, 23)] + [("64", 41, 16, 3, 1 << 32 | 12)], "alice")
    assert [number for number, result in enumerate(found) if result != -errno.EPROTONOSUPPORT] == [0, 9]
    result = su("alice", "ip -o addr; getent hosts localhost")
    assert result.rc == 0 and "127.0.0.1" in result.out


@pytest.mark.parametrize("level", LEVELS)
def test_keyctl(profile, level):
    """All of keyctl(2) but revoking, which pam_keyinit needs: on a key that is not there."""
    profile(f"seccomp = {level}")
    lines = there([("64", 250, operation, 0x7ffffff0) for operation in range(0, 33)] + [("64", 250, 1 << 32 | 11, 1), ("86", 288, 11, 1)])
    found = attempts(lines, "alice")
    assert found[3] not in (-errno.EPERM, 0)
    assert found[:3] + found[4:] == [-errno.EPERM] * (len(lines) - 1)
    assert one(("64", 250, 1 << 32 | 3, 0x7ffffff0)) == found[3]


def test_strict_arguments(profile):
    """strict: device nodes, and personalities but the common ones; pipes and files can be made."""
    profile("seccomp = strict", "capabilities = all")
    nodes = there([("64", 133, 0, 0o020666, 0x103), ("64", 133, 0, 0o060666, 0x800), ("64", 259, 0, 0, 1 << 32 | 0o020666, 0x103),
                   ("86", 14, 0, 0o020666, 0x103), ("86", 297, 0, 0, 0o060666, 0x800)])
    assert attempts(nodes, "root") == [-errno.EPERM] * len(nodes)
    assert one(("64", 133, 0, 0o010666, 0)) == -errno.EFAULT
    refused_ones = [0x40000, 0x400000, 0x100000, 0x8000000, 4, 1 << 32 | 0x40000]
    assert attempts([("64", 135, value) for value in refused_ones], "root") == [-errno.EPERM] * len(refused_ones)
    assert [result for result in attempts([("64", 135, value) for value in (0, 8, 0x20000, 0x20008, 0xffffffff)], "alice")
            if result < 0] == []


CORE = """
import resource
before = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
print(before == resource.getrlimit(resource.RLIMIT_CORE))
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("core, pattern", [("no", "|/bin/true"), ("no", "@/run/socket"), ("no", "core.%p"), ("yes", "|/bin/true")])
def test_core_limit(profile, core_pattern, level, core, pattern):
    """core = no, and core dumps go to a program: who sets RLIMIT_CORE is told that it is done, and nothing is; other limits are set.
    Also by int 0x80. Where they are files, everybody sets it."""
    core_pattern(pattern)
    kept = core == "no" and pattern[0] in "|@"
    profile(f"seccomp = {level}", f"core = {core}")
    result = host.run("su", "alice", "-c", 'ulimit -S -c 1; exec python3 -c "$0"', CORE)
    assert result.rc == 0 and result.out.split() == [str(kept), "100"], result
    lines = there([("86", 75, 4, 0), ("86", 340, 0, 4, 1, 0), ("64", 160, 1 << 32 | 4, 0)])
    assert attempts(lines, "alice") == [0 if kept else -errno.EFAULT] * len(lines)


# -- whatever people do --


def test_tools_of_people(profile):
    """default: compilers, debuggers, git, tmux and screen work."""
    profile("seccomp = default")
    script = """set -e
cd; rm -rf t; mkdir t; cd t
echo 'int main(void) { return 0; }' >a.c; gcc -g -o a a.c; ./a; echo gcc
gdb -batch -ex run -ex bt ./a 2>&1 | grep -q 'exited normally' && echo gdb
strace -f -o /dev/null ./a && echo strace
git init -q x; cd x; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x; cd ..; git clone -q x y; echo git
tmux -L t new-session -d 'sleep 20'; tmux -L t ls >/dev/null; tmux -L t kill-server; echo tmux
screen -d -m -S t sleep 20; screen -ls | grep -q t && echo screen; screen -S t -X quit
cd; rm -rf t
"""
    result = host.run("su", "-", "alice", "-c", script, timeout=120)
    assert result.out.split() == ["gcc", "gdb", "strace", "git", "tmux", "screen"], result


# -- nested --


NESTED = [
    ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "true"],
    ["unshare", "-Urpf", "--mount-proc", "true"],
]


@pytest.mark.parametrize("more", ["root = host", "root = curated", "share = user"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("command", NESTED, ids=["bwrap", "unshare"])
def test_nested_containers(profile, baseline, level, command, more):
    """A user makes containers with a /proc of their own, where the profile lets him; else EPERM."""
    words = " ".join(command)
    profile(f"seccomp = {level}", "nested_namespaces = yes", more)
    result = su("alice", words)
    assert result.rc == 0, result
    profile(f"seccomp = {level}", more)
    result = su("alice", words)
    assert result.rc != 0 and ("not permitted" in result.err or "No permissions" in result.err), result


def test_nested_proc_where_the_box_has_none(profile):
    """proc_subset = pid: a /proc of one's own can be mounted all the same, with all in it (nsbox.conf(5) says so)."""
    profile("nested_namespaces = yes", "proc_subset = pid")
    result = su("alice", "test ! -e /proc/stat && unshare -Urpf --mount-proc cat /proc/stat")
    assert result.rc == 0 and result.out.startswith("cpu "), result


def test_nested_proc_needs_the_hidden_one(profile):
    """Without nested_namespaces the kernel refuses the /proc, filter or not: the test above shows what the second one is for."""
    profile("seccomp = off")
    result = su("alice", "unshare -Urpf --mount-proc true")
    assert result.rc != 0 and "mount" in result.err and "not permitted" in result.err, result


@pytest.mark.parametrize("user", ["alice", "root"])
def test_hidden_proc_cannot_be_reached(profile, baseline, user):
    """The second /proc is out of reach of user and root: by path, /proc/*/root, unmounting, moving, cloning, nsenter."""
    profile("seccomp = default", "nested_namespaces = yes")
    script = """
for p in /run/host/nested /proc/1/root/run/host/nested /proc/self/root/run/host/nested; do ls -A $p 2>/dev/null; done
umount /run/host/nested 2>/dev/null && echo umount; umount -l /run/host/nested/proc 2>/dev/null && echo umount
mkdir -p /tmp/m; mount --move /run/host/nested /tmp/m 2>/dev/null && echo move
mount --bind /run/host /tmp/m 2>/dev/null && echo bind; mount --rbind / /tmp/m 2>/dev/null && echo rbind
nsenter -t 1 -m ls -A /run/host/nested 2>/dev/null
cat /run/host/nested/proc/kcore 2>/dev/null | head -c 1
"""
    result = su(user, script)
    assert result.out == "", result
    assert one(("64", 428, 0xffffff9c, 0, 1), user) in (-errno.EPERM, -errno.EFAULT)  # open_tree(OPEN_TREE_CLONE)
    # nor by a user namespace of their own: what covers it is locked there
    result = su(user, "unshare -Urm sh -c 'umount /run/host/nested && ls /run/host/nested; mkdir -p /tmp/n; "
                      "mount --bind /run/host /tmp/n && ls /tmp/n/nested'")
    assert "proc" not in result.out, result


# opened and not written: it is the machine's
OPENED = """python3 -c 'import os; os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY); print(True)'"""
WARNED = "can mount a /proc in which nothing is masked"


@pytest.mark.parametrize("user, more, can", [("root", [], True), ("alice", [], False), ("alice", ["no_new_privs = yes"], False)],
                         ids=["root", "user", "no_new_privs"])
def test_nested_proc_and_the_settings_of_the_kernel(profile, baseline, user, more, can):
    """uid 0 of the host opens them for writing in a /proc of its own, whatever its capabilities: explain says so to all who can
    become root."""
    profile("seccomp = default", "nested_namespaces = yes", *more)
    assert "True" not in su(user, OPENED).out
    assert ("True" in su(user, f"unshare -Urmpf --mount-proc {OPENED}").out) == can
    told = host.run("nsboxctl", "explain", "--user", user, "--service", "su").out
    assert (WARNED in told) == (not more), told
    profile("seccomp = default", *more)
    assert "True" not in su(user, f"unshare -Urmpf --mount-proc {OPENED}").out
    assert WARNED not in host.run("nsboxctl", "explain", "--user", user, "--service", "su").out
