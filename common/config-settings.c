/* SPDX-License-Identifier: BSD-3-Clause */
/* What needs all files: inheritance, and the settings of a profile in the end. */
#include "common/config.h"

#include <errno.h>
#include <string.h>

/* From the profile asked for (index 0) to its oldest ancestor. */
typedef struct ancestry {
	const nsb_section *line[NSB_CONFIG_INHERITS_MAX];
	size_t n;
	const nsb_assignment *inherits; /* of the last one; NULL: it has none */
	const nsb_section *next;	/* where that leads */
} ancestry;

static const nsb_assignment *find_assignment(const nsb_section *section, const char *key)
{
	for (size_t i = 0; i < section->n_assignments; i++)
		if (strcmp(section->assignments[i].key->name, key) == 0)
			return &section->assignments[i];
	return NULL;
}

/* The profile that an `inherits` names: -EINVAL: the value is bad; -ENOENT: none has that name; -ENOMEM. */
static int follow(const nsb_config *config, const nsb_assignment *inherits, const nsb_section **ret)
{
	nsb_settings settings = { 0 };
	const nsb_section *section;
	int r;

	/* the value may stand in quotes, so it is taken as any other */
	r = nsb_key_apply(inherits->key, inherits->value, inherits->at, &settings, NULL);
	if (r < 0)
		return r;
	section = nsb_config_find(config, settings.inherits);
	nsb_settings_done(&settings);
	if (section == NULL)
		return -ENOENT;
	*ret = section;
	return 0;
}

/* 0; as follow(); -ELOOP: the line comes back to one of itself; -E2BIG: it is too long. `line` is filled always. */
static int climb(const nsb_config *config, const nsb_section *profile, ancestry *line)
{
	int r;

	*line = (ancestry){ .next = profile };
	for (;;) {
		line->line[line->n++] = line->next;
		line->inherits = find_assignment(line->next, "inherits");
		if (line->inherits == NULL)
			return 0;
		r = follow(config, line->inherits, &line->next);
		if (r < 0)
			return r;
		for (size_t i = 0; i < line->n; i++)
			if (line->line[i] == line->next)
				return -ELOOP;
		if (line->n == NSB_CONFIG_INHERITS_MAX)
			return -E2BIG;
	}
}

static int check_inherits(const nsb_config *config, const nsb_section *profile, nsb_problems *problems)
{
	const nsb_assignment *own = find_assignment(profile, "inherits");
	ancestry line;
	int r;

	r = climb(config, profile, &line);
	if (r == -ENOMEM)
		return r;
	/* each fault is told once, by the line that makes it: -EINVAL by the reader, the others where they begin */
	if (r == -ENOENT && line.n == 1)
		nsb_problems_add(problems, own->at, "inherits: there is no profile %.128s", own->value);
	else if (r == -ELOOP && line.n == 1)
		nsb_problems_add(problems, own->at, "inherits: profile \"%s\" inherits itself", profile->name);
	else if (r == -ELOOP && line.next == profile)
		nsb_problems_add(problems, own->at, "inherits: profile \"%s\" comes back to itself by way of \"%s\"",
				 profile->name, line.line[line.n - 1]->name);
	else if (r == -E2BIG)
		nsb_problems_add(problems, own->at, "inherits: more than %d profiles in one line of inheritance",
				 NSB_CONFIG_INHERITS_MAX);
	return 0;
}

int nsb_config_finish(nsb_config *config, nsb_problems *problems)
{
	for (size_t i = 0; i < nsb_config_n_profiles(config); i++) {
		const nsb_section *profile = nsb_config_profile(config, i);
		int r;

		if (find_assignment(profile, "users") == NULL)
			nsb_problems_add(problems, profile->at,
					 "profile \"%s\" does not say for which users it is (\"users =\" with nothing "
					 "behind: nobody)",
					 profile->name);
		r = check_inherits(config, profile, problems);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Every key that has one gets its built-in value; one that only the profile itself can set, unless it does. */
static int apply_fallbacks(const nsb_section *profile, nsb_settings *settings, nsb_error *error)
{
	for (size_t i = 0; i < nsb_n_keys; i++) {
		const nsb_key *key = &nsb_keys[i];
		int r;

		if (key->profile_only && (key->fallback[0] == '\0' || find_assignment(profile, key->name) != NULL))
			continue;
		r = nsb_key_apply(key, key->fallback, (nsb_origin){ 0 }, settings, error);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Before the first line of a section that has such a list: what is inherited makes way. */
static void make_way(const nsb_section *section, size_t line, nsb_settings *settings)
{
	const nsb_key *key = section->assignments[line].key;

	if (key->replaces && find_assignment(section, key->name) == &section->assignments[line])
		nsb_list_done((nsb_list *)(void *)((char *)settings + key->offset));
}

static int apply_section(const nsb_section *section, bool inherited, nsb_settings *settings, nsb_error *error)
{
	for (size_t i = 0; i < section->n_assignments; i++) {
		const nsb_assignment *assignment = &section->assignments[i];
		int r;

		if (inherited && assignment->key->profile_only)
			continue;
		make_way(section, i, settings);
		r = nsb_key_apply(assignment->key, assignment->value, assignment->at, settings, error);
		if (r < 0)
			return r;
		if (section->name != NULL && assignment->key->offset == offsetof(nsb_settings, network))
			settings->network_named = true;
	}
	return 0;
}

int nsb_config_settings(const nsb_config *config, const nsb_section *profile, nsb_settings *ret, nsb_error *error)
{
	nsb_settings settings = { 0 };
	ancestry line;
	int r;

	r = climb(config, profile, &line);
	if (r == 0)
		r = apply_fallbacks(profile, &settings, error);
	if (r == 0)
		r = apply_section(nsb_config_defaults(config), false, &settings, error);
	for (size_t i = line.n; r == 0 && i > 0; i--)
		r = apply_section(line.line[i - 1], i > 1, &settings, error);
	if (r == 0) {
		*ret = settings;
		return 0;
	}
	nsb_settings_done(&settings);
	if (r == -ENOMEM)
		return nsb_error_set(error, ENOMEM, "no memory for the settings of profile \"%s\"", profile->name);
	return nsb_error_set(error, EBADMSG, "profile \"%s\" is faulty or inherits a faulty one", profile->name);
}
