/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of the configuration and what follows from it. Where the text comes from: common/config-files.c. */
#include "common/config.h"

#include <errno.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define BLANKS		    " \t"
#define NAME_CHARACTERS	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define PROFILE_NAME_LENGTH 64

struct nsb_config {
	char **files; /* names that origins point to */
	size_t n_files;
	nsb_section **profiles; /* in order of precedence */
	size_t n_profiles;
	nsb_section defaults;	   /* of all files */
	nsb_origin *defaults_seen; /* by index in nsb_keys: where the key stands first; line 0: nowhere */
};

typedef struct parser {
	nsb_config *config;
	nsb_problems *problems;
	nsb_origin at;	      /* the line being read */
	nsb_section *section; /* keys go there; NULL: before the first header */
	nsb_section lost;     /* takes what follows a bad header, so that it is checked but goes nowhere */
	nsb_origin *seen;     /* of `section`, as defaults_seen */
	nsb_origin *own_seen; /* for all sections but [defaults] */
	bool carriage_return_told;
} parser;

static void section_done(nsb_section *section)
{
	for (size_t i = 0; i < section->n_assignments; i++)
		free(section->assignments[i].value);
	free(section->assignments);
	free(section->name);
}

void nsb_config_free(nsb_config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->n_profiles; i++) {
		section_done(config->profiles[i]);
		free(config->profiles[i]);
	}
	for (size_t i = 0; i < config->n_files; i++)
		free(config->files[i]);
	section_done(&config->defaults);
	free(config->defaults_seen);
	free(config->profiles);
	free(config->files);
	free(config);
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
		length--;
	text[length] = '\0';
	return text;
}

/* Cuts a comment off: "#" after a blank outside quotes. Whether the quotes are good is for nsb_key_apply() to say. */
static void cut_comment(char *text)
{
	bool quoted = false;

	for (char *at = text; *at != '\0'; at++) {
		if (*at == '"') {
			quoted = !quoted;
		} else if (quoted && *at == '\\' && at[1] != '\0') {
			at++;
		} else if (!quoted && *at == '#' && at > text && strchr(BLANKS, at[-1]) != NULL) {
			*at = '\0';
			return;
		}
	}
}

static int add_profile(parser *p, const char *name)
{
	nsb_config *config = p->config;
	nsb_section **profiles, *section;

	profiles = nsb_grow(config->profiles, config->n_profiles, sizeof(*profiles));
	if (profiles == NULL)
		return -ENOMEM;
	config->profiles = profiles;
	section = calloc(1, sizeof(*section));
	if (section == NULL)
		return -ENOMEM;
	section->at = p->at;
	section->name = strdup(name);
	if (section->name == NULL) {
		free(section);
		return -ENOMEM;
	}
	config->profiles[config->n_profiles++] = section;
	p->section = section;
	return 0;
}

/* "NAME" of "[profile NAME]" */
static int begin_profile(parser *p, const char *name)
{
	const nsb_section *twin;
	size_t length = strlen(name);

	if (length == 0) {
		nsb_problems_add(p->problems, p->at, "the profile has no name: write [profile NAME]");
		return 0;
	}
	if (strspn(name, NAME_CHARACTERS) != length || length > PROFILE_NAME_LENGTH || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		nsb_problems_add(
			p->problems, p->at,
			"the profile's name \"%.128s\" is not 1 to %d of A-Z a-z 0-9 . _ - (and not \".\" or \"..\")",
			name, PROFILE_NAME_LENGTH);
		return 0;
	}
	twin = nsb_config_find(p->config, name);
	if (twin != NULL) {
		nsb_problems_add(p->problems, p->at, "profile \"%s\" is defined already in %s:%u", name, twin->at.file,
				 twin->at.line);
		return 0;
	}
	if (p->config->n_profiles >= NSB_CONFIG_PROFILES_MAX) {
		nsb_problems_add(p->problems, p->at, "there are more than %d profiles", NSB_CONFIG_PROFILES_MAX);
		return 0;
	}
	return add_profile(p, name);
}

/* A line that begins with "[". */
static int parse_header(parser *p, char *line)
{
	char *end, *title, *name;

	/* whatever is wrong with it, it ends the section before */
	p->section = &p->lost;
	p->seen = p->own_seen;
	memset(p->own_seen, 0, nsb_n_keys * sizeof(*p->own_seen));
	cut_comment(line);
	end = strchr(line, ']');
	if (end == NULL) {
		nsb_problems_add(p->problems, p->at, "the section's name is not closed: \"]\" is missing");
		return 0;
	}
	*end++ = '\0';
	end = trim(end);
	if (*end != '\0')
		nsb_problems_add(p->problems, p->at, "\"%.128s\" is too much behind the section's name", end);
	title = trim(line + 1);
	if (strcmp(title, "defaults") == 0) {
		p->section = &p->config->defaults;
		p->seen = p->config->defaults_seen;
		if (p->section->at.line == 0)
			p->section->at = p->at;
		return 0;
	}
	name = title + strcspn(title, BLANKS);
	if (strncmp(title, "profile", (size_t)(name - title)) == 0 && name - title == (ptrdiff_t)strlen("profile"))
		return begin_profile(p, name + strspn(name, BLANKS));
	nsb_problems_add(p->problems, p->at, "there is no section [%.128s]: write [profile NAME] or [defaults]", title);
	return 0;
}

/* Whether the value is one of its key, asked by applying it to settings that nobody sees. */
static int check_value(parser *p, const nsb_key *key, const char *value)
{
	nsb_settings scratch = { 0 };
	nsb_error error = { 0 };
	int r;

	r = nsb_key_apply(key, value, p->at, &scratch, &error);
	nsb_settings_done(&scratch);
	if (r != -EINVAL)
		return r;
	nsb_problems_add(p->problems, p->at, "%s", error.words);
	return 0;
}

static bool is_list(const nsb_key *key)
{
	return key->type == NSB_KEY_WORDS || key->type == NSB_KEY_PATHS || key->type == NSB_KEY_IO;
}

static int add_assignment(parser *p, const nsb_key *key, const char *value)
{
	nsb_section *section = p->section;
	nsb_origin *seen = &p->seen[key - nsb_keys];
	nsb_assignment *assignments;
	char *copy;

	if (seen->line != 0 && !is_list(key)) {
		nsb_problems_add(p->problems, p->at, "%s is set already in %s:%u", key->name, seen->file, seen->line);
		return 0;
	}
	if (seen->line == 0)
		*seen = p->at;
	assignments = nsb_grow(section->assignments, section->n_assignments, sizeof(*assignments));
	if (assignments == NULL)
		return -ENOMEM;
	section->assignments = assignments;
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	section->assignments[section->n_assignments++] = (nsb_assignment){ .key = key, .value = copy, .at = p->at };
	return 0;
}

/* "key = value" */
static int parse_assignment(parser *p, char *line)
{
	char *divider = strchr(line, '='), *name, *value;
	const char *nearest;
	const nsb_key *key;
	int r;

	if (divider == NULL) {
		nsb_problems_add(
			p->problems, p->at,
			"\"%.64s\" is neither a section nor \"key = value\" (a value cannot go on in the next line)",
			line);
		return 0;
	}
	*divider = '\0';
	name = trim(line);
	cut_comment(divider + 1);
	value = trim(divider + 1);
	if (p->section == NULL) {
		nsb_problems_add(p->problems, p->at, "\"%.64s\" stands before the first section", name);
		p->section = &p->lost;
	}
	key = nsb_key_find(name);
	if (key == NULL) {
		nearest = nsb_key_nearest(name);
		if (name[0] == '\0')
			nsb_problems_add(p->problems, p->at, "there is no key before \"=\"");
		else if (nearest != NULL)
			nsb_problems_add(p->problems, p->at, "there is no key \"%.64s\"; the nearest is \"%s\"", name,
					 nearest);
		else
			nsb_problems_add(p->problems, p->at, "there is no key \"%.64s\"", name);
		return 0;
	}
	if (key->profile_only && p->section == &p->config->defaults) {
		nsb_problems_add(p->problems, p->at, "%s belongs into a profile, not into [defaults]", key->name);
		return 0;
	}
	r = check_value(p, key, value);
	return r < 0 ? r : add_assignment(p, key, value);
}

/* A byte that no text holds, or 0x100 if there is none. */
static unsigned find_control(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)line[i];

		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return byte;
	}
	return 0x100;
}

/* `line` has `length` bytes and a NUL behind them. */
static int parse_line(parser *p, char *line, size_t length)
{
	unsigned control;

	if (length > 0 && line[length - 1] == '\r') {
		line[--length] = '\0';
		if (!p->carriage_return_told)
			nsb_problems_add(p->problems, p->at,
					 "the line ends with a carriage return: save the file with Unix line ends");
		p->carriage_return_told = true;
	}
	control = find_control(line, length);
	if (control < 0x100) {
		nsb_problems_add(p->problems, p->at, "the line holds the control character 0x%02x%s", control,
				 control == 0 ? " (NUL)" : "");
		/* it may have been a header: what follows must not count as part of the section before */
		if (line[strspn(line, BLANKS)] == '[')
			p->section = &p->lost;
		return 0;
	}
	line = trim(line);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	return line[0] == '[' ? parse_header(p, line) : parse_assignment(p, line);
}

static int parse_lines(parser *p, char *text, size_t size)
{
	char *end = text + size;
	int r = 0;

	while (r == 0 && text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline != NULL ? newline : end) - text);

		p->at.line++;
		text[length] = '\0';
		r = parse_line(p, text, length);
		text += length + 1;
	}
	return r;
}

/* An empty configuration, and `name` as one of its files; -ENOMEM leaves `*config` one that can be freed. */
static int add_file(nsb_config **config, const char *name, const char **ret_name)
{
	nsb_config *made = *config;
	char **files, *copy;

	if (made == NULL)
		made = *config = calloc(1, sizeof(*made));
	if (made == NULL)
		return -ENOMEM;
	if (made->defaults_seen == NULL)
		made->defaults_seen = calloc(nsb_n_keys, sizeof(*made->defaults_seen));
	if (made->defaults_seen == NULL)
		return -ENOMEM;
	files = nsb_grow(made->files, made->n_files, sizeof(*files));
	if (files == NULL)
		return -ENOMEM;
	made->files = files;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	*ret_name = made->files[made->n_files++] = copy;
	return 0;
}

int nsb_config_parse(const char *name, const char *text, size_t size, nsb_config **config, nsb_problems *problems)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	NSB_FREE nsb_origin *seen = NULL;
	NSB_FREE char *copy = NULL;
	parser p = { .problems = problems };
	size_t skipped = 0;
	int r;

	r = add_file(config, name, &p.at.file);
	if (r < 0)
		return r;
	p.config = *config;
	p.seen = p.own_seen = seen = calloc(nsb_n_keys, sizeof(*seen));
	copy = malloc(size + 1);
	if (seen == NULL || copy == NULL)
		return -ENOMEM;
	if (size > 0)
		memcpy(copy, text, size);
	if (size >= 3 && memcmp(copy, byte_order_mark, 3) == 0) {
		skipped = 3;
		nsb_problems_add(problems, (nsb_origin){ p.at.file, 1 },
				 "the file begins with a byte order mark: save it as plain UTF-8");
	}
	r = parse_lines(&p, copy + skipped, size - skipped);
	section_done(&p.lost);
	return r;
}

size_t nsb_config_n_profiles(const nsb_config *config)
{
	return config->n_profiles;
}

const nsb_section *nsb_config_profile(const nsb_config *config, size_t i)
{
	return i < config->n_profiles ? config->profiles[i] : NULL;
}

const nsb_section *nsb_config_find(const nsb_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_profiles; i++)
		if (strcmp(config->profiles[i]->name, name) == 0)
			return config->profiles[i];
	return NULL;
}

const nsb_section *nsb_config_defaults(const nsb_config *config)
{
	return &config->defaults;
}
