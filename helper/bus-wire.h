/* SPDX-License-Identifier: BSD-3-Clause */
/* The values of bus-values.h in D-Bus messages. Both return 0 or more, or sd-bus's negative errno. */
#ifndef NSB_BUS_WIRE_H
#define NSB_BUS_WIRE_H

#include <systemd/sd-bus.h>

#include "helper/bus-values.h"

/* Adds what stands for this row in the array of SetUnitProperties: one or more (sv). */
int bus_wire_append(sd_bus_message *message, const bus_values *values, size_t row);

/* Reads the value of a property, in the variant of which the message stands. -ENOTSUP: a value that bus_values_print()
 * could not say. */
int bus_wire_read(sd_bus_message *reply, bus_values *values, size_t row);

#endif
