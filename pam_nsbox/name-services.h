/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_MODULE_NAME_SERVICES_H
#define NSB_MODULE_NAME_SERVICES_H

/*
 * Loads the C library's modules that the host's nsswitch.conf(5) names, and the converter of the application's character set, as
 * the application itself would when it needs them: but from the host's tree, not from the box's. What is loaded once is not
 * loaded again under its name (dlopen(3)). Once in a process; what is not there is left out. Nothing where the C library has no
 * such modules.
 */
void name_services_load(void);

#endif
