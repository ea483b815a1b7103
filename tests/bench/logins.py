# SPDX-License-Identifier: BSD-3-Clause
"""Logins by a real sshd: one that boxes, and one whose PAM stack is the same without our lines."""
import pathlib

import boxes
import turns
from lib import sshd

STACK = pathlib.Path(__file__).parents[2] / "conf/pam.d/sshd"
SERVICES = {"unboxed": "bench-sshd", "boxed": "sshd"}  # the first is what the other is compared to
CIPHER = "aes128-gcm@openssh.com"  # with curve25519-sha256 and Ed25519 keys (lib/sshd.py): all three are fast; the difference is wanted
AT_ONCE = (1, 4, 16)
TURN = 3  # logins of each that are at work, in a turn


def stack(boxed):
    lines = STACK.read_text(encoding="ascii").splitlines()
    return "".join(f"{line}\n" for line in lines if boxed or "pam_nsbox.so" not in line)


def _throughput(commands, at_once, turns_wanted):
    """Logins per second of each, as the medians of turns of so many logins."""
    number = TURN * at_once
    rounds = turns.take_turns({name: ("crowd", str(at_once), str(number), *command) for name, command in commands.items()}, turns_wanted, 0)
    found = {name: number / (turns.quantile([turns.total(one) for one in some], 0.5) / 1e6) for name, some in rounds.items()}
    found["ratio"] = found["boxed"] / found["unboxed"]
    print(f"{at_once:>3} at a time: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    return found


def run(arguments):
    found = {"key exchange": "curve25519-sha256", "cipher": CIPHER}
    servers = {}
    with boxes.Arena([]) as arena:
        arena.conf.nsbox(f"[profile ssh]\nusers = {boxes.USER}\nservices = sshd\n{boxes.LOOPBACK}")
        try:
            for name, service in SERVICES.items():
                arena.conf.pam(service, text=stack(name == "boxed"))
                servers[name] = sshd.Sshd(service, config="PerSourceMaxStartups none")
            if [bool(servers[name].ssh(boxes.USER, "echo $NSBOX_ID").out.strip()) for name in SERVICES] != [False, True]:
                raise SystemExit("bench: ssh: not one that boxes and one that does not")
            commands = {name: server.command(boxes.USER, "true", opts=("-c", CIPHER)) for name, server in servers.items()}
            for way, pause in turns.WAYS.items():
                found[way] = turns.measure(f"ssh host true, {way}", {name: ("command", *words) for name, words in commands.items()},
                                           arguments.rounds, pause)
            print(f"\nlogins per second by ssh, {max(1, arguments.rounds // 10)} turns")
            found["logins per second"] = {str(number): _throughput(commands, number, max(1, arguments.rounds // 10)) for number in AT_ONCE}
        finally:
            for server in servers.values():
                server.stop()
    return found
