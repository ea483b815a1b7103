/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/curated-view.h"

#define MAYBE NSB_STEP_OPTIONAL
#define LOOK  (NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NODEV)

#define DIRECTORY(path, mode, reason)                                                                                  \
	{                                                                                                              \
		0, NSB_OP_MKDIR, NULL, path, NULL, 0, mode, 0, reason                                                  \
	}
#define PROGRAMS(path)                                                                                                 \
	{                                                                                                              \
		0, NSB_OP_ALIAS, path, path, NULL, MAYBE | LOOK | NSB_STEP_RECURSIVE | NSB_STEP_IDMAP, 0, 0, "as on the host: link or tree" \
	}
/* A file or a directory of the host's /etc. None of them holds a secret or says who else may do what. */
#define SETTINGS(path, reason)                                                                                         \
	{                                                                                                              \
		0, NSB_OP_BIND, path, path, NULL, MAYBE | LOOK, 0, 0, reason                                           \
	}
/* The same; the host replaces it while boxes live. */
#define RENEWED(path, reason)                                                                                          \
	{                                                                                                              \
		0, NSB_OP_BIND, path, path, NULL, MAYBE | LOOK | NSB_STEP_RENEW, 0, 0, reason                          \
	}

const nsb_view_row nsb_curated_view[] = {
	/* when, op, src, dst, data, flags, mode, owned, why */
	DIRECTORY("/proc", 0755, "mount point"),
	DIRECTORY("/sys", 0755, "mount point"),
	DIRECTORY("/dev", 0755, "mount point"),
	DIRECTORY("/run", 0755, "mount point"),
	DIRECTORY("/tmp", 01777, "mount point"),
	DIRECTORY("/etc", 0755, "the list below, nothing else"),
	DIRECTORY("/home", 0755, "the user's home, no other"),
	DIRECTORY("/root", 0700, "root's home, if root is the user"),
	DIRECTORY("/mnt", 0755, "programs expect it"),
	DIRECTORY("/media", 0755, "programs expect it"),
	DIRECTORY("/opt", 0755, "bind_ro = /opt shows the host's"),
	DIRECTORY("/srv", 0755, "bind_ro = /srv shows the host's"),
	DIRECTORY("/var", 0755, "programs expect it"),
	DIRECTORY("/var/tmp", 01777, "mount point"),
	DIRECTORY("/var/log", 0755, "programs expect it"),
	DIRECTORY("/var/lib", 0755, "programs expect it"),
	DIRECTORY("/var/cache", 0755, "programs expect it"),
	{ 0, NSB_OP_SYMLINK, NULL, "/var/run", "/run", 0, 0, 0, "standard link" },
	{ 0, NSB_OP_SYMLINK, NULL, "/var/lock", "/run/lock", 0, 0, 0, "standard link" },

	{ 0, NSB_OP_BIND, "/usr", "/usr", NULL, LOOK | NSB_STEP_RECURSIVE | NSB_STEP_IDMAP, 0, 0, "programs and libraries of the host" },
	PROGRAMS("/bin"),
	PROGRAMS("/sbin"),
	PROGRAMS("/lib"),
	PROGRAMS("/lib32"),
	PROGRAMS("/lib64"),
	PROGRAMS("/libx32"),

	RENEWED("/etc/passwd", "names of accounts; see account_files"),
	RENEWED("/etc/group", "names of groups; see account_files"),
	SETTINGS("/etc/nsswitch.conf", "where names come from"),
	SETTINGS("/etc/hosts", "names of hosts"),
	SETTINGS("/etc/host.conf", "names of hosts"),
	SETTINGS("/etc/gai.conf", "names of hosts"),
	SETTINGS("/etc/networks", "names of networks"),
	SETTINGS("/etc/services", "names of services"),
	SETTINGS("/etc/protocols", "names of protocols"),
	SETTINGS("/etc/ethertypes", "names of protocols"),
	SETTINGS("/etc/rpc", "names of services"),
	{ NSB_VIEW_RESOLVER_HOST, NSB_OP_ALIAS, "/etc/resolv.conf", "/etc/resolv.conf", NULL, MAYBE | LOOK, 0, 0,
	  "name servers; often a link into /run" },
	SETTINGS("/etc/krb5.conf", "Kerberos realms; the keytab stays outside"),
	SETTINGS("/etc/krb5.conf.d", "Kerberos realms"),
	SETTINGS("/etc/ldap/ldap.conf", "LDAP clients"),
	SETTINGS("/etc/openldap/ldap.conf", "LDAP clients"),

	SETTINGS("/etc/localtime", "time zone"),
	SETTINGS("/etc/timezone", "time zone"),
	SETTINGS("/etc/locale.conf", "language"),
	SETTINGS("/etc/locale.alias", "language"),
	SETTINGS("/etc/default/locale", "language"),
	SETTINGS("/etc/os-release", "which system this is"),
	SETTINGS("/etc/debian_version", "which system this is"),
	SETTINGS("/etc/redhat-release", "which system this is"),
	SETTINGS("/etc/motd", "what the administrator says to everybody"),

	SETTINGS("/etc/ssl/certs", "certificates that programs trust; without the private keys"),
	SETTINGS("/etc/ssl/openssl.cnf", "TLS settings"),
	SETTINGS("/etc/pki/tls/certs", "certificates that programs trust"),
	SETTINGS("/etc/pki/tls/openssl.cnf", "TLS settings"),
	SETTINGS("/etc/pki/tls/cert.pem", "certificates that programs trust"),
	SETTINGS("/etc/pki/ca-trust", "certificates that programs trust"),
	SETTINGS("/etc/ca-certificates", "certificates that programs trust"),
	SETTINGS("/etc/ca-certificates.conf", "certificates that programs trust"),
	SETTINGS("/etc/crypto-policies", "TLS settings"),

	SETTINGS("/etc/alternatives", "which program a name in /usr/bin means"),
	SETTINGS("/etc/ld.so.cache", "where the libraries are"),
	SETTINGS("/etc/ld.so.conf", "where the libraries are"),
	SETTINGS("/etc/ld.so.conf.d", "where the libraries are"),
	SETTINGS("/etc/ld.so.preload", "the host's libraries, loaded as on the host"),

	SETTINGS("/etc/profile", "shells"),
	SETTINGS("/etc/profile.d", "shells"),
	SETTINGS("/etc/environment", "shells"),
	SETTINGS("/etc/bash.bashrc", "shells"),
	SETTINGS("/etc/bashrc", "shells"),
	SETTINGS("/etc/bash_completion", "shells"),
	SETTINGS("/etc/bash_completion.d", "shells"),
	SETTINGS("/etc/zsh", "shells"),
	SETTINGS("/etc/zshrc", "shells"),
	SETTINGS("/etc/zshenv", "shells"),
	SETTINGS("/etc/zprofile", "shells"),
	SETTINGS("/etc/fish", "shells"),
	SETTINGS("/etc/csh.cshrc", "shells"),
	SETTINGS("/etc/csh.login", "shells"),
	SETTINGS("/etc/shells", "which shells there are"),
	SETTINGS("/etc/skel", "what a new home begins with"),
	SETTINGS("/etc/login.defs", "umask and the like"),

	SETTINGS("/etc/inputrc", "line editing"),
	SETTINGS("/etc/terminfo", "terminals"),
	SETTINGS("/etc/DIR_COLORS", "ls"),
	SETTINGS("/etc/nanorc", "editors"),
	SETTINGS("/etc/vim", "editors"),
	SETTINGS("/etc/vimrc", "editors"),
	SETTINGS("/etc/emacs", "editors"),
	SETTINGS("/etc/gitconfig", "git"),
	SETTINGS("/etc/tmux.conf", "terminal multiplexers"),
	SETTINGS("/etc/screenrc", "terminal multiplexers"),
	SETTINGS("/etc/manpath.config", "man"),
	SETTINGS("/etc/man_db.conf", "man"),
	SETTINGS("/etc/groff", "man"),
	SETTINGS("/etc/ssh/ssh_config", "ssh clients; the host's keys stay outside"),
	SETTINGS("/etc/ssh/ssh_config.d", "ssh clients"),
	SETTINGS("/etc/ssh/ssh_known_hosts", "ssh clients"),
	SETTINGS("/etc/wgetrc", "downloads"),
	SETTINGS("/etc/mime.types", "kinds of files"),
	SETTINGS("/etc/magic", "kinds of files"),
	SETTINGS("/etc/magic.mime", "kinds of files"),
	SETTINGS("/etc/mailcap", "kinds of files"),
	SETTINGS("/etc/fonts", "fonts"),
	SETTINGS("/etc/papersize", "paper"),
	SETTINGS("/etc/perl", "languages"),
	SETTINGS("/etc/python3", "languages"),
	SETTINGS("/etc/pip.conf", "languages"),
	SETTINGS("/etc/npmrc", "languages"),
	{ 0, NSB_OP_SYMLINK, NULL, "/etc/mtab", "../proc/self/mounts", 0, 0, 0, "standard link" },

	{ 0, NSB_OP_BIND, "/var/lib/sss/pipes", "/var/lib/sss/pipes", NULL,
	  MAYBE | LOOK | NSB_STEP_NOEXEC | NSB_STEP_RENEW, 0, 0, "name service" },
	{ 0, NSB_OP_BIND, "/var/lib/sss/mc", "/var/lib/sss/mc", NULL, MAYBE | LOOK | NSB_STEP_NOEXEC | NSB_STEP_RENEW, 0, 0,
	  "name service" },
};
const size_t nsb_n_curated_view = sizeof(nsb_curated_view) / sizeof(nsb_curated_view[0]);

/* Programs that change the host's accounts, which are not here: each says so instead of failing with a riddle. */
#define INSTEAD "/run/host/account-tool"
#define REPLACED(path)                                                                                                 \
	{                                                                                                              \
		0, NSB_OP_BIND, INSTEAD, path, NULL, MAYBE | LOOK | NSB_STEP_SOURCE_IN_BOX, 0, 0,                      \
			"says what to do instead"                                                                      \
	}

const nsb_view_row nsb_curated_view_late[] = {
	{ 0, NSB_OP_FILE, NULL, INSTEAD,
	  "#!/bin/sh\n"
	  "echo \"${0##*/}: this session is in a box (nsbox) and the host's accounts are outside: \" \\\n"
	  "     \"log in where sessions are not boxed, or ask the administrator\" >&2\n"
	  "exit 1\n",
	  0, 0755, 0, "source of the next rows" },
	REPLACED("/usr/bin/passwd"),
	REPLACED("/usr/bin/chsh"),
	REPLACED("/usr/bin/chfn"),
	REPLACED("/usr/bin/chage"),
	REPLACED("/usr/bin/gpasswd"),
};
const size_t nsb_n_curated_view_late = sizeof(nsb_curated_view_late) / sizeof(nsb_curated_view_late[0]);
