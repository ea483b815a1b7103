/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/profile-plan.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

bool profile_is_inherited(const nsb_config *config, const nsb_section *profile)
{
	for (size_t i = 0; i < nsb_config_n_profiles(config); i++) {
		const nsb_section *other = nsb_config_profile(config, i);

		for (size_t j = 0; j < other->n_assignments; j++)
			if (strcmp(other->assignments[j].key->name, "inherits") == 0 &&
			    strcmp(other->assignments[j].value, profile->name) == 0)
				return true;
	}
	return false;
}

void profiles_each(const nsb_config *config, profile_take *take, void *argument)
{
	for (size_t i = 0; config != NULL && i < nsb_config_n_profiles(config); i++) {
		__attribute__((cleanup(nsb_settings_done))) nsb_settings settings = { 0 };
		const nsb_section *profile = nsb_config_profile(config, i);
		nsb_error error = { 0 };

		if (nsb_config_settings(config, profile, &settings, &error) < 0 ||
		    (settings.users.n == 0 && profile_is_inherited(config, profile)))
			continue;
		take(argument, profile, &settings);
	}
}

bool profile_is_for_service(const nsb_settings *settings, const char *service)
{
	bool included = false;

	for (size_t i = 0; i < settings->services.n; i++) {
		const char *word = settings->services.items[i];

		if (fnmatch(word + (word[0] == '!'), service, 0) != 0)
			continue;
		if (word[0] == '!')
			return false;
		included = true;
	}
	return included;
}

bool profile_first_for(const nsb_config *config, const nsb_session *account, const char *service,
		       const nsb_section **ret, nsb_settings *ret_settings)
{
	for (size_t i = 0; config != NULL && i < nsb_config_n_profiles(config); i++) {
		nsb_settings settings = { 0 };
		nsb_error error = { 0 };

		if (nsb_config_settings(config, nsb_config_profile(config, i), &settings, &error) == 0 &&
		    samples_is_for(&settings, account) && profile_is_for_service(&settings, service)) {
			*ret = nsb_config_profile(config, i);
			*ret_settings = settings;
			return true;
		}
		nsb_settings_done(&settings);
	}
	return false;
}

int profile_plan(const nsb_settings *settings, samples *accounts, nsb_plan *ret)
{
	const nsb_session *session = samples_find(accounts, settings);
	nsb_error error = { 0 };

	return session == NULL ? -ENOENT : nsb_plan_make(session, settings, ret, &error);
}
