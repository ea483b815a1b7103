# SPDX-License-Identifier: BSD-3-Clause
"""What a box costs beside the floor: the default one, and one of each kind that the configuration knows."""
import collections
import contextlib
import pathlib
import re
import subprocess
import tempfile

import turns
from lib import host, netlab, pamconf, trees

USER, OTHER = "alice", "bob"
ADOPTED = "floor, ready and adopted"  # what an application could not be spared if its box were made before it comes
SERVER = "bench-server"  # the service and profile of the box that others join

# name; lines of the profile, where {place} is an attribute of Places; whether the account hook runs before, in the same process, as in
# sshd and login; whose session is open meanwhile: USER's is in the same box, OTHER's in the server's; the service, where it is to be
# one that the module knows as a daemon's, not a name of its own
Box = collections.namedtuple("Box", "name lines account held service", defaults=(True, None, None))

LOOPBACK = "network = loopback\n"
VETH = "network = veth\nforwarding = set\n"
DEFAULT = Box("box: default", LOOPBACK, service="login")
BOXES = (
    DEFAULT,
    Box("box: default, no account hook", LOOPBACK, account=False),
    Box("box: root=host, overlay", f"{LOOPBACK}overlay = ephemeral\n"),
    Box("box: root=curated", f"{LOOPBACK}root = curated\n"),
    Box("box: root=directory", LOOPBACK + "root = {tree}\n"),
    Box("box: root=image", LOOPBACK + "root = {image}\n"),
    Box("box: root=layers, overlay", LOOPBACK + "layers = {layers}\noverlay = ephemeral\n"),
    Box("box: network=host", "network = host\n"),
    Box("box: network=veth", VETH),
    Box("box: network=veth, rules", f"{VETH}allow = host:53 192.0.2.10:443/tcp\ndeny = any:25/tcp 10.0.0.0/8\n"),
    Box("box: network=bridge:NAME", "network = bridge:{bridge}\nforwarding = set\nnetwork_pool = {bridge_pool}\n"),
    Box("box: network=netns:NAME", "network = netns:{netns}\n"),
    Box("box: network=join:USER", f"network = join:{OTHER}\n", held=OTHER),
    Box("box: user_namespace=keep-id", f"{LOOPBACK}user_namespace = keep-id\n"),
    Box("box: seccomp=strict", f"{LOOPBACK}seccomp = strict\n"),
    Box("box: seccomp=off", f"{LOOPBACK}seccomp = off\n"),
    Box("box: share=user, a join", f"{LOOPBACK}share = user\n", held=USER),
)


class Places:
    """What profiles name: made when one does, and undone with the stack. On a file system of its own, because the throw-away host's is an
    overlay."""

    TOP = pathlib.Path("/srv/bench")

    def __init__(self, stack):
        self._stack = stack
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = getattr(self, f"_{name}")()
        return self._made[name]

    def _run(self, *command, undo=()):
        host.run(*command, check=True)
        if undo:
            self._stack.callback(host.run, *undo)

    def _top(self):
        self.TOP.mkdir(mode=0o755)
        self._stack.callback(self.TOP.rmdir)
        self._run("mount", "-t", "tmpfs", "-o", "mode=0755", "bench", str(self.TOP), undo=("umount", str(self.TOP)))
        return trees.Trees(self.TOP)

    def _tree(self):
        tree = self["top"].make("tree")
        (tree / "bin/bash").symlink_to("busybox")  # the user's shell has to be there
        return tree

    def _image(self):
        return self["top"].squashfs(self["tree"])

    def _layers(self):
        return f"{self['top'].make('upper', bare=True)}:{self['tree']}"

    def _slash(self):
        """The throw-away host's own tree, for those who do not take "/"."""
        path = f"{self['top'].make('slash', bare=True)}"
        self._run("mount", "--bind", "/", path, undo=("umount", path))
        return path

    def _netns(self):
        self._run("ip", "netns", "add", "bench", undo=("sh", "-c", "ip netns delete bench; umount /run/netns; rmdir /run/netns"))
        return "bench"

    def _bridge(self):
        self._run("ip", "link", "add", "bench0", "type", "bridge", undo=("ip", "link", "delete", "bench0"))
        for address in (f"{netlab.BRIDGE[0]}/24", f"{netlab.BRIDGE[1]}/64"):
            self._run("ip", "address", "add", address, "dev", "bench0", *(["nodad"] if ":" in address else []))
        self._run("ip", "link", "set", "bench0", "up")
        return "bench0"

    def _bridge_pool(self):
        return " ".join(netlab.BRIDGE_POOL)


class Arena:
    """One PAM service and one profile for each of these boxes, and the sessions that they want to be there. A context; arena.arguments(box)
    is the contestant."""

    def __init__(self, boxes, words=""):
        self._boxes, self._words = boxes, words
        self._stack = contextlib.ExitStack()
        self.places = Places(self._stack)
        self.conf = pamconf.Configuration()

    def _service(self, box):
        return box.service or f"bench{self._boxes.index(box)}"

    def arguments(self, box):
        return "session", self._service(box), USER, *(["account"] if box.account else [])

    def pam(self, service, *session):
        """A stack whose session part is these lines."""
        self.conf.pam(service, text="auth required pam_permit.so\naccount required pam_permit.so\n" + "".join(f"{line}\n" for line in session))

    def _write(self):
        text = f"[profile {SERVER}]\nusers = {OTHER}\nservices = {SERVER}\n{LOOPBACK}\n"
        for box in self._boxes:
            name = self._service(box)
            text += f"[profile {name}]\nusers = {USER}\nservices = {name}\n{box.lines.format_map(self.places)}\n"
        ours = f"pam_nsbox.so {self._words}".rstrip()
        for service in (SERVER, *map(self._service, self._boxes)):
            self.pam(service, f"account required {ours}", f"session required {ours}")
        self.conf.nsbox(text)
        checked = host.run("nsboxctl", "check")
        if checked.rc != 0:
            raise SystemExit(f"bench: {checked.out}{checked.err}")

    def hold(self, service, user, number=1):
        """So many sessions, which last as long as the arena, or until the contestant is ended that is returned."""
        holder = self._stack.enter_context(turns.Contestant("hold", service, user, "account"))
        for _ in range(number):
            holder.round()
        return holder

    def child(self, *command):
        """A process that lives as long as the arena."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)

    def __enter__(self):
        with contextlib.ExitStack() as failed:
            failed.callback(self._stack.close)
            self._stack.callback(_wait_no_boxes)
            self._stack.callback(self.conf.restore)
            self._write()
            for box in self._boxes:
                if box.held:
                    self.hold(SERVER if box.held == OTHER else self._service(box), box.held)
            failed.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()


def _wait_no_boxes():
    """Boxes end by themselves after their last session; what they need is taken away after that."""
    registry = pathlib.Path("/run/nsbox/boxes")
    host.wait_until(lambda: not registry.exists() or not list(registry.iterdir()), timeout=60, what="all boxes have ended")
    host.run("nft", "flush", "ruleset")


def chosen(only):
    return [box for box in BOXES if re.search(only, box.name)]


def adopted(place):
    """The arguments of its contestant; `place`: a directory for the filter of system calls that a default box has."""
    program = pathlib.Path(place, "filter")
    with program.open("wb") as file:
        subprocess.run(["/usr/libexec/nsbox/nsbox-seccomp", "default", "core"], stdout=file, check=True)
    return "adopt", *turns.floor()[1:], str(program)


def run(arguments):
    boxes, found = chosen(arguments.only), {}
    with Arena(boxes) as arena, tempfile.TemporaryDirectory() as place:
        wanted = {turns.FLOOR: turns.floor()}
        if re.search(arguments.only, ADOPTED):
            wanted[ADOPTED] = adopted(place)
        wanted.update({box.name: arena.arguments(box) for box in boxes})
        for way, pause in turns.WAYS.items():
            found[way] = turns.measure(f"boxes, {way}", wanted, arguments.rounds, pause)
    return found
