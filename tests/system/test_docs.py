# SPDX-License-Identifier: BSD-3-Clause
"""What the documents say is so: keys, maps, commands and examples are taken from them and tried."""
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pexpect
import pytest

from lib import dist, host, pamconf, syslog
from lib.demo import COLUMN, LABEL

SOURCE = pathlib.Path(os.environ["NSBOX_SOURCE"])
README = (SOURCE / "README.md").read_text()
PAGES = ["pam_nsbox.8", "nsbox.conf.5", "nsbox-helper.8", "nsboxctl.8", "nsbox-pamtest.7"]
BOXED = "[profile all]\nusers = alice bob carol\nnetwork = loopback\n"
LOOK = "readlink /proc/self/ns/mnt; echo id=$NSBOX_ID"


def own_namespace():
    return f"mnt:[{host.namespaces()['mnt']}]"


def page(name):
    return (SOURCE / "man" / name).read_text()


def is_boxed(output):
    """Of what LOOK printed. Fails where namespace and environment do not agree."""
    namespace, ident = re.search(r"(mnt:\[\d+\])\s+id=(\w*)", output).groups()
    assert (namespace == own_namespace()) == (ident == ""), output
    return ident != ""


# -- configuration keys --


def keys():
    """The rows of the key table: [(name, fallback, profile only, first word of the cousin)]."""
    text = (SOURCE / "common/config-keys.c").read_text()
    rows = re.findall(r"\{ PLACE\((\w+)\)(.*?)\},\n(?=\t\{ PLACE|\};)", text, re.S)
    assert len(rows) == text.count("PLACE(") - 1 > 15
    for name, row in rows:
        fallback = re.search(r'\.fallback = "(.*?)"', row)[1]
        cousin = re.search(r'\.cousin = "(\S+?=)', row)
        yield name, fallback, "profile_only = true" in row, cousin and cousin[1]


def items():
    """{key: text} of nsbox.conf(5)."""
    body = page("nsbox.conf.5").split(".Sh WHO\n")[1].split(".Sh WHAT EVERY BOX SEES")[0]
    parts = re.split(r"^\.It Cm (\w+)\n", body, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_every_key_is_in_the_manual():
    """nsbox.conf(5) has exactly the keys of the table, each with its default and its systemd cousin."""
    found = items()
    assert list(found) == [name for name, *_ in keys()]
    for name, fallback, _, cousin in keys():
        words = re.sub(r"^\.\w+ ", "", found[name], flags=re.M)
        for word in fallback.split():
            assert re.search(rf"(^|\s){re.escape(word)}(\s|$)", words, re.M), f"{name}: default {fallback}"
        assert not cousin or f".Va {cousin}" in found[name], f"{name}: {cousin}"


def test_every_key_is_in_the_shipped_file():
    """conf/nsbox.conf has the default of every key live under [defaults], and the others in its example."""
    text = (SOURCE / "conf/nsbox.conf").read_text()
    for name, fallback, profile_only, _ in keys():
        line = rf"^#?{name} +=" if profile_only else rf"^{name} = ?{re.escape(fallback)}$"
        assert re.search(line, text, re.M) or name == "inherits", name


def literals(text):
    """The displayed examples of a manual page, as they are printed."""
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.S | re.M):
        yield block.replace(r"\e", "\\").replace(r"\(dq", '"')


def test_examples_of_the_manual_are_good(conf):
    """nsboxctl check takes the examples of nsbox.conf(5): each line by itself, and the sections as they stand."""
    text = page("nsbox.conf.5")
    lines = re.findall(r"^\.Dl (.*)", text, re.M)
    sections = [block for block in literals(text) if "[profile" in block]
    assert len(lines) > 8 and len(sections) == 6
    # what some lines need of another one
    shared = [("linger" in line) * "share = user\n" + line.startswith("overlay =") * "root = /srv/roots/debian\n" for line in lines]
    alone = [f"[profile students]\nusers =\n[profile x]\n{'' if line.startswith('users') else 'users = alice'}\n"
             f"{'' if line.startswith('network =') else 'network = veth'}\n{also}{line}\n" for line, also in zip(lines, shared)]
    if not os.path.exists("/dev/sda"):  # the disk of the examples
        os.mknod("/dev/sda", stat.S_IFBLK | 0o600, os.stat("/dev/loop0").st_rdev)
    for example in alone + sections:
        # not every controller is here, no directory is on a disk, and there are few processors
        example = re.sub(r"(io_max\s*=\s*)/home ", r"\1/dev/sda ", example) + "\n[defaults]\nlimits_optional = yes\n"
        example = re.sub(r"(cpuset\s*=\s*0).*", r"\1", example)
        conf.file("/etc/example.conf", example)
        result = host.run("nsboxctl", "check", "/etc/example.conf")
        assert result.rc == 0 and "/etc/example.conf: ok" in result.out, (example, result)


def refused_calls(text):
    """[(calls, error)] of the items of a list."""
    return [(tuple(calls.split()), error) for calls, error in re.findall(r"^\.It Li (.*) Pq (\w+)$", text, re.M)]


def test_every_refused_call_is_in_the_manual():
    """nsbox.conf(5), System calls, has the rows of nsbox-seccomp's table, level by level, in their order."""
    section = page("nsbox.conf.5").split(".Ss System calls\n")[1].split("\n.S")[0]
    lists = section.split("\n.Ql strict\nrefuses these as well:\n")
    assert len(lists) == 2
    rows = [line.split("\t") for line in host.run("/usr/libexec/nsbox/nsbox-seccomp", "list", check=True).out.splitlines()]
    for level, text in zip(("default", "strict"), lists):
        wanted = [(tuple(calls.removesuffix(" (...)").split()), error) for words, error, calls, _ in rows
                  if words.split()[0] == level]
        assert refused_calls(text) == wanted and len(wanted) > 10, level
    for words, _, calls, _ in rows:
        item = re.search(rf"^\.It Li {calls.removesuffix(' (...)')} Pq (.*?)(?=^\.It|^\.El)", lists[words.startswith("strict")],
                         re.S | re.M)[1]
        for word, key in (("unless-nested", "nested_namespaces"), ("unless-core", "core")):
            assert (word in words) == (f".Cm {key} No = yes" in item) or "The same." in item, (calls, word)


# -- manual pages --


@pytest.mark.parametrize("name", PAGES)
def test_manual_is_clean(name):
    """mandoc finds nothing to warn of."""
    result = host.run("mandoc", "-T", "lint", "-W", "warning", str(SOURCE / "man" / name))
    assert (result.rc, result.out + result.err) == (0, "")


def test_manual_has_every_word_of_the_module():
    """pam_nsbox(8) names each word that may stand behind pam_nsbox.so."""
    source = (SOURCE / "pam_nsbox/facts.c").read_text()
    words = re.findall(r'\(argv\[i\], "(\w+)=?"', source)
    assert sorted(words) == ["close", "conf", "debug", "open", "profile"]
    for word in words:
        assert re.search(rf"^\.It Cm {word}\b", page("pam_nsbox.8"), re.M), word


def test_manual_has_every_subcommand():
    """nsboxctl(8) has each row of the table in its synopsis, with the same options, and in its list."""
    text = (SOURCE / "ctl/nsboxctl.c").read_text()
    rows = re.findall(r'^\t\{ "(\w+)", "(.*?)",\s', text, re.M)
    assert len(rows) == text.count("command_") >= 10
    synopsis = page("nsboxctl.8").split(".Sh SYNOPSIS\n")[1].split(".Sh DESCRIPTION")[0]
    shown = {name: part for part in synopsis.split(".Nm\n")
             for name in re.findall(r"\w+", re.match(r"\.Cm (.*)|", part)[1] or "")}
    assert list(shown) == [name for name, _ in rows]
    for name, arguments in rows:
        assert set(re.findall(r"Fl -(\w+)", shown[name])) == set(re.findall(r"--(\w+)", arguments)), name
        assert re.search(rf"^\.It .*\bCm {name}\b", page("nsboxctl.8"), re.M), name


def test_manual_has_every_word_of_the_json():
    """nsboxctl(8) names what list, show and top have in their objects."""
    for name in ("describe", "show-json", "top-show"):
        words = re.findall(r'_add\(\w+, "(\w+)"', (SOURCE / f"ctl/{name}.c").read_text())
        assert len(words) > 10
        for word in words:
            assert re.search(rf"^\.(It )?Ic (.*[ ,])?{word}\b", page("nsboxctl.8"), re.M), f"{name}: {word}"


def test_manual_has_every_stage_and_code():
    """nsbox-helper(8) names the stages in their order, pam_nsbox(8) each PAM code that the module can return."""
    source = (SOURCE / "common/error.c").read_text()
    stages = [name for name in re.findall(r'\[NSB_STAGE_\w+\] = "(\w+)"', source) if name not in ("launch", "join")]
    assert re.findall(r"^\.It (\w+) Ta (?:helper|builder)", page("nsbox-helper.8"), re.M) == stages
    module = "".join((SOURCE / "pam_nsbox" / name).read_text() for name in ("pam_nsbox.c", "facts.c"))
    text = re.sub(r"/\*.*?\*/", "", module, flags=re.S)
    for code in set(re.findall(r"PAM_(?:SUCCESS|IGNORE|\w+_(?:ERR|DENIED))\b", text)):
        assert f"Dv {code}" in page("pam_nsbox.8"), code


# -- README --


def block(name):
    """The shell lines that stand behind `<!-- test: NAME -->` in README."""
    return re.search(rf"^<!-- test: {name} -->\n```sh\n(.*?)^```", README, re.S | re.M)[1]


def run_block(name):
    return host.run("bash", "-eu", "-c", block(name), cwd=str(SOURCE), check=True)


def table_after(heading):
    """The rows of the first table behind a text: lists of cells."""
    lines = README.split(heading, 1)[1].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_readme_names_the_commands():
    """The two commands stand there, and are there."""
    for command in ("tests/demo", "tests/run"):
        assert f"`sudo {command}`" in README and os.access(SOURCE / command, os.X_OK)


def test_map_of_directories():
    """Each directory of README's map exists, and none is left out."""
    rows = table_after("A directory is a privilege boundary")
    named = {row[0].strip("`/") for row in rows}
    assert all((SOURCE / name).is_dir() for name in named)
    there = {name.split("/")[0] for name in dist.sources() if "/" in name and not name.startswith(".")}
    assert there - {"m4"} == named


def test_table_of_examples():
    """README has a row for each example, the manual names its directory."""
    rows = table_after("## Examples")
    assert {row[0].strip("`") for row in rows} == {f"conf/examples/{name}" for name in os.listdir(SOURCE / "conf/examples")}
    for name in os.listdir(SOURCE / "conf/examples"):
        assert re.search(rf"^\.It Pa {name}\b", page("nsbox.conf.5"), re.M), name


def test_map_of_a_login():
    """Each file of the way of a login exists and has the functions that the map names; so do the other files named."""
    rows = table_after("The way of a login")
    assert len(rows) > 12
    for _, file, functions, _ in rows:
        text = (SOURCE / file.strip("`")).read_text()
        for name in re.findall(r"`(\w+)\(\)`", functions):
            assert re.search(rf"^[\w ]+[ *]{name}\(", text, re.M), f"{file} has no {name}()"
    for document in ("README.md", "HACKING.md", "SECURITY.md"):
        for name in re.findall(r"`((?:common|helper|pam_nsbox|ctl|conf|man|tests)/[\w./-]+)`",
                               (SOURCE / document).read_text()):
            assert (SOURCE / name).exists() or name == "ctl/NAME.c", f"{document}: {name}"


def test_packages_are_those_that_the_tests_build_with():
    """What README tells to install is what the builds of tests/run have."""
    wanted = re.search(r"apt-get install (.*)", block("build"))[1].split()
    had = re.findall(r"^([\w.+-]+)", (SOURCE / "tests/hostlib/packages").read_text(), re.M)
    assert set(wanted) <= set(had)
    for package in re.findall(r"NSB_MISSING\(\[[^]]*\], \[([^]]*)\]\)", (SOURCE / "configure.ac").read_text()):
        assert package in wanted, package


def log_in_by_password(user, port):
    child = host.spawn("ssh", "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                       "-o", "PubkeyAuthentication=no", f"{user}@localhost", LOOK)
    child.expect("password: ")
    child.sendline(f"{user}pw")
    child.expect(pexpect.EOF)
    child.close()
    return child.before


def test_try_beside_the_real_sshd(conf, baseline):
    """README's second sshd under another name boxes alice and nobody else, and goes without a trace."""
    before = sorted(os.listdir("/etc/pam.d"))
    os.makedirs("/etc/security/nsbox.conf.d", exist_ok=True)
    run_block("try")
    host.wait_until(lambda: host.read("/run/sshd-nsbox.pid"), what="the second sshd listens")
    try:
        assert is_boxed(log_in_by_password("alice", 2222))
        assert not is_boxed(log_in_by_password("bob", 2222))
    finally:
        run_block("untry")
    host.wait_until(lambda: not host.find("sshd-nsbox"), what="the second sshd has ended")
    assert sorted(os.listdir("/etc/pam.d")) == before
    os.rmdir("/etc/security/nsbox.conf.d")


SWITCHED = ("sshd", "login", "su", "sudo", "sudo-i", "cron")


@pytest.fixture
def stock(conf):
    """Debian's own PAM files, put back afterwards."""
    for service in SWITCHED:
        path = f"{pamconf.PAM_DIRECTORY}/{service}"
        text = pathlib.Path(path).read_text()
        assert "pam_nsbox" not in text
        conf.file(path, text)
    conf.dropin("students.conf", "")
    yield conf
    shutil.rmtree("/root/pam.d.before", ignore_errors=True)


def test_switch_on_and_off(stock, sshd, baseline):
    """README's lines, on Debian's own PAM files: students are boxed at all services, others are not; without the lines
    nobody is, and everybody still gets in."""
    run_block("on")
    stock.sudoers("bob ALL=(ALL) NOPASSWD: ALL\n")
    logins = {
        "sshd": lambda user: sshd.ssh(user, LOOK).out,
        "su": lambda user: host.run("su", user, "-c", LOOK).out,
        "su-l": lambda user: host.run("su", "-", user, "-c", LOOK).out,
        "sudo": lambda user: host.run("runuser", "-u", "bob", "--", "sudo", "-u", user, "sh", "-c", LOOK).out,
        "sudo-i": lambda user: host.run("runuser", "-u", "bob", "--", "sudo", "-i", "-u", user, "sh", "-c",
                                        LOOK.replace("$", "\\$")).out,
    }
    for service, log_in in logins.items():
        assert is_boxed(log_in("alice")), service
        assert not is_boxed(log_in("carol")), service
    run_block("off")
    for service, log_in in logins.items():
        assert not is_boxed(log_in("alice")), service


# -- conf/pam.d --


def install(conf, name, service=None):
    """An example as /etc/pam.d/SERVICE, with Debian's common-* files."""
    conf.pam(service or name, text=(SOURCE / "conf/pam.d" / name).read_text())


@pytest.fixture
def example(conf):
    conf.nsbox(BOXED)
    return conf


def test_example_sshd(example, sshd, baseline):
    """conf/pam.d/sshd boxes; a user that cannot be boxed is refused before a session begins."""
    install(example, "sshd")
    assert is_boxed(sshd.ssh("alice", LOOK).out)
    assert not is_boxed(sshd.ssh("root", LOOK).out)
    example.nsbox(BOXED + "root = /srv/not-there\n")
    start = syslog.mark()
    assert sshd.ssh("alice", LOOK).rc == 255
    syslog.wait_for(r"pam_nsbox\(sshd:account\).*login of alice refused: .*not-there", start)


def test_example_login(example, baseline):
    """conf/pam.d/login boxes a login on a terminal."""
    install(example, "login")
    child = host.spawn("login")
    child.expect("login: ")
    child.sendline("bob")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect(r"\$ ")
    child.sendline(LOOK)
    child.expect(r"mnt:\[\d+\]\s+id=\w*")
    assert is_boxed(child.after)
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()


def test_example_su_sudo(example, baseline):
    """conf/pam.d/su (by itself and through su-l) and sudo box."""
    for name in ("su", "sudo"):
        install(example, name)
    example.sudoers("alice ALL=(ALL) NOPASSWD: ALL\n")
    for command in (["su", "carol", "-c", LOOK], ["su", "-", "carol", "-c", LOOK],
                    ["runuser", "-u", "alice", "--", "sudo", "-u", "carol", "sh", "-c", LOOK]):
        assert is_boxed(host.run(*command).out), command


def test_example_cron(example, baseline):
    """conf/pam.d/cron boxes a job."""
    install(example, "cron")
    found = pathlib.Path("/home/alice/job")
    example.file("/etc/cron.d/probe", f"@reboot alice ({LOOK}) >job.new; mv job.new job\n")
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    cron = subprocess.Popen(["cron", "-f"])
    try:
        host.wait_until(found.exists, what="the job has run")
        assert is_boxed(found.read_text())
    finally:
        cron.terminate()
        cron.wait(10)
        found.unlink(missing_ok=True)


def test_example_that_exempts_administrators(example, sshd, baseline):
    """conf/pam.d/sshd-admins-exempt: members of sudo are not boxed, and get in while nsbox.conf is broken, as root does;
    others are boxed, and refused then."""
    install(example, "sshd-admins-exempt", "sshd")
    group = re.sub(r"^(sudo:.*:)(\w*)$", lambda m: m[1] + ",".join(filter(None, [m[2], "alice"])),
                   pathlib.Path("/etc/group").read_text(), flags=re.M)
    example.file("/etc/group", group)
    assert not is_boxed(sshd.ssh("alice", LOOK).out)
    assert is_boxed(sshd.ssh("bob", LOOK).out)
    example.nsbox("[profile all]\nusers = *\nnetwrok = host\n")
    assert not is_boxed(sshd.ssh("alice", LOOK).out)
    assert not is_boxed(sshd.ssh("root", LOOK).out)
    assert sshd.ssh("bob", LOOK).rc == 255


def test_every_example_is_tested():
    """A new file in conf/pam.d needs a test above."""
    assert sorted(os.listdir(SOURCE / "conf/pam.d")) == ["cron", "login", "sshd", "sshd-admins-exempt", "su", "sudo"]


# -- the demonstration --


def test_demo(conf):
    """The part of tests/demo that runs in the throw-away host ends well; host and box differ in what it shows."""
    conf.pam("sshd")  # so that what the demo writes is taken back
    conf.nsbox("")
    result = host.run("python3", str(SOURCE / "tests/lib/demo.py"), timeout=60)
    host.run("ip", "link", "del", "uplink")
    pathlib.Path("/tmp/a-file-of-bob").unlink()
    assert result.rc == 0, result
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = {line[:LABEL].strip(): (line[LABEL + 2:LABEL + 2 + COLUMN].strip(), line[LABEL + 4 + COLUMN:].strip())
            for line in lines if re.match(r"\S[^-]{0,11}\s", line)}
    for label in ("host name", "this shell", "PID 1", "uts ns", "ipc ns", "mnt ns", "pid ns", "net ns", "cgroup ns",
                  "processes", "mounts", "who", "limit", "forks"):
        left, right = rows[label]
        assert left and right and left != right, (label, rows[label])
    assert "uplink 192.0.2.1/24" in result.out and rows["limit"][1] == "pids.max: 48"
    assert "what they were before the login" in result.out


def test_demo_needs_root(tmp_path):
    """Without root: one sentence, status 2."""
    script = pathlib.Path("/usr/local/bin/demo")
    shutil.copy(SOURCE / "tests/demo", script)
    result = host.run("runuser", "-u", "alice", "--", str(script))
    script.unlink()
    assert result.rc == 2 and result.out == "" and len(result.err.splitlines()) == 1 and "root" in result.err
