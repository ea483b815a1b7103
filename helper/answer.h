/* SPDX-License-Identifier: BSD-3-Clause */
/* What the helper says to the application. */
#ifndef NSB_HELPER_ANSWER_H
#define NSB_HELPER_ANSWER_H

#include "helper/box.h"

/* What a failure (negative errno, the sentence in box->error) means for the login. */
nsb_result answer_result(const nsb_box *box, int r);

/* Says no, or that there is no profile, or that it could be done. Negative errno if the application does not listen, which
 * is logged. */
int answer_short(nsb_box *box, nsb_result result);

/* Stage 12: the box. Negative errno with a sentence in box->error. */
int answer_box(nsb_box *box);

/* What the application, and nsboxctl enter, are to take upon themselves. Strings in *ret are static. */
void answer_confine(const nsb_box *box, nsb_confinement *ret);

#endif
