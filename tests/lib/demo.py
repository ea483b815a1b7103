# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: host and box of one ssh login, side by side. Started by tests/demo, in the throw-away host."""
import os
import pathlib
import sys
import textwrap

import pexpect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lib import baseline, host, pamconf  # noqa: E402  the path comes first
from lib.sshd import Sshd  # noqa: E402

WIDTH, LABEL = 100, 12
COLUMN = (WIDTH - LABEL - 4) // 2
PROFILE = """\
[profile demo]
users    = alice
hostname = box-of-%u
pids_max = 48
network  = loopback
"""
END = "== end =="

# Runs on the host and in the box alike: what it prints is what any program there would see.
LOOK = r"""
say() { echo "== $1"; }
say "host name"; hostname
say "this shell"; echo "PID $$"
say "PID 1"; cat /proc/1/comm
for name in uts ipc mnt pid net cgroup; do say "$name ns"; readlink /proc/self/ns/$name; done
say "processes"; echo "$(ls /proc | grep -c '^[0-9]*$') seen by ps"
say "ps ax"; ps -eo pid,args --sort=pid | cut -c1-38
say "mounts"; wc -l </proc/self/mountinfo
say "of them"; awk '{ for (i = 1; $i != "-"; i++); print $5, $(i + 1) }' /proc/self/mountinfo |
	grep -E '^(/|/proc|/sys|/sys/fs/.*|/dev|/dev/pts|/run|/tmp|/run/user/.*) '
say "/tmp"; ls /tmp | head -3
say "interfaces"; ip -o addr | awk '{ print $2, $4 }'
say "who"; who | cut -d'(' -f1 | grep . || echo "nobody"
say "forks"; python3 -c '
import os, signal
children = []
try:
	while len(children) < 100:
		child = os.fork()
		if child == 0: signal.pause()
		children.append(child)
	print("100, and no end")
except OSError as error:
	print(len(children), "then", error.strerror)
for child in children: os.kill(child, signal.SIGKILL)
'
"""


def parse(text):
    """{heading: lines} in the order of the text."""
    found, lines = {}, None
    for line in text.replace("\r", "").splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:], [])
        elif lines is not None and line.strip():
            lines.append(line.rstrip())
    return found


def wrap(line):
    return textwrap.wrap(line, COLUMN, subsequent_indent="  ", drop_whitespace=False) or [""]


def row(label, left, right):
    """One heading with the host's lines on the left and the box's on the right."""
    left, right = ([part for line in lines for part in wrap(line)] for lines in (left, right))
    for i in range(max(len(left), len(right), 1)):
        cells = [lines[i] if i < len(lines) else "" for lines in (left, right)]
        print(f"{label if i == 0 else '':<{LABEL}}  {cells[0]:<{COLUMN}}  {cells[1]}".rstrip())


def bold(text):
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def step(text):
    print(f"\n{bold('--- ' + text)}", flush=True)


def look_on_host(program):
    return parse(host.run("setsid", "bash", program, check=True).out)


def log_in(sshd, program):
    """A login on a terminal that looks around and stays until a line is sent. Returns the session and what it saw."""
    child = sshd.spawn("alice", f"stty -echo; setsid -w bash {program}; echo '{END}'; read line", dimensions=(50, 200))
    child.expect_exact(END)
    return child, parse(child.before)


def pids_max(group):
    for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/{group}/pids.max"):
        return path.read_text().strip()
    return "none"


def box_groups():
    return [path for path in pathlib.Path("/sys/fs/cgroup").glob("**/nsbox/*/") if path.name != "monitors"]


def prepare():
    configuration = pamconf.Configuration()
    configuration.pam("sshd")
    configuration.nsbox(PROFILE)
    # something to be seen on the host and not in the box
    host.run("ip", "link", "add", "uplink", "type", "veth", "peer", "uplink-peer", check=True)
    host.run("ip", "addr", "add", "192.0.2.1/24", "dev", "uplink", check=True)
    pathlib.Path("/tmp/a-file-of-bob").write_text("")
    program = pathlib.Path("/usr/local/bin/look-around")
    program.write_text(LOOK)
    return str(program)


def show(outside, inside, group):
    outside["limit"], inside["limit"] = ["pids.max: none of the session's own"], [f"pids.max: {pids_max(group)}"]
    print(f"{'':<{LABEL}}  {bold('host'.ljust(COLUMN))}  {bold('box of alice')}")
    for label in inside:
        if label != "forks":
            row(label, outside.get(label, []), inside[label])
    row("forks", outside["forks"], inside["forks"])


def show_end(child, before):
    child.sendline("")
    child.expect(pexpect.EOF)
    child.close()
    seconds = baseline.wait_equal(before, timeout=10)
    print(f"{seconds:.1f} s after the logout, mounts, namespaces, processes, control groups, interfaces, terminals and")
    print("utmp records of the host are what they were before the login.")
    print(f"Boxes in /run/nsbox: {len(os.listdir('/run/nsbox/boxes'))}. Control groups of boxes: {len(box_groups())}.")


def main():
    program = prepare()
    sshd = Sshd()
    try:
        host.run(*sshd.command("root", "true"), check=True)  # root is not in the profile: not boxed
        before = baseline.take_settled()
        step("/etc/security/nsbox.conf")
        print(PROFILE, end="")
        step("ssh alice@host")
        child, inside = log_in(sshd, program)
        outside = look_on_host(program)
        group = box_groups()[0].name
        show(outside, inside, group)
        step("on the host, meanwhile")
        print("\n".join(line[:WIDTH] for line in host.run("who").out.splitlines()))
        print(host.run("nsboxctl", "list").out, end="")
        step("logout")
        show_end(child, before)
    finally:
        sshd.stop()


if __name__ == "__main__":
    main()
