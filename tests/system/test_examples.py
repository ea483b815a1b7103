# SPDX-License-Identifier: BSD-3-Clause
# host: --debs
"""conf/examples: each is installed as it stands, by the commands of its own head, and what the head promises is looked at in
real logins. The throw-away host has no memory controller, so there the memory limits are left out (limits_optional in
[defaults]); tests/vm/test_examples.py has them."""
import contextlib
import functools
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pexpect
import pytest

from lib import ctl, examples, host, syslog
from lib.examples import NAMES, USERS, block, settings
from lib.sshd import Sshd, agent

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

SOURCE = examples.SOURCE
TREES = pathlib.Path("/sys/fs/cgroup")
GROUPS = {"teaching-lab": "students", "sftp-only": "sftponly", "ci-shell": "ci", "busybox": "busybox"}
MIRROR = " --mirror 'deb [trusted=yes] copy:/debs ./'"


@functools.cache
def prepare(name):
    """The commands of "Before", once for this host. The mirror is the one that is here."""
    script = re.sub(r"(?m)(nsboxctl mkroot .* --debian)$", rf"\1{MIRROR}", block(name, "Before"))
    host.run("bash", "-eu", "-c", script, timeout=300, check=True)


@pytest.fixture(scope="module")
def servers():
    """servers(name): an sshd with the lines that the example wants in sshd_config."""
    made = {}

    def server(name):
        lines = block(name, "In sshd_config")
        if lines.startswith("Subsystem"):
            assert lines == "Subsystem sftp internal-sftp\n"  # what lib.sshd writes
            lines = ""
        if lines not in made:
            made[lines] = Sshd(match=lines)
        return made[lines]
    yield server
    for one in made.values():
        one.stop()


@pytest.fixture
def install(conf, servers):
    """install(name): the example is in force; the sshd that goes with it. Everything else of the configuration is the default."""
    def do(name):
        prepare(name)
        for service in examples.services(name):
            path = f"/etc/pam.d/{service}"
            conf.file(path, pathlib.Path(path).read_text())  # so that it is put back
        conf.nsbox("[defaults]\nlimits_optional = yes\n")
        conf.remove("/root/.bashrc")  # the machine's, whatever it does
        conf.dropin(f"{name}.conf", "")
        result = host.run("bash", "-eu", "-c", block(name, "Switch on"), cwd=str(SOURCE / name), check=True)
        do.said = result.out + result.err
        return servers(name)
    return do


@pytest.fixture(params=NAMES)
def example(request, install):
    """Each of them in turn: (name, sshd, user, settings)."""
    name = request.param
    return name, install(name), USERS[name], settings(name)


def fixture_of(name):
    @pytest.fixture(name=name.replace("-", "_"))
    def fixture(install):
        return install(name)
    return fixture


bastion, teaching_lab, hpc_login, sftp_only, ci_shell, busybox = map(fixture_of, NAMES)


def run(sshd, user, script, **options):
    """What a script prints in a session, which is boxed and must succeed."""
    since = syslog.mark()
    result = sshd.ssh(user, f"test -n \"$NSBOX_ID\" || exit 99; {script}", **options)
    assert result.rc == 0, (script, result, syslog.lines_since(since))
    return result.out


def own_network():
    return f"net:[{host.namespaces()['net']}]\n"


def no_box_left():
    host.wait_until(lambda: ctl.boxes() == [], what="no box is left")


# -- all of them --


@pytest.mark.parametrize("name", NAMES)
def test_head_and_keys(name):
    """The head says what has to be done and how to try it; what bounds a user is named, errors refuse, the network is named."""
    for heading in ("Switch on", "Try"):
        assert block(name, heading), heading
    head = examples.head(name)
    for words in (f"# {name}: for ", "# A ", "does not see ", "# Before"):
        assert words in head, words
    (section,) = re.findall(r"^\[.*\]$", examples.conf(name), re.M)
    assert section == f"[profile {name}]"
    keys = settings(name)
    assert {"network", "users", "services", "pids_max", "tmp_size", "shm_size", "run_size", "sessions_max"} <= set(keys)
    assert {"memory_max", "user_memory_max"} & set(keys) and {"cpu_max", "user_cpu_max"} & set(keys)
    assert not {"on_error", "limits_optional"} & set(keys) and "infinity" not in keys.values()
    assert {"!root", "!@sudo"} <= set(keys["users"].split())
    assert set(keys["services"].split()) == set(examples.services(name))


@pytest.mark.parametrize("name", NAMES)
def test_pam_files(name):
    """They are the files of conf/pam.d, with administrators exempted and without some comments."""
    def rows(path):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        return [line for line in lines if "pam_succeed_if" not in line], [line for line in lines if "pam_succeed_if" in line]
    for service in examples.services(name):
        stack, exempt = rows(SOURCE / name / service)
        assert stack == rows(SOURCE.parent / "pam.d" / service)[0]
        opens = [line for line in stack if "pam_nsbox" in line and "close" not in line]
        assert len(exempt) == len(opens) == (1 if service == "cron" else 2)
        assert f"{exempt[-1]}\n{opens[-1]}\n" in (SOURCE / name / service).read_text()


@pytest.mark.some(2)
@pytest.mark.parametrize("name", NAMES)
def test_installs_as_it_says(install, name):
    """check has nothing to say against it, and explain shows the box."""
    install(name)
    warnings = [line for line in install.said.splitlines() if "warning" in line]
    # the host's own files, and the controller that is not here
    assert not [line for line in warnings if not re.search("sshd_config names|pam.d|limit|controller|pam_nsbox", line)], warnings
    for line in block(name, "Try").splitlines():
        if line.startswith("nsboxctl"):
            result = host.run("bash", "-c", line)
            assert result.rc == 0 and f"profile {name}" in result.out, result


def test_administrators_are_not_boxed(example, conf, baseline):
    """Nor root; not even with a configuration that is broken, in which nobody else gets in."""
    name, sshd, user, _ = example
    groups = ["sudo", *([GROUPS[name]] if name in GROUPS else [])]
    text = pathlib.Path("/etc/group").read_text()
    for group in groups:
        text = re.sub(rf"^({group}:.*:)(.*)$", lambda m: m[1] + ",".join(filter(None, [m[2], "carol"])), text, flags=re.M)
    conf.file("/etc/group", text)
    for broken in (False, True):
        if broken:
            conf.nsbox("[profile]\n")
            assert sshd.ssh(user, "true").rc == 255
        if name != "sftp-only":  # ForceCommand
            assert sshd.ssh("carol", "echo in $NSBOX_ID").out == "in\n"
        assert sshd.ssh("root", "echo in $NSBOX_ID").out == "in\n"


def amount(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def test_sizes_and_limits(example, baseline):
    """Processes and CPU time are limited as the profile says, file systems in memory are as large."""
    name, sshd, user, keys = example
    home = pathlib.Path(f"/home/{user}")
    with contextlib.ExitStack() as stack:
        if name == "sftp-only":
            child = stack.enter_context(contextlib.closing(host.spawn("sftp", "-F", sshd.client_config, f"{user}@box")))
            child.expect("sftp> ")
        else:
            stack.enter_context(sshd.session(user))
        entry = ctl.box(user=user)
        def group(tree, key):
            above = f"user-{os.stat(home).st_uid}/" if any(key.startswith("user_") for key in keys) else ""
            return TREES / tree / "nsbox" / (above + entry["id"] if not key.startswith("user_") else above)
        for key in ("pids_max", "user_pids_max"):
            if key in keys:
                assert (group("pids", key) / "pids.max").read_text().strip() == keys[key]
        for key in ("cpu_max", "user_cpu_max"):
            if key in keys:
                quota = int((group("cpu", key) / "cpu.cfs_quota_us").read_text())
                assert quota == int(keys[key].rstrip("%")) * 1000
        for key, path in {"tmp_size": "tmp", "shm_size": "dev/shm", "run_size": "run", "home_size": str(home)[1:]}.items():
            if key in keys:
                info = os.statvfs(f"/proc/{entry['init_pid']}/root/{path}")
                assert abs(info.f_blocks * info.f_frsize - amount(keys[key])) <= 64 * 1024, key
    if "linger" in keys:
        host.run("nsboxctl", "kill", entry["id"], check=True)


def test_sessions_max(example, baseline):
    """As many as the profile says, then a refusal. (Those that allow many are tried with fewer.)"""
    name, sshd, user, keys = example
    most = int(keys["sessions_max"])
    if most > 4:
        path = pathlib.Path(f"/etc/security/nsbox.conf.d/{name}.conf")
        path.write_text(re.sub(r"(sessions_max +=) \d+", r"\1 2", path.read_text()))
        most = 2
    with contextlib.ExitStack() as stack:
        for _ in range(most):
            child = stack.enter_context(contextlib.closing(host.spawn("sftp", "-F", sshd.client_config, f"{user}@box")))
            child.expect("sftp> ")
        since = syslog.mark()
        assert sshd.sftp(user, "pwd\n").rc != 0
        assert f"{user} has {most} sessions already" in syslog.wait_for("refused", since)
    host.wait_until(lambda: sshd.sftp(user, "pwd\n").rc == 0, what="there is place again", interval=0.2)
    if "linger" in keys:
        host.run("nsboxctl", "kill", ctl.box(user=user)["id"], check=True)


# -- bastion --


@pytest.fixture
def inner():
    """The host that people go on to."""
    server = Sshd(name="inner", pam=False)
    yield server
    server.stop()


def test_bastion_what_is_seen(bastion, baseline):
    out = run(bastion, "alice", "pwd; ls -A; ls -A /sys; ls /home; echo; ls /proc | grep -v '^[0-9]'; getent passwd | cut -d: -f1; "
                                "readlink /proc/self/ns/net")
    assert out == f"/home/alice\nalice\n\nself\nthread-self\nroot\nalice\nnobody\n{own_network()}"
    assert run(bastion, "alice", "touch kept && ls") == "kept\n"
    assert run(bastion, "alice", "ls") == "" and not os.path.exists("/home/alice/kept")
    assert "Read-only" in bastion.ssh("alice", "touch /etc/x").err
    own = run(bastion, "alice", "for p in /proc/[0-9]*; do cat $p/comm; done").split()
    assert set(own) <= {"nsbox-init", "sshd", "bash", "cat"}, own


@pytest.mark.parametrize("command", ["free", "uptime"])
def test_bastion_without_tools(bastion, baseline, command):
    """What the head says does not work."""
    assert bastion.ssh("alice", command).rc != 0
    assert len(run(bastion, "alice", "ps -e; TERM=xterm top -b -n 1 | grep -c sshd").splitlines()) > 3


def test_bastion_jump(bastion, inner, baseline):
    """ProxyJump, -W and a forwarded port go on to another host, from a box here; so does a shell in it."""
    bastion.write_client_config(bastion.directory, bastion.identity, box=bastion.port, inner=inner.port)
    base = ["ssh", "-F", bastion.client_config]
    proxy = f"ProxyCommand=ssh -F {bastion.client_config} -W 127.0.0.1:%p alice@box"
    for way in (["-J", "alice@box"], ["-o", proxy]):
        process = host.end_with_test(subprocess.Popen([*base, *way, "bob@inner", "echo in $NSBOX_ID as $(id -un); exec cat"],
                                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert process.stdout.readline() == b"in as bob\n"
        assert ctl.box(user="alice")["profile"] == "bastion"
        process.communicate(timeout=10)
        no_box_left()
    key = pathlib.Path(bastion.identity).read_text()
    assert run(bastion, "alice", f"umask 077; cat > k; ssh -i k -p {inner.port} -o StrictHostKeyChecking=no bob@127.0.0.1 id -un",
               input=key) == "bob\n"


def test_bastion_agent_is_off(bastion, baseline):
    """As the lines for sshd_config say."""
    with agent(bastion.identity) as env:
        assert run(bastion, "alice", "echo ${SSH_AUTH_SOCK:-none}", opts=("-A",), env=env) == "none\n"


def test_bastion_process_limit(bastion, baseline):
    result = bastion.ssh("alice", "for i in $(seq 80); do sleep 3 & done 2>&1; echo end")
    assert "Resource temporarily unavailable" in result.out + result.err, result


# -- teaching-lab --


@pytest.fixture
def course():
    """Something to read in the course's directory and in /opt."""
    prepare("teaching-lab")
    for path in ("/srv/course/task", "/opt/tool"):
        pathlib.Path(path).write_text("#!/bin/sh\necho it is\n")
        os.chmod(path, 0o755)
    yield
    for path in ("/srv/course/task", "/opt/tool"):
        os.unlink(path)


def test_lab_what_is_seen(course, teaching_lab, baseline):
    out = run(teaching_lab, "alice", "hostname; ls /home; ls /srv /srv/course; /opt/tool; getent passwd bob || echo nobody; "
                                     "ls /sys/class/net; touch /srv/course/x 2>&1 || true; ps -e -o user= | sort -u")
    assert out == ("lab-alice\nalice\n/srv:\ncourse\n\n/srv/course:\ntask\nit is\nnobody\nlo\n"
                   "touch: cannot touch '/srv/course/x': Read-only file system\nalice\nroot\n")
    assert re.search("nosuid|setuid", teaching_lab.ssh("alice", "sudo -n true").err)


def test_lab_people_work(teaching_lab, baseline):
    out = run(teaching_lab, "alice", "printf 'int main(void) { return 7; }' >t.c && gcc -o t t.c; ./t; echo $?; rm t t.c; "
                                     "python3 -c 'print(6 * 7)'; touch kept")
    assert out == "7\n42\n" and os.path.exists("/home/alice/kept")
    os.unlink("/home/alice/kept")


def test_lab_logins_share(teaching_lab, baseline):
    """Two logins are in one box: files in /tmp, a tmux."""
    with teaching_lab.session("alice", "sh -c 'tmux new-session -d -s work cat; touch /tmp/left; cat'"):
        host.wait_until(lambda: "work" in teaching_lab.ssh("alice", "tmux ls").out, what="the tmux is there", interval=0.2)
        assert run(teaching_lab, "alice", "ls /tmp/left") == "/tmp/left\n"
        assert len(ctl.boxes()) == 1
    no_box_left()


def test_lab_everybody_has_port_8080(teaching_lab, baseline):
    listen = ("python3 -c 'import socket, time; s = socket.socket(); s.bind((\"127.0.0.1\", 8080)); s.listen(); "
              "print(\"on\", flush=True); time.sleep(60)' & wait")
    host.run("usermod", "-aG", "students", "bob", check=True)
    try:
        with teaching_lab.popen("alice", listen) as one, teaching_lab.popen("bob", listen) as other:
            assert one.stdout.readline() == other.stdout.readline() == b"on\n"
            one.terminate()
            other.terminate()
    finally:
        host.run("gpasswd", "-d", "bob", "students", check=True)


def test_lab_console(teaching_lab, baseline):
    """login(1) gives a box, too; not the one of ssh, whose terminals are its own."""
    with teaching_lab.session("alice"):
        child = host.spawn("login")
        child.expect("login: ")
        child.sendline("alice")
        child.expect("Password: ")
        child.sendline("alicepw")
        child.expect(r"\$ ")
        child.sendline("echo at $(hostname)")
        child.expect("at lab-alice")
        assert sorted(one["service"] for one in ctl.boxes()) == ["login", "sshd"]
        child.sendline("exit")
        child.expect(pexpect.EOF)
        child.close()


def test_lab_others_are_not_boxed(teaching_lab, baseline):
    assert teaching_lab.ssh("bob", "echo in $NSBOX_ID").out == "in\n"


# -- hpc-login --


@pytest.fixture
def cluster():
    """A scheduler's socket, scratch directories, a graphics card, something that is to be masked."""
    made = [pathlib.Path(path) for path in ("/run/munge", "/run/slurm", "/scratch", "/var/spool/slurmd", "/dev/nvidia-caps")]
    for path in made:
        path.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("/run/munge/munge.socket.2")
        os.chmod("/run/munge/munge.socket.2", 0o777)
        listener.listen()
        for user, uid in (("alice", 2001), ("bob", 2002)):
            pathlib.Path("/scratch", user).mkdir(mode=0o700)
            os.chown(f"/scratch/{user}", uid, uid)
        pathlib.Path("/var/spool/slurmd/script").write_text("x")
        for name in ("nvidia0", "nvidiactl", "nvidia-caps/nvidia-cap1"):
            os.mknod(f"/dev/{name}", 0o666 | 0o020000, os.makedev(1, 3))
            os.chmod(f"/dev/{name}", 0o666)
        yield
    for path in [*made, pathlib.Path("/dev/nvidia0"), pathlib.Path("/dev/nvidiactl")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def ended(baseline):
    """Ends what lingers, before the host is compared."""
    yield
    for one in ctl.boxes():
        host.run("nsboxctl", "kill", one["id"], check=True)


def test_hpc_what_is_seen(cluster, hpc_login, ended):
    """The scheduler's sockets, the cards, scratch; not the spool."""
    out = run(hpc_login, "alice", "cd; python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); "
                                  "s.connect(\"/run/munge/munge.socket.2\"); print(\"munge\")'; "
                                  "ls -d /run/slurm /scratch/alice; ls -A /boot /var/spool/slurmd; readlink /proc/self/ns/net; "
                                  "echo x >/dev/nvidia0; ls /dev/nvidia*; ls /etc/shadow; ls /home | grep bob; touch /var/tmp/big /tmp/small")
    assert out == ("munge\n/run/slurm\n/scratch/alice\n/boot:\n\n/var/spool/slurmd:\n" + own_network() +
                   "/dev/nvidia0\n/dev/nvidiactl\n\n/dev/nvidia-caps:\nnvidia-cap1\n/etc/shadow\nbob\n")
    assert os.listdir("/scratch/alice") == ["big"] and not os.path.exists("/tmp/small")
    assert run(hpc_login, "bob", "ls -A /tmp /var/tmp; ps -e -o user= | sort -u") == "/tmp:\n\n/var/tmp:\nbob\nroot\n"


def test_hpc_without_a_cluster(hpc_login, ended):
    """Nothing has to be there."""
    assert run(hpc_login, "alice", "ls -A /var/tmp; ls -d /run/munge 2>/dev/null || echo none") == "none\n"


def test_hpc_linger(hpc_login, ended):
    """A tmux is there for the next login; the same /tmp; jobs of cron are in the same box."""
    run(hpc_login, "alice", "touch /tmp/mine; tmux new-session -d -s work")
    (first,) = ctl.boxes()
    host.wait_until(lambda: ctl.box(user="alice")["members"] == [], what="the login has ended")
    assert run(hpc_login, "alice", "tmux ls | cut -d: -f1; ls /tmp/mine; echo $NSBOX_ID").split() == ["work", "/tmp/mine", first["id"]]


def test_hpc_cron(hpc_login, conf, ended):
    """conf/examples/hpc-login/cron: a job is in the box of the logins."""
    found = pathlib.Path("/home/alice/job")
    with hpc_login.session("alice"):
        conf.file("/etc/cron.d/probe", "@reboot alice echo in $NSBOX_ID >job.new; mv job.new job\n")
        pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
        cron = subprocess.Popen(["cron", "-f"])
        try:
            host.wait_until(found.exists, what="the job has run", timeout=10)
            assert found.read_text() == f"in {ctl.box(user='alice')['id']}\n"
        finally:
            cron.terminate()
            cron.wait(10)
            found.unlink(missing_ok=True)


# -- sftp-only --


def test_sftp_works(sftp_only, baseline, tmp_path):
    """put and get, names, what is in sight; scp as well."""
    path = tmp_path / "file"
    path.write_text("content\n")
    result = sftp_only.sftp("partner", f"pwd\nput {path} there\nrename there here\nget here {path}.back\nls -l\nls /home\n"
                                       "ls -a /sys\nls /proc\n")
    assert result.rc == 0, result
    assert (tmp_path / "file.back").read_text() == "content\n"
    out = result.out
    assert "Remote working directory: /home/partner" in out and re.search(r"-rw-r--r-- .* partner +partner .* here", out), out
    shown = out.split("ls /home\n")[1]
    assert shown.split("sftp>")[0].split() == ["/home/partner"], shown
    assert "meminfo" not in out and "/sys/kernel" not in out
    assert pathlib.Path("/home/partner/here").stat().st_uid == os.stat("/home/partner").st_uid
    assert sftp_only.scp(str(path), "partner@box:scp").rc == 0
    for name in ("here", "scp"):
        os.unlink(f"/home/partner/{name}")


@pytest.mark.parametrize("command", ["get /etc/shadow /dev/null", "get /etc/sudoers /dev/null", "ls /home/alice",
                                     "put /etc/hostname /etc/x", "put /etc/hostname /usr/bin/x", "rm /etc/passwd"])
def test_sftp_does_not(sftp_only, baseline, command):
    assert sftp_only.sftp("partner", f"{command}\n").rc != 0


def test_sftp_starts_nothing(sftp_only, baseline):
    """No command, terminal, forwarding."""
    for words, options in ((["id"], {}), ([], {"tty": True}), (["/usr/bin/id"], {"tty": True})):
        result = sftp_only.ssh("partner", *words, input="", timeout=10, **options)
        assert "uid=" not in result.out and result.rc != 0, result
    result = host.run("ssh", "-F", sftp_only.client_config, "-W", f"127.0.0.1:{sftp_only.port}", "partner@box", timeout=10)
    assert "SSH-2.0" not in result.out, result


# -- ci-shell --


def loops():
    """Loop devices that show the image."""
    return [path for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file")
            if (host.read(path, "") or "").startswith("/srv/images/")]


@pytest.mark.timeout(300)
def test_ci_writes_are_gone(ci_shell, baseline):
    """A job writes where it may, and the next one sees nothing of it."""
    look = "ls -A ~ /build /opt /tmp; cat /proc/self/mounts | grep -c ' / overlay '"
    empty = "/build:\n\n/home/runner:\n\n/opt:\n\n/tmp:\n1\n"
    assert run(ci_shell, "runner", look) == empty
    out = run(ci_shell, "runner", "for d in ~ /build /opt /tmp; do echo x >$d/x && cat $d/x; done; "
                                  "for d in /etc /usr/bin / /var/lib; do touch $d/x 2>/dev/null && echo wrote $d; done; id -Gn; cat /etc/debian_version; "
                                  "ls /sys /home; getent passwd alice || echo nobody")
    lines = out.split("\n")
    assert lines[:4] == ["x"] * 4 and lines[4] == "runner ci" and lines[5].startswith("12."), out
    assert lines[6:] == ["/home:", "runner", "", "/sys:", "nobody", ""], out
    assert run(ci_shell, "runner", look) == empty
    assert not [path for path in ("build/x", "opt/x") if os.path.exists(f"/srv/roots/ci/{path}")] and os.listdir("/home/runner")


def test_ci_two_jobs_one_loop_device(ci_shell, baseline):
    """Each job sees only its own; the image is there once, and may be replaced meanwhile."""
    with ci_shell.session("runner", "sh -c 'touch /build/mine; cat'"):
        assert run(ci_shell, "runner", "ls -A /build") == ""
        with ci_shell.session("runner"):
            assert len(ctl.boxes()) == 2 and len(loops()) == 1
            image = [line for line in block("ci-shell", "Before").splitlines() if ".new" in line]
            host.run("bash", "-eu", "-c", "\n".join(image), check=True, timeout=120)
            assert run(ci_shell, "runner", "ls /") and len(ctl.boxes()) >= 2
    host.wait_until(lambda: not loops(), what="the loop devices are freed")


def test_ci_gets_its_files_by_the_connection(ci_shell, baseline, tmp_path):
    """The command of the head, without make; there is no network."""
    (tmp_path / "source").write_text("here\n")
    pack = subprocess.run(["tar", "-C", str(tmp_path), "-c", "source"], capture_output=True, check=True).stdout
    result = ci_shell.ssh("runner", "tar xC /build && cd /build && cat source; cat /proc/net/dev | grep -c :", input=pack, text=False)
    assert result.out == b"here\n1\n", result
    result = run(ci_shell, "runner", "exec 3<>/dev/tcp/127.0.0.1/8080; head -n 1 <&3",
                 opts=("-R", f"8080:127.0.0.1:{ci_shell.port}"))
    assert result.startswith("SSH-2.0-"), result


def test_ci_keeps_its_door(ci_shell, baseline):
    """What a job writes into ~/.ssh is not what sshd reads."""
    run(ci_shell, "runner", "mkdir -p ~/.ssh && echo x >~/.ssh/authorized_keys")
    assert not os.path.exists("/home/runner/.ssh")


def test_ci_overlay_is_bounded(ci_shell, baseline):
    """Smaller here than the profile says: the sentence is that a full one is an error of the job alone."""
    path = pathlib.Path("/etc/security/nsbox.conf.d/ci-shell.conf")
    path.write_text(path.read_text().replace("overlay_size  = 2G", "overlay_size  = 4M"))
    result = ci_shell.ssh("runner", "head -c 8M /dev/zero >/build/big")
    assert "No space left" in result.err, result


# -- busybox --


def test_busybox_what_is_seen(busybox, baseline):
    out = run(busybox, "guest", "hostname; readlink /bin/ls; ls /; cat /proc/net/dev | grep -c :; pwd; touch kept; id -un")
    assert out == "box\nbusybox\nbin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\n1\n/home/guest\nguest\n", out
    os.unlink("/home/guest/kept")
    programs = run(busybox, "guest", "find / -xdev -type f -perm -111 2>/dev/null || true").split()
    assert programs == ["/bin/busybox"]
    names = int(run(busybox, "guest", "find /bin /sbin /usr -type l | wc -l"))
    assert 250 < names < 450
    options = run(busybox, "guest", "grep ' / ' /proc/self/mounts").split()[3]
    assert "ro" in options.split(","), options


def test_busybox_few_processes(busybox, baseline):
    lines = run(busybox, "guest", "ps -o pid,args").splitlines()
    assert len(lines) <= 8 and lines[1].split() == ["1", "nsbox-init"], lines


def test_busybox_the_twenty_first_fails(busybox, baseline):
    """Exactly: as many as make 20 can be started, and then not one more."""
    script = "'read n; i=0; while [ $i -lt $n ]; do sleep 60 & i=$((i+1)); done; echo made; read x; sleep 60 & echo more'"
    with busybox.session("guest", "sh", "-c", script) as session:
        current = TREES / "pids/nsbox" / ctl.box(user="guest")["id"] / "pids.current"
        session.stdin.write(b"%d\n" % (20 - int(current.read_text())))
        session.stdin.flush()
        assert session.stdout.readline() == b"made\n" and current.read_text() == "20\n"
        session.stdin.write(b"one more\n")
        session.stdin.flush()
        assert b"can't fork: Resource temporarily unavailable" in session.stderr.readline()


def test_busybox_on_a_terminal(busybox, baseline):
    child = busybox.spawn("guest")
    child.expect(r"guest@box:~\$ ")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
