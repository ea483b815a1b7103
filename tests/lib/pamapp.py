# SPDX-License-Identifier: BSD-3-Clause
"""A PAM application that looks at itself: what did the module leave behind in it?

App() is the handle in the test; run as a program, this file is the application (one thread, imports done before the
first stack runs). It takes one command a line on stdin and answers each with one line of JSON.
"""
import ctypes
import json
import os
import subprocess
import sys

PAM_SUCCESS, PAM_OPEN_ERR, PAM_SYSTEM_ERR, PAM_SERVICE_ERR, PAM_PERM_DENIED = 0, 1, 4, 3, 6
PAM_IGNORE, PAM_SESSION_ERR = 25, 14

# What the application takes upon itself when it has joined a box, and keeps: nothing of that can be taken back.
CONFINED = ("status CapBnd", "status Seccomp", "status Seccomp_filters")
# Lines of a profile under which the application is as before when a session is over, and may open another: what it takes upon
# itself otherwise stays.
SEVERAL_SESSIONS = "capabilities = all\nseccomp = off\n"

_VOLATILE = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", "State", "SigQ", "FDSize")


class App:
    """app.do("open", "su", "alice"): {"code": PAM code, "said": [...], "changed": {...}}; after an open that worked also
    "confined": what of it is the confinement that it keeps."""

    def __init__(self, wrapper=(), **options):
        self._process = subprocess.Popen([*wrapper, sys.executable, "-S", "-E", "-s", __file__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, **options)
        self.pid = self._process.pid
        self.do("warm")

    def do(self, *words):
        """account, open (and close again): SERVICE USER; hold: SERVICE USER, then release; drop: NUMBER; warm."""
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class _Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("code", ctypes.c_int)]


_CONVERSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(_Message)),
                             ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)


class _Conversation(ctypes.Structure):
    _fields_ = [("function", _CONVERSE), ("data", ctypes.c_void_p)]


class _Stack:
    """One PAM handle."""

    def __init__(self, service, user):
        self.said = []
        self._pam, self._libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
        self._libc.calloc.restype = ctypes.c_void_p
        self._conversation = _Conversation(_CONVERSE(self._converse), None)
        self._handle = ctypes.c_void_p()
        self._pam.pam_start(service.encode(), user.encode(), ctypes.byref(self._conversation),
                            ctypes.byref(self._handle))

    def _converse(self, count, messages, responses, _):
        self.said += [messages[i].contents.text.decode() for i in range(count)]
        responses[0] = self._libc.calloc(count, ctypes.sizeof(_Response))  # libpam frees it
        return PAM_SUCCESS

    def call(self, name, flags=0):
        return getattr(self._pam, name)(self._handle, flags)

    def end(self):
        self._pam.pam_end(self._handle, PAM_SUCCESS)


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _descriptors():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # that of the listing itself
    return found


def _environment():
    pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    words = []
    while pointer[len(words)] is not None:
        words.append(pointer[len(words)].decode())
    return sorted(words)


def _picture():
    """What a process has that a module could alter."""
    status = dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line)
    shown = {f"status {key}": value for key, value in status.items()
             if not key.startswith(("Vm", "Rss", "Huge")) and key not in _VOLATILE}
    root = os.stat("/")
    return {
        **shown,
        **{f"namespace {name}": os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))},
        "cgroup": _read("/proc/self/cgroup"),
        "directory": os.getcwd(),
        "root": [root.st_dev, root.st_ino, _read("/proc/self/mountinfo").splitlines()[0]],
        "descriptors": _descriptors(),
        "children": _read(f"/proc/self/task/{os.getpid()}/children"),
        "environment": _environment(),
        "limits": _read("/proc/self/limits"),
        "group and session": [os.getpgrp(), os.getsid(0)],
        "niceness": os.nice(0),
        "oom_score_adj": _read("/proc/self/oom_score_adj"),
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    }


class _Commands:
    """One method a command; each returns the answer."""

    _held = None

    def warm(self):
        ctypes.CDLL(None).syslog(7, b"a descriptor for syslog is the C library's, not the module's")
        _picture()
        return {}

    def drop(self, number):
        """Gives up a capability, which exec would give back to root."""
        libc, head, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        word, bit = divmod(int(number), 32)
        libc.capget(head, sets)
        for i in (0, 1):  # effective, permitted
            sets[3 * word + i] &= ~(1 << bit)
        return {"code": libc.capset(head, sets)}

    def account(self, service, user):
        before, stack = _picture(), _Stack(service, user)
        code = stack.call("pam_acct_mgmt")
        return self._answer(stack, code, before)

    def open(self, service, user):
        before, stack = _picture(), _Stack(service, user)
        code = stack.call("pam_open_session")
        stack.call("pam_close_session")
        answer = self._answer(stack, code, before)
        if code == PAM_SUCCESS:
            answer["confined"] = {key: answer["changed"].pop(key) for key in CONFINED if key in answer["changed"]}
        return answer

    def hold(self, service, user):
        before, stack = _picture(), _Stack(service, user)
        code = stack.call("pam_open_session")
        self._held = stack, before
        return {"code": code, "said": stack.said}

    def release(self):
        stack, before = self._held
        return self._answer(stack, stack.call("pam_close_session"), before)

    @staticmethod
    def _answer(stack, code, before):
        stack.end()
        after = _picture()
        changed = {key: [before.get(key), after.get(key)] for key in {**before, **after}
                   if before.get(key) != after.get(key)}
        return {"code": code, "said": stack.said, "changed": changed}


def _main():
    commands = _Commands()
    _picture()
    for line in sys.stdin:
        name, *words = line.split()
        print(json.dumps(getattr(commands, name)(*words)), flush=True)


if __name__ == "__main__":
    _main()
