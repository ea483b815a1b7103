/* SPDX-License-Identifier: BSD-3-Clause */
/* `nsbox-helper delegate`, what nsbox.service runs. */
#ifndef NSB_DELEGATE_H
#define NSB_DELEGATE_H

#include "common/error.h"

/* The part before exec: prepares the control group that systemd gave to the service and writes its path down for the
 * logins (nsb_registry_set_base). -EINVAL where this is no service, -ENOTSUP with control groups version 1. */
int delegate_prepare(nsb_error *error);

/* Prepares the control group that systemd gave to the service: this process goes to `monitors`, the controllers are
 * handed down, the group's path is written down for the logins. Then says READY=1 (sd_notify(3)) and becomes
 * `nsbox-monitor hold`, because systemd removes the group of a service without processes. Comes back only to fail. */
int delegate_become_holder(nsb_error *error);

#endif
