/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our lines among the others. libpam runs a stack from top to bottom, at the beginning of a session and at its end: what
 * stands behind "open" begins, and what stands before "close" ends, in the box, as root. Source: pam.conf(5).
 */
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/service-table.h"
#include "common/string-util.h"
#include "ctl/pam-stacks.h"

typedef struct judge {
	const char *service;
	const pam_stack *stack;
	pam_tell *tell;
	void *argument;
	size_t n;
} judge;

static void say(judge *j, const pam_line *at, finding_severity severity, char *sentence, const char *remedy)
{
	NSB_FREE char *owned = sentence;

	j->n++;
	j->tell(j->argument, j->service, at, severity,
		owned != NULL ? owned : "there is no memory to say what is wrong", remedy);
}

static bool is_type(const pam_line *line, const char *type)
{
	return strcmp(line->type, type) == 0;
}

static bool is_ours(const pam_line *line)
{
	return pam_line_is(line, PAM_NSBOX);
}

/* Whether the line begins or ends a box, as far as its words say. */
static bool does(const pam_line *line, const char *word)
{
	const char *other = strcmp(word, "open") == 0 ? "close" : "open";

	return pam_line_has(line, word) || !pam_line_has(line, other);
}

/* --- the control --- */

/* What our module says when somebody could not be boxed, by phase: pam_nsbox.c, `codes`. */
static const struct {
	const char *type, *value;
} refusals[] = {
	{ "session", "system_err" },
	{ "session", "service_err" },
	{ "account", "perm_denied" },
};

static bool refuses(const char *action)
{
	return strcmp(action, "bad") == 0 || strcmp(action, "die") == 0;
}

static void look_at_control(judge *j, const pam_line *line)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char action[PAM_ACTION_SIZE];

		if (!is_type(line, refusals[i].type) || (is_type(line, "session") && !does(line, "open")))
			continue;
		pam_control_action(line->control, refusals[i].value, action);
		if (refuses(action))
			continue;
		say(j, line, FINDING_PROBLEM,
		    nsb_format("the control \"%s\" lets in unboxed who could not be boxed: it takes %s for \"%s\"",
			       line->control, refusals[i].value, action),
		    "write \"required\" instead");
		return;
	}
}

static void look_at_controls(judge *j)
{
	for (size_t i = 0; i < j->stack->n; i++)
		if (is_ours(&j->stack->lines[i]))
			look_at_control(j, &j->stack->lines[i]);
}

/* --- passed over --- */

/* Whether a substack that ends, ends the one that the line is in. */
static bool is_within(const pam_stack *stack, const pam_line *line, size_t level)
{
	size_t at = line->level;

	while (at != level && at != 0)
		at = stack->parents[at];
	return at == level;
}

/* How many lines of the same stack, with its substacks as they are, stand between two. */
static size_t distance(const pam_stack *stack, const pam_line *from, const pam_line *to)
{
	size_t n = 0;

	for (const pam_line *line = from + 1; line < to; line++)
		n += is_type(line, to->type) && line->level == from->level;
	(void)stack;
	return n;
}

/* A line above, by whose success ours is not reached. */
static void look_above(judge *j, const pam_line *ours, const pam_line *above)
{
	char action[PAM_ACTION_SIZE];
	uint64_t jump;

	if (!is_type(above, ours->type) || is_ours(above))
		return;
	pam_control_action(above->control, "success", action);
	if (strcmp(action, "done") == 0 && is_within(j->stack, ours, above->level))
		say(j, above, FINDING_PROBLEM,
		    nsb_format("%s ends the stack when it succeeds: %s in line %u of %s is not reached, and nobody is "
			       "boxed then",
			       above->module, PAM_NSBOX, ours->line, ours->file),
		    "write \"required\" or \"optional\" there, or move the line behind that of " PAM_NSBOX);
	if (nsb_parse_u64(action, PAM_LINES_MAX, &jump) == 0 && above->level == ours->level &&
	    jump > distance(j->stack, above, ours))
		say(j, above, FINDING_NOTE,
		    nsb_format("when %s succeeds, %s in line %u of %s is skipped: those users are not boxed",
			       above->module, PAM_NSBOX, ours->line, ours->file),
		    "nothing if that is meant (administrators who are exempt); otherwise remove both lines of the "
		    "pair");
}

static void look_at_skips(judge *j)
{
	for (size_t i = 0; i < j->stack->n; i++) {
		const pam_line *ours = &j->stack->lines[i];

		if (!is_ours(ours) || (is_type(ours, "session") && !does(ours, "open")))
			continue;
		for (size_t k = 0; k < i; k++)
			look_above(j, ours, &j->stack->lines[k]);
	}
}

/* --- before and behind --- */

/* Modules that neither look at a tree nor keep anything. */
static const char *const harmless[] = { "pam_permit.so", "pam_deny.so", "pam_succeed_if.so", "pam_warn.so",
					"pam_debug.so" };

/* What is known to go wrong in the box. */
static const struct {
	const char *module, *consequence;
} known[] = {
	{ "pam_systemd.so", "logind gets to know of the session too late, or not at all" },
	{ "pam_mkhomedir.so", "the home is made in the box, not on the host" },
	{ "pam_oddjob_mkhomedir.so", "the home is made in the box, not on the host" },
	{ "pam_limits.so", "limits.conf is that of the box's root" },
	{ "pam_env.so", "environment files are those of the box's root" },
	{ "pam_keyinit.so", "the session's keys are handled in the box" },
	{ "pam_exec.so", "the program is that of the box's root, run as root" },
	{ "pam_namespace.so", "directories are made and mounted in the box" },
	{ "pam_mount.so", "file systems are mounted in the box" },
	{ "pam_loginuid.so", "the audit session may not be told" },
	{ "pam_lastlog.so", "the record is written into the box's root" },
};

static const char *consequence(const pam_line *line)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (pam_line_is(line, known[i].module))
			return known[i].consequence;
	return "it runs there as root, on the files of the box's root";
}

static bool is_harmless(const pam_line *line)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (pam_line_is(line, harmless[i]))
			return true;
	return false;
}

static void look_behind(judge *j, const pam_line *ours, const pam_line *line)
{
	if (is_type(line, "session") && !is_ours(line) && !is_harmless(line))
		say(j, line, FINDING_WARNING,
		    nsb_format("%s stands behind the line that opens the box (%s:%u): %s", line->module, ours->file,
			       ours->line, consequence(line)),
		    "move the line of " PAM_NSBOX " with \"open\" behind it, to the end of the session lines");
}

/* They do nothing at the end of a session, or nothing that depends on where they are. */
static const char *const calm_at_end[] = { "pam_env.so",    "pam_keyinit.so",  "pam_lastlog.so",
					   "pam_limits.so", "pam_loginuid.so", "pam_mail.so",
					   "pam_motd.so",   "pam_umask.so",    "pam_unix.so" };

static finding_severity weight_at_end(const pam_line *line)
{
	for (size_t i = 0; i < sizeof(calm_at_end) / sizeof(calm_at_end[0]); i++)
		if (pam_line_is(line, calm_at_end[i]))
			return FINDING_NOTE;
	return FINDING_WARNING;
}

/* Only of a pair of lines: of a single one it is said once. */
static void look_before(judge *j, const pam_line *ours, const pam_line *line)
{
	if (is_type(line, "session") && !is_ours(line) && !is_harmless(line))
		say(j, line, weight_at_end(line),
		    nsb_format("%s stands before the line that leaves the box (%s:%u): at logout it ends in the box",
			       line->module, ours->file, ours->line),
		    "move the line of " PAM_NSBOX " with \"close\" before it, to the top of the session lines");
}

static bool has_others_before(const pam_stack *stack, const pam_line *ours)
{
	for (const pam_line *line = stack->lines; line < ours; line++)
		if (is_type(line, "session") && !is_ours(line) && !is_harmless(line))
			return true;
	return false;
}

static void look_around(judge *j, const pam_line *ours)
{
	bool both = does(ours, "open") && does(ours, "close");

	for (const pam_line *line = ours + 1; line < j->stack->lines + j->stack->n; line++)
		if (does(ours, "open"))
			look_behind(j, ours, line);
	if (both && has_others_before(j->stack, ours))
		say(j, ours, FINDING_NOTE,
		    strdup("one line opens and leaves the box: at logout the modules above it end in the box"),
		    "write two lines: \"session required " PAM_NSBOX
		    " close\" as the first, \"session required " PAM_NSBOX " open\" as the last");
	for (const pam_line *line = j->stack->lines; line < ours && !both; line++)
		if (does(ours, "close"))
			look_before(j, ours, line);
}

static void look_at_order(judge *j)
{
	for (size_t i = 0; i < j->stack->n; i++) {
		const pam_line *ours = &j->stack->lines[i];

		if (is_ours(ours) && is_type(ours, "session"))
			look_around(j, ours);
	}
}

/* --- alone --- */

static void look_alone(judge *j, const char *type)
{
	const pam_line *ours = NULL;

	for (size_t i = 0; i < j->stack->n; i++) {
		const pam_line *line = &j->stack->lines[i];

		if (!is_type(line, type))
			continue;
		if (!is_ours(line))
			return;
		ours = line;
	}
	if (ours != NULL)
		say(j, ours, FINDING_PROBLEM,
		    nsb_format("%s is alone in its %s lines: for users without a profile it says IGNORE, and a stack "
			       "whose only "
			       "answer that is denies: they cannot log in",
			       PAM_NSBOX, type),
		    is_type(ours, "session")
			    ? "write \"session required pam_unix.so\" above the line that opens the box"
			    : "write \"account required pam_unix.so\" above it");
}

/* --- not its own file --- */

/* Files that are there to be included, by Debian and by others; su-l, which includes su, is another matter. */
static bool is_shared(const char *file)
{
	static const char *const prefixes[] = { "common-", "system-", "password-auth", "postlogin" };
	const char *slash = strrchr(file, '/');

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (nsb_after_prefix(slash != NULL ? slash + 1 : file, prefixes[i]) != NULL)
			return true;
	return false;
}

static void look_at_places(judge *j)
{
	for (size_t i = 0; i < j->stack->n; i++) {
		const pam_line *line = &j->stack->lines[i];

		if (!is_ours(line) || !is_shared(line->file) || (nsb_service_traits(j->service) & NSB_SERVICE_NEVER))
			continue;
		say(j, line, FINDING_NOTE,
		    nsb_format("%s comes from %s, which other services include as well: each of them is boxed, and the "
			       "lines "
			       "behind the inclusion run in the box",
			       PAM_NSBOX, line->file),
		    "write the lines into the service's own file instead, unless all services that include it are "
		    "meant");
		return;
	}
}

/* --- all rules --- */

static void look_all_alone(judge *j)
{
	look_alone(j, "session");
	look_alone(j, "account");
}

#define RULE(name, look)                                                                                               \
	static size_t name(const char *service, const pam_stack *stack, pam_tell *tell, void *argument)                \
	{                                                                                                              \
		judge j = { .service = service, .stack = stack, .tell = tell, .argument = argument };                  \
                                                                                                                       \
		look(&j);                                                                                              \
		return j.n;                                                                                            \
	}

RULE(judge_controls, look_at_controls)
RULE(judge_skips, look_at_skips)
RULE(judge_order, look_at_order)
RULE(judge_alone, look_all_alone)
RULE(judge_places, look_at_places)

const pam_rule pam_rules[] = {
	{ "incomplete", pam_stacks_judge }, { "control", judge_controls }, { "skipped", judge_skips },
	{ "misplaced", judge_order },	    { "alone", judge_alone },	   { "shared-file", judge_places },
};
const size_t pam_n_rules = sizeof(pam_rules) / sizeof(pam_rules[0]);
