# SPDX-License-Identifier: BSD-3-Clause
"""PAM stacks and nsbox.conf for the tests.

The templates need no file of the machine's /etc/pam.d, so every Debian gives the same result.
Each has a second module beside ours, because a stack whose only answer is IGNORE denies.
"""
import os
import pathlib
import shutil

PAM_DIRECTORY = "/etc/pam.d"
NSBOX_CONF = "/etc/security/nsbox.conf"
NSBOX_DROPINS = "/etc/security/nsbox.conf.d"
MODULE = "pam_nsbox.so"

# Services whose PAM_USER in the account phase is the one who gets the session. (In sudo's it
# is the caller.)
WITH_ACCOUNT = ("sshd", "login")

_UNIX = {"auth": ["required pam_unix.so"], "account": ["required pam_unix.so"], "session": ["required pam_unix.so"]}
_SU = {
    "auth": ["sufficient pam_rootok.so", "required pam_unix.so"],
    "account": ["sufficient pam_rootok.so", "required pam_unix.so"],
    "session": ["optional pam_keyinit.so revoke", "required pam_env.so", "required pam_unix.so"],
}
TEMPLATES = {
    "sshd": {
        "auth": ["required pam_unix.so"],
        "account": ["required pam_nologin.so", "required pam_unix.so"],
        "session": ["optional pam_loginuid.so", "optional pam_keyinit.so force revoke", "required pam_env.so",
                    "required pam_limits.so", "required pam_unix.so"],
    },
    "login": {
        "auth": ["requisite pam_nologin.so", "required pam_unix.so"],
        "account": ["required pam_unix.so"],
        "session": ["optional pam_loginuid.so", "required pam_env.so", "required pam_limits.so",
                    "optional pam_keyinit.so force revoke", "required pam_unix.so"],
    },
    "su": _SU,
    "su-l": _SU,
    "sudo": {
        "auth": ["required pam_unix.so"],
        "account": ["required pam_unix.so"],
        "session": ["required pam_env.so readenv=1", "required pam_limits.so", "required pam_unix.so"],
    },
    "cron": {
        "auth": ["required pam_unix.so"],
        "account": ["required pam_unix.so"],
        "session": ["optional pam_loginuid.so", "required pam_env.so", "required pam_limits.so",
                    "required pam_unix.so"],
    },
}


def stack(service, variant="two", words="", account=None, first=(), last=(), before_open=()):
    """The text of /etc/pam.d/SERVICE.

    variant   "two": `close` first and `open` last, as recommended; "one": one line for both, last; "none"
    words     further words of each of our lines: "debug conf=/x"
    account   our account line too; default: as WITH_ACCOUNT says, unless the variant is "none"
    first, before_open, last    whole lines at the top, before our last line, at the end
    """
    template = TEMPLATES.get(service, _UNIX)
    if account is None:
        account = service in WITH_ACCOUNT and variant != "none"
    ours = f"{MODULE} {words}".rstrip()
    lines = ["#%PAM-1.0", *first]
    lines += [f"auth {line}" for line in template["auth"]]
    lines += [f"account {line}" for line in template["account"]]
    lines += [f"account required {ours}"] if account else []
    lines += [f"session required {MODULE} close {words}".rstrip()] if variant == "two" else []
    lines += [f"session {line}" for line in template["session"]]
    lines += before_open
    lines += {
        "two": [f"session required {MODULE} open {words}".rstrip()],
        "one": [f"session required {ours}"],
        "none": [],
    }[variant]
    lines += ["password required pam_unix.so", *last]
    return "\n".join(lines) + "\n"


class Configuration:
    """Writes files of /etc and puts back what was there before."""

    def __init__(self):
        self._saved = {}
        self._made = []

    def _save(self, path):
        if path in self._saved:
            return
        exists = os.path.lexists(path)
        self._saved[path] = (pathlib.Path(path).read_bytes(), os.stat(path)) if exists else None

    def file(self, path, text, mode=0o644, uid=0, gid=0):
        """Writes a file, owner root and mode 0644 unless told otherwise."""
        self._save(path)
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            os.makedirs(directory, 0o755)
            self._made.append(directory)
        data = text.encode() if isinstance(text, str) else text
        pathlib.Path(path).unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        return path

    def remove(self, path):
        self._save(path)
        pathlib.Path(path).unlink(missing_ok=True)

    def pam(self, *services, text=None, **options):
        """Stacks for these services: `text`, or stack(service, **options)."""
        for service in services:
            self.file(f"{PAM_DIRECTORY}/{service}", stack(service, **options) if text is None else text)

    def pam_all(self, **options):
        self.pam(*TEMPLATES, **options)

    def nsbox(self, text, **options):
        """/etc/security/nsbox.conf. NSBOX_SECCOMP: the value of that key, where the text does not say it."""
        level = os.environ.get("NSBOX_SECCOMP")
        if level and isinstance(text, str) and "seccomp =" not in text and "[defaults]" not in text:
            text = f"{text}\n[defaults]\nseccomp = {level}\n"
        return self.file(NSBOX_CONF, text, **options)

    def dropin(self, name, text, **options):
        return self.file(f"{NSBOX_DROPINS}/{name}", text, **options)

    def sudoers(self, text):
        return self.file("/etc/sudoers.d/nsbox-test", text, mode=0o440)

    def restore(self):
        for path, before in reversed(self._saved.items()):
            pathlib.Path(path).unlink(missing_ok=True)
            if before:
                data, info = before
                pathlib.Path(path).write_bytes(data)
                os.chown(path, info.st_uid, info.st_gid)
                os.chmod(path, info.st_mode & 0o7777)
        for directory in reversed(self._made):
            shutil.rmtree(directory, ignore_errors=True)
        self._saved.clear()
        self._made.clear()
