# SPDX-License-Identifier: BSD-3-Clause
"""The AppArmor profiles (conf/apparmor) in the virtual machine: switched on, and what the kernel says of them."""
import json
import pathlib
import re

SHIPPED = "/usr/share/doc/pam_nsbox/examples/apparmor.d"
DIRECTORY = "/etc/apparmor.d"
PROFILES = ("nsbox-builder", "nsbox-helper", "nsbox-init", "nsbox-monitor", "nsbox-unpack")
PROBE = pathlib.Path(__file__).with_name("probe.py")


def switch_on(vm):
    """As README.md says, before nsbox.service starts, so that its process is confined as well. Nothing that the kernel says
    may be left out because there is much of it."""
    vm.run("sysctl -w kernel.printk_ratelimit=0", check=True)
    vm.run(f"cp -r {SHIPPED}/. {DIRECTORY}/ && systemctl reload apparmor", check=True)
    vm.run("systemctl kill nsbox.service; while systemctl -q is-active nsbox.service; do sleep 0.2; done; "
           "systemctl start nsbox.service", check=True)
    assert modes(vm) == dict.fromkeys(PROFILES, "enforce")


def modes(vm):
    """{profile of ours: its mode}"""
    text = vm.run("cat /sys/kernel/security/apparmor/profiles", check=True).out
    return dict(re.findall(r"^(nsbox-\w+) \((\w+)\)$", text, re.M))


def label(vm, pid):
    return vm.read(f"/proc/{pid}/attr/apparmor/current").strip("\n\0")


def said(vm):
    """What the kernel has said of our profiles since the last call: denials, and what complain mode lets pass. Lines that say
    that something was left out are among them."""
    text = vm.run("dmesg --read-clear", check=True).out
    ours = [line for line in text.splitlines() if re.search('apparmor="(DENIED|ALLOWED|KILLED|ERROR)"', line) and "nsbox" in line]
    return ours + re.findall(r".*(?:audit_lost|backlog limit exceeded|callbacks suppressed).*", text)


def probe(vm, profile):
    """What root under this profile (None: under none) can do: {name: "" or the name of the error}. See probe.py."""
    vm.write("/usr/local/lib/probe.py", PROBE.read_text())
    change = f"aa-exec -p {profile} -- " if profile else ""
    result = vm.run(f"{change}/usr/bin/python3 -I -S /usr/local/lib/probe.py", check=True)
    return json.loads(result.out)
