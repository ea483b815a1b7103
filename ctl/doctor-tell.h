/* SPDX-License-Identifier: BSD-3-Clause */
/* What doctor found, for people and for programs. */
#ifndef NSB_CTL_DOCTOR_TELL_H
#define NSB_CTL_DOCTOR_TELL_H

#include "ctl/doctor.h"

void doctor_tell_text(const doctor *d, const char *const subjects[], size_t n_subjects);
void doctor_tell_json(const doctor *d);

#endif
