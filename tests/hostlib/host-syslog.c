/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host-syslog: the syslogd of the throw-away host. One datagram on /dev/log is one line of
 * /var/log/captured:
 *
 *     authpriv.notice sshd[1234] text
 *
 * The number is the sender's real pid, by SCM_CREDENTIALS, as seen here (a sender in a PID
 * namespace below says another one: then " (says pid N)" follows the bracket). Goes into the
 * background once it listens; its pid is in /run/host-syslog.pid. SIGTERM ends it and removes
 * the socket, as real ones do.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define SOCKET_PATH "/dev/log"
#define LOG_PATH "/var/log/captured"
#define PID_PATH "/run/host-syslog.pid"

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
};
static const char *const priorities[] = {
	"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
};

static void fail(const char *what)
{
	fprintf(stderr, "host-syslog: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;

	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(path);
	if (chmod(path, 0666) < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		fail(path);
	return fd;
}

/* Reads one datagram; returns its length. *pid is 0 where the sender cannot be seen from here. */
static ssize_t receive(int fd, char *text, size_t size, pid_t *pid)
{
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec vector = { text, size - 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t length = recvmsg(fd, &message, 0);
	struct cmsghdr *header;
	struct ucred credentials;

	*pid = 0;
	if (length < 0)
		return length;
	text[length] = '\0';
	for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&credentials, CMSG_DATA(header), sizeof(credentials));
			*pid = credentials.pid;
		}
	}
	return length;
}

/* "<PRI>" -> number, the rest in *text; without it user.notice, as RFC 3164 says. */
static unsigned priority_of(char **text)
{
	char *end;
	unsigned long value;

	if (**text != '<')
		return LOG_USER | LOG_NOTICE;
	value = strtoul(*text + 1, &end, 10);
	if (*end != '>' || value >= sizeof(facilities) / sizeof(facilities[0]) * 8)
		return LOG_USER | LOG_NOTICE;
	*text = end + 1;
	return (unsigned)value;
}

/* "Mmm dd hh:mm:ss " is 16 characters; logger(1) and libc both send it. */
static char *after_time(char *text)
{
	return strlen(text) > 16 && text[3] == ' ' && text[9] == ':' && text[12] == ':' && text[15] == ' ' ? text + 16 : text;
}

/* Splits "ident[12]: words" in place. Returns the words; *said is 0 if no pid was given. */
static char *split_ident(char *text, const char **ident, long *said)
{
	char *cursor = text + strcspn(text, "[: ");

	*ident = text;
	*said = 0;
	if (cursor == text || *cursor == ' ' || *cursor == '\0') {
		*ident = "-";
		return text;
	}
	if (*cursor == '[') {
		*cursor++ = '\0';
		*said = strtol(cursor, &cursor, 10);
		if (*cursor == ']')
			cursor++;
	}
	if (*cursor == ':')
		*cursor++ = '\0';
	return *cursor == ' ' ? cursor + 1 : cursor;
}

/* A message cannot fake a second line. */
static void print_words(FILE *out, const char *words)
{
	size_t length = strlen(words);

	while (length > 0 && words[length - 1] == '\n')
		length--;
	for (; length > 0; words++, length--) {
		if (iscntrl((unsigned char)*words) && *words != '\t')
			fprintf(out, "#%03o", (unsigned)(unsigned char)*words);
		else
			putc(*words, out);
	}
	putc('\n', out);
}

static void write_line(FILE *out, char *text, pid_t pid)
{
	unsigned priority = priority_of(&text);
	const char *ident;
	long said;
	char *words = split_ident(after_time(text), &ident, &said);

	fprintf(out, "%s.%s %s[%ld]", facilities[priority >> 3], priorities[priority & 7], ident, (long)pid);
	if (said != 0 && said != pid)
		fprintf(out, " (says pid %ld)", said);
	putc(' ', out);
	print_words(out, words);
	fflush(out); /* one write: tests read the file while we run */
}

static void end(int number)
{
	(void)number;
	unlink(SOCKET_PATH);
	unlink(PID_PATH);
	_exit(0);
}

static void write_pid(void)
{
	FILE *file = fopen(PID_PATH, "we");

	if (!file)
		fail(PID_PATH);
	fprintf(file, "%ld\n", (long)getpid());
	fclose(file);
}

int main(void)
{
	static char text[65536];
	int fd = listen_at(SOCKET_PATH);
	FILE *out = fopen(LOG_PATH, "ae");
	pid_t pid;

	if (!out)
		fail(LOG_PATH);
	if (daemon(0, 0) < 0)
		fail("daemon");
	signal(SIGTERM, end);
	write_pid();
	for (;;)
		if (receive(fd, text, sizeof(text), &pid) >= 0)
			write_line(out, text, pid);
}
