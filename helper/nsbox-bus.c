/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the helper asks of logind and of systemd, in a program of its own: libsystemd has no business in a login on a
 * host without systemd.
 *
 *   nsbox-bus leader PID		is this the leader of a session? Prints the scope's unit and its control group
 *   nsbox-bus set UNIT KEY=VALUE...	prints the present limits in the same syntax, then sets all of them by one call
 *   nsbox-bus freeze|thaw UNIT
 *
 * A run has three stages: the arguments are read (2: wrong usage), the bus is entered, the subcommand's calls are made.
 * Only the last call of a subcommand changes anything. Whatever bus, logind and systemd do, it ends within
 * 5 s.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "common/error.h"
#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"
#include "helper/bus-call.h"
#include "helper/bus-values.h"
#include "helper/bus-wire.h"

#define WHOLE_PATIENCE 4500 /* ms, everything */

#define EXIT_PROBLEM 1
#define EXIT_USAGE   2
#define EXIT_NO	     3 /* no session; with words: no such unit */

#define UNIT_NAME_MAX 255 /* systemd's */

static const bus_service logind = { "org.freedesktop.login1", "/org/freedesktop/login1",
				    "org.freedesktop.login1.Manager", "logind", "systemctl status systemd-logind" };
static const bus_service manager = { "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				     "org.freedesktop.systemd1.Manager", "systemd", "journalctl -b _PID=1" };

/* Kinds of units, by the end of their names: the interface that has their limits. */
static const struct kind {
	const char *suffix, *interface;
} kinds[] = {
	{ ".scope", "org.freedesktop.systemd1.Scope" },
	{ ".slice", "org.freedesktop.systemd1.Slice" },
};

/* --- units --- */

/* The row of `kinds`; NULL if this is no name that is taken here. */
static const struct kind *unit_kind(const char *name)
{
	size_t length = strlen(name);

	if (length > UNIT_NAME_MAX ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.@-") != length)
		return NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t end = strlen(kinds[i].suffix);

		if (length > end && strcmp(name + length - end, kinds[i].suffix) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* The unit's object path. A unit that is not loaded is an error: systemd would load an empty one of that name. */
static int unit_path(const bus_connection *c, const char *unit, char **ret)
{
	BUS_CLEANUP_MESSAGE sd_bus_message *message = NULL, *reply = NULL;
	const char *path;
	int r = bus_new_call(c, &manager, "GetUnit", &message);

	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "s", unit);
	if (r >= 0)
		r = bus_call(c, &manager, "GetUnit", message, NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_failed(c, &manager, "GetUnit", r, NULL);
	*ret = strdup(path);
	return *ret == NULL ? nsb_error_set(c->error, ENOMEM, "no memory") : 0;
}

/* --- leader --- */

/* 0 with *ret; EXIT_NO if the process is in no session. */
static int session_of(const bus_connection *c, uint32_t pid, char **ret)
{
	BUS_CLEANUP_ERROR sd_bus_error told = SD_BUS_ERROR_NULL;
	BUS_CLEANUP_MESSAGE sd_bus_message *message = NULL, *reply = NULL;
	const char *path;
	int r = bus_new_call(c, &logind, "GetSessionByPID", &message);

	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "u", pid);
	if (r >= 0)
		r = bus_call(c, &logind, "GetSessionByPID", message, &told, &reply);
	if (sd_bus_error_has_name(&told, "org.freedesktop.login1.NoSessionForPID"))
		return EXIT_NO;
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_failed(c, &logind, "GetSessionByPID", r, NULL);
	*ret = strdup(path);
	return *ret == NULL ? nsb_error_set(c->error, ENOMEM, "no memory") : 0;
}

static int session_leader(const bus_connection *c, const char *session, uint32_t *ret)
{
	BUS_CLEANUP_MESSAGE sd_bus_message *reply = NULL;
	int r = bus_get_property(c, &logind, session, "org.freedesktop.login1.Session", "Leader", "u", &reply);

	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "u", ret);
	return r < 0 ? bus_failed(c, &logind, "Leader", r, NULL) : 0;
}

/* Where the unit's processes are. */
static int control_group(const bus_connection *c, const char *unit, char **ret)
{
	const struct kind *kind = unit_kind(unit);
	NSB_FREE char *path = NULL;
	int r;

	if (kind == NULL)
		return nsb_error_set(c->error, EPROTO, "logind names \"%s\" as the unit of the session", unit);
	r = unit_path(c, unit, &path);
	if (r == 0)
		r = bus_get_string(c, &manager, path, kind->interface, "ControlGroup", ret);
	if (r == 0 && ((*ret)[0] != '/' || strchr(*ret, '\n') != NULL))
		return nsb_error_set(c->error, ENOENT, "%s has no control group", unit);
	return r;
}

static int run_leader(const bus_connection *c, char **words)
{
	NSB_FREE char *session = NULL, *unit = NULL, *group = NULL;
	uint32_t leader = 0;
	uint64_t pid = 0;
	int r;

	nsb_parse_u64(words[0], INT32_MAX, &pid);
	r = session_of(c, (uint32_t)pid, &session);
	if (r == 0)
		r = session_leader(c, session, &leader);
	if (r != 0)
		return r;
	if (leader != pid)
		return EXIT_NO;
	r = bus_get_string(c, &logind, session, "org.freedesktop.login1.Session", "Scope", &unit);
	if (r == 0)
		r = control_group(c, unit, &group);
	if (r == 0)
		printf("%s\n%s\n", unit, group);
	return r;
}

/* --- set --- */

/* What the unit has now of the properties in `wanted`. */
static int read_present(const bus_connection *c, const char *unit, const bus_values *wanted, bus_values *present)
{
	NSB_FREE char *path = NULL;
	int r = unit_path(c, unit, &path);

	for (size_t row = 0; row < BUS_ROWS && r == 0; row++) {
		BUS_CLEANUP_MESSAGE sd_bus_message *reply = NULL;

		if (!wanted->has[row])
			continue;
		r = bus_get_property(c, &manager, path, unit_kind(unit)->interface, bus_rows[row].property,
				     bus_rows[row].type, &reply);
		if (r < 0)
			return r;
		r = bus_wire_read(reply, present, row);
		if (r < 0)
			return bus_failed(c, &manager, bus_rows[row].property, r, NULL);
		present->has[row] = true;
		r = 0;
	}
	return r;
}

/* All of them by one call, of which systemd applies nothing if it does not take everything. */
static int write_wanted(const bus_connection *c, const char *unit, const bus_values *wanted)
{
	BUS_CLEANUP_MESSAGE sd_bus_message *message = NULL, *reply = NULL;
	int r = bus_new_call(c, &manager, "SetUnitProperties", &message);

	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "sb", unit, true); /* runtime: gone with the unit or the next boot */
	if (r >= 0)
		r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "(sv)");
	for (size_t row = 0; row < BUS_ROWS && r >= 0; row++)
		if (wanted->has[row])
			r = bus_wire_append(message, wanted, row);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = bus_call(c, &manager, "SetUnitProperties", message, NULL, &reply);
	return r < 0 ? bus_failed(c, &manager, "SetUnitProperties", r, NULL) : 0;
}

static int flush_output(nsb_error *error)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return nsb_error_set(error, EIO, "cannot write to standard output: %s", strerror(errno));
	return 0;
}

static bus_values wanted, present;

static int run_set(const bus_connection *c, char **words)
{
	int r = read_present(c, words[0], &wanted, &present);

	if (r < 0)
		return r;
	bus_values_print(&present, stdout);
	/* whoever wants to undo must have these lines before anything changes */
	r = flush_output(c->error);
	/* -- from here on the unit changes -- */
	return r < 0 ? r : write_wanted(c, words[0], &wanted);
}

/* --- freeze, thaw --- */

static int call_for_unit(const bus_connection *c, const char *method, const char *unit)
{
	BUS_CLEANUP_MESSAGE sd_bus_message *message = NULL, *reply = NULL;
	int r = bus_new_call(c, &manager, method, &message);

	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "s", unit);
	if (r >= 0)
		r = bus_call(c, &manager, method, message, NULL, &reply);
	return r < 0 ? bus_failed(c, &manager, method, r, NULL) : 0;
}

static int run_freeze(const bus_connection *c, char **words)
{
	return call_for_unit(c, "FreezeUnit", words[0]);
}

static int run_thaw(const bus_connection *c, char **words)
{
	return call_for_unit(c, "ThawUnit", words[0]);
}

/* --- arguments --- */

static int check_pid(char **words, nsb_error *error)
{
	uint64_t pid;

	if (nsb_parse_u64(words[0], INT32_MAX, &pid) < 0 || pid < 2)
		return nsb_error_set(error, EINVAL, "\"%s\" is no PID", words[0]);
	return 0;
}

static int check_unit(char **words, nsb_error *error)
{
	if (unit_kind(words[0]) == NULL)
		return nsb_error_set(error, EINVAL, "\"%s\" is not the name of a scope or slice", words[0]);
	return 0;
}

static int check_set(char **words, nsb_error *error)
{
	int r = check_unit(words, error);

	for (words++; *words != NULL && r == 0; words++)
		r = bus_values_parse(&wanted, *words, error);
	return r;
}

static const struct subcommand {
	const char *name, *arguments;
	int least, most; /* words behind the name */
	int (*check)(char **words, nsb_error *error);
	int (*run)(const bus_connection *c, char **words);
} subcommands[] = {
	{ "leader", "PID", 1, 1, check_pid, run_leader },
	{ "set", "UNIT KEY=VALUE...", 2, 256, check_set, run_set },
	{ "freeze", "UNIT", 1, 1, check_unit, run_freeze },
	{ "thaw", "UNIT", 1, 1, check_unit, run_thaw },
};

static const struct subcommand *find_subcommand(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (argc >= 2 && strcmp(argv[1], subcommands[i].name) == 0 && argc - 2 >= subcommands[i].least &&
		    argc - 2 <= subcommands[i].most)
			return &subcommands[i];
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		fprintf(stderr, "usage: nsbox-bus %s %s\n", subcommands[i].name, subcommands[i].arguments);
	return NULL;
}

static int tell(nsb_error *error, int status)
{
	nsb_make_printable(error->words);
	fprintf(stderr, "nsbox-bus: %s\n", error->words);
	return status;
}

static int serve(const struct subcommand *subcommand, char **words, nsb_error *error)
{
	BUS_CLEANUP_BUS sd_bus *bus = NULL;
	bus_connection c = { .end = nsb_now() + WHOLE_PATIENCE, .error = error };
	int r = bus_enter(&c);

	bus = c.bus;
	if (r == 0)
		r = subcommand->run(&c, words);
	if (r == 0)
		r = flush_output(error);
	return r;
}

int main(int argc, char **argv)
{
	const struct subcommand *subcommand = find_subcommand(argc, argv);
	nsb_error error = { 0 };
	int r;

	if (subcommand == NULL)
		return EXIT_USAGE;
	/* a closed pipe is a sentence, not a death; libsystemd finds nothing that leads it elsewhere */
	signal(SIGPIPE, SIG_IGN);
	if (clearenv() != 0)
		return EXIT_PROBLEM;
	r = subcommand->check(argv + 2, &error);
	if (r == -ENOMEM)
		return tell(&error, EXIT_PROBLEM);
	if (r < 0)
		return tell(&error, EXIT_USAGE);
	r = serve(subcommand, argv + 2, &error);
	bus_values_done(&wanted);
	bus_values_done(&present);
	return r < 0 ? tell(&error, r == -ESTALE ? EXIT_NO : EXIT_PROBLEM) : r;
}
