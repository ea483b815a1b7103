/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_MODULE_LAUNCH_H
#define NSB_MODULE_LAUNCH_H

#include "common/error.h"
#include "common/protocol.h"

/*
 * Runs nsbox-helper and asks it. The application keeps no child, gets no SIGCHLD, and its signal handlers, mask and
 * descriptors stay as they were.
 * Result: 0 with *ret_answer (the caller frees by nsb_answer_done) and *ret_socket (the caller closes), the line to
 * helper and monitor. Negative errno with a sentence in `error` if the helper could not be run or gave no answer within
 * NSB_MODULE_DEADLINE; the socket is closed then, which makes the helper take everything back.
 */
int launch_helper(const nsb_request *request, nsb_answer *ret_answer, int *ret_socket, nsb_error *error);

#endif
