# SPDX-License-Identifier: BSD-3-Clause
"""cron(8): each job in a box of its own, its output by mail. @reboot jobs run when cron starts, which is now."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import host, syslog

BOXED = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
PROBE = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/1/comm"
MAIL = "/var/mail/captured"


class Cron:
    """A cron in the foreground; its mail since it was started."""

    def __init__(self):
        pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
        self.mark = os.path.getsize(MAIL)
        self.log = syslog.mark()
        self.process = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def letters(self):
        """[(arguments, headers, body)] of the complete letters, in the order of arrival."""
        with open(MAIL, "rb") as file:
            file.seek(self.mark)
            text = file.read().decode()
        found = []
        for letter in re.split(r"^--- sendmail ", text, flags=re.M)[1:]:
            arguments, rest = letter.split("\n", 1)
            head, _, body = rest.partition("\n\n")
            found.append((arguments, head, body))
        return found

    def mail(self, number=1, timeout=10):
        host.wait_until(lambda: len(self.letters()) >= number and self.idle(), timeout, what=f"{number} letters")
        return self.letters()

    def idle(self):
        """No child left, living or dead."""
        return not host.children(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10 * host.PATIENCE)


@pytest.fixture
def start(conf, baseline):
    """Starts cron with these lines in its table; boxes everybody."""
    conf.nsbox("[profile all]\nusers = *\n")
    conf.pam("cron")
    running = []

    def start_cron(*lines, nsbox=None, **options):
        if nsbox is not None:
            conf.nsbox(nsbox)
        if options:
            conf.pam("cron", **options)
        conf.file("/etc/cron.d/nsbox-test", "".join(f"{line}\n" for line in lines))
        running.append(Cron())
        return running[-1]
    yield start_cron
    for cron in running:
        cron.stop()


def differing(text):
    """The namespaces in the text, lines of the form "net:[4026531840]", that are not this process's."""
    mine = host.namespaces()
    found = dict(re.findall(r"(\w+):\[(\d+)\]", text))
    assert set(found) == set(mine), text
    return {kind for kind in found if int(found[kind]) != mine[kind]}


@pytest.mark.parametrize("variant", ["two", "one"])
def test_job_with_mail(start, variant):
    """The job runs in a box; the letter has exactly its output, both streams; cron keeps no child."""
    cron = start(f"@reboot alice {PROBE}; id -un; pwd; echo wrong >&2; ls /proc/self/fd | wc -w", variant=variant)
    [(arguments, head, body)] = cron.mail()
    assert arguments.split()[-1] == "alice" and "Subject: Cron <alice@testhost> for n in" in head
    assert differing(body) == BOXED
    assert body.split()[7:] == ["nsbox-init", "alice", "/home/alice", "wrong", "4"], "0 to 2 and ls's own"
    line = syslog.wait_for(r"pam_nsbox\(cron:session\): nsbox \w{10}: session of alice .* opened", cron.log)
    syslog.wait_for(rf"box {re.search(r'nsbox (.{10}):', line)[1]} of alice \(cron, profile all\) ended", cron.log)
    assert not syslog.matching("refused|[Cc]annot", cron.log)


def test_large_output(start):
    """What does not fit into a pipe arrives whole."""
    cron = start("@reboot alice seq 1 100000")
    [(_, _, body)] = cron.mail(timeout=20)
    assert body == "".join(f"{number}\n" for number in range(1, 100001))


def test_input(start):
    """Text behind "%" in the table is the job's input."""
    cron = start("@reboot alice cat%one%two")
    assert cron.mail()[0][2] == "one\ntwo\n"


def test_silent_job(start):
    """A job without output sends no mail and leaves nothing."""
    marker = pathlib.Path("/home/alice/cron-ran")
    cron = start(f"@reboot alice touch {marker}")
    host.wait_until(lambda: marker.exists() and cron.idle(), what="the job has run")
    marker.unlink()
    syslog.wait_for("ended after", cron.log)
    assert cron.letters() == []


def test_environment(start):
    """NSBOX_ID is set; the table's variables are there; no record is written, because a job is no login."""
    cron = start("COLOUR=red", "@reboot alice env; who")
    lines = cron.mail()[0][2].splitlines()
    assert "COLOUR=red" in lines and "LOGNAME=alice" in lines
    assert [line for line in lines if re.fullmatch(r"NSBOX_ID=\w{10}", line)]
    assert not [line for line in lines if "nsbox/" in line]


def test_two_jobs_at_once(start):
    """Two jobs of the same minute: two boxes, two letters."""
    meet = "mkdir -p /home/alice/meet; touch /home/alice/meet/$NSBOX_ID; " \
           "while [ $(ls /home/alice/meet | wc -l) -lt 2 ]; do sleep 0.05; done"
    cron = start(f"@reboot alice {meet}; {PROBE}", f"@reboot alice {meet}; {PROBE}")
    try:
        letters = cron.mail(2)
    finally:
        host.run("rm", "-rf", "/home/alice/meet")
    texts = [body for _, _, body in letters]
    assert [differing(text) for text in texts] == [BOXED, BOXED]
    first, second = [dict(re.findall(r"(\w+):\[(\d+)\]", text)) for text in texts]
    assert {kind for kind in first if first[kind] != second[kind]} == BOXED


def test_jobs_of_several_users(start):
    """Each is the own user, in the own box."""
    users = ["alice", "bob", "carol", "root"]
    cron = start(*(f"@reboot {user} id -un; readlink /proc/self/ns/pid" for user in users))
    bodies = [body.split() for _, _, body in cron.mail(len(users))]
    assert sorted(body[0] for body in bodies) == users
    assert len({body[1] for body in bodies}) == len(users)


def test_background_process_dies(start):
    """What a job leaves behind ends with it, also what ignores TERM and HUP; cron does not wait for it."""
    cron = start("@reboot alice trap '' TERM HUP; setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo left")
    assert cron.mail()[0][2] == "left\n"
    host.wait_until(lambda: not host.find("sleep", "1000"), timeout=4)


def test_background_process_that_holds_the_output(start):
    """cron reads until the last writer is gone: it waits for that process, boxed or not; then all is cleaned."""
    cron = start("@reboot alice sleep 1 & echo early")
    assert cron.mail()[0][2] == "early\n"


def test_failing_job(start):
    """Status and signals are no concern of ours: the letter comes, nothing stays."""
    cron = start("@reboot alice echo a; exit 3", "@reboot alice echo b; kill -KILL $$")
    assert sorted(body for _, _, body in cron.mail(2))[0] == "a\n"


@pytest.mark.parametrize("account", [False, True])
def test_refused_job(start, account):
    """The box cannot be made: the job does not run and the log says why; cron lives on; the neighbour runs."""
    marker = pathlib.Path("/home/alice/cron-ran")
    cron = start(f"@reboot alice touch {marker}; echo ran", "@reboot bob echo fine", account=account,
                 nsbox="[profile bad]\nusers = alice\nroot = /srv/nowhere\n[profile good]\nusers = *\n")
    assert [body for _, _, body in cron.mail(1)] == ["fine\n"]
    line = syslog.wait_for("login of alice refused", cron.log)
    hook = "account" if account else "session"
    assert re.match(rf"authpriv.err CRON\[\d+\] pam_nsbox\(cron:{hook}\): nsbox \w{{10}}: .*/srv/nowhere", line), line
    host.wait_until(cron.idle)
    assert not marker.exists() and cron.process.poll() is None and len(cron.letters()) == 1


def test_killed_job(start):
    """SIGKILL to the process of cron that watches the job: no close comes, everything ends all the same."""
    cron = start("@reboot alice echo $$ >/home/alice/up; exec sleep 1000")
    [job] = host.wait_until(lambda: host.find("sleep", "1000"))
    os.unlink("/home/alice/up")
    [watcher] = host.children(cron.process.pid)
    os.kill(watcher, signal.SIGKILL)
    host.wait_until(lambda: not host.alive(job), timeout=4)
    host.wait_until(cron.idle)


def test_mail_that_fails(start, conf):
    """No mailer: cron gives the letter up, perhaps without close; nothing stays."""
    conf.remove("/usr/sbin/sendmail")
    cron = start("@reboot alice echo hello")
    syslog.wait_for("ended after", cron.log)
    host.wait_until(cron.idle)
