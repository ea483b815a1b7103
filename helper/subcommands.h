/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-helper does beside making boxes: run by the monitor, nsboxctl and nsbox.service, with words of their own.
 */
#ifndef NSB_SUBCOMMANDS_H
#define NSB_SUBCOMMANDS_H

/* Runs the subcommand argv[1]. Its exit status; -1 if there is none of that name with so many arguments. */
int subcommand_run(int argc, char **argv);

#endif
