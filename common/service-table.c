/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/service-table.h"

#include <stddef.h>
#include <string.h>

#define CALLER (NSB_SERVICE_CALLER | NSB_SERVICE_NO_RECORD)

static const struct {
	const char *name;
	unsigned traits;
	const char *why;
} services[] = {
	{ "systemd-user", NSB_SERVICE_NEVER, "the user's service manager serves all sessions of the user" },
	{ "gdm-password", NSB_SERVICE_NEVER, "graphical logins run threads and start the display outside" },
	{ "gdm", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm3", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm-pin", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "kde", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "slim", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "ly", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "xrdp-sesman", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm-autologin", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm-fingerprint", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm-smartcard", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "gdm-launch-environment", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "sddm", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "sddm-autologin", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "sddm-greeter", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "lightdm", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "lightdm-autologin", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "lightdm-greeter", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "xdm", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "lxdm", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "greetd", NSB_SERVICE_NEVER, "as gdm-password" },
	{ "su", CALLER, "another user's rights in the caller's terminal" },
	{ "su-l", CALLER, "as su" },
	{ "sudo", CALLER, "as su" },
	{ "sudo-i", CALLER, "as su" },
	{ "doas", CALLER, "as su" },
	{ "polkit-1", CALLER, "pkexec(1), as su" },
	{ "runuser", CALLER, "as su" },
	{ "runuser-l", CALLER, "as su" },
	{ "sshd", NSB_SERVICE_DAEMON, "a daemon of root's" },
	{ "login", NSB_SERVICE_DAEMON, "started by a daemon of root's, getty(8)" },
	{ "remote", NSB_SERVICE_DAEMON, "login -h, as login" },
	{ "cron", NSB_SERVICE_NO_RECORD, "a job, not a login" },
	{ "crond", NSB_SERVICE_NO_RECORD, "as cron" },
	{ "atd", NSB_SERVICE_NO_RECORD, "as cron" },
	{ "nsboxctl", NSB_SERVICE_NO_RECORD, "a box made by hand" },
};

unsigned nsb_service_traits(const char *service)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i].name, service) == 0)
			return services[i].traits;
	return 0;
}
