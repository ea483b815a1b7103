/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits as nsbox-bus reads and prints them: KEY=VALUE on one side, the properties of a systemd unit on the other. Text
 * only: nothing here speaks to a bus. The properties are those of org.freedesktop.systemd1(5). */
#ifndef NSB_BUS_VALUES_H
#define NSB_BUS_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cpu-list.h"
#include "common/error.h"

#define BUS_NO_LIMIT	UINT64_MAX /* "max"; for a weight: not set. systemd has the same number for both */
#define BUS_ROWS	12
#define BUS_DEVICES_MAX 64

/* One property. A key with several properties has one row for each, without another between them. */
typedef struct bus_row {
	const char *key, *property;
	const char *type; /* D-Bus: "t" a number, "ay" a set of CPUs, "a(st)" a number for each device */
	const char *word; /* of "a(st)": what stands for this property in the value of the key */
} bus_row;

extern const bus_row bus_rows[BUS_ROWS];

typedef struct bus_device {
	char *name;
	uint64_t limits[BUS_ROWS]; /* those of rows with a word; BUS_NO_LIMIT where the value says nothing */
} bus_device;

typedef struct bus_values {
	bool has[BUS_ROWS]; /* all rows of each key that was given */
	uint64_t numbers[BUS_ROWS];
	nsb_cpus cpus;
	bus_device *devices;
	size_t n_devices;
} bus_values;

/* Adds one "KEY=VALUE" to `values` (zeroed before the first). A key may come once, io_max as often as there are devices
 * or once with nothing behind it. 0; -EINVAL, -ERANGE, -EEXIST, -ENOMEM with words. What was added before remains. */
int bus_values_parse(bus_values *values, const char *argument, nsb_error *error);

/* The device of this name, made if there is none; NULL without memory, or with BUS_DEVICES_MAX there. */
bus_device *bus_values_device(bus_values *values, const char *name);

/* Whether a name of a device can be told in the value of io_max: absolute, no blanks, no control characters. */
bool bus_values_device_name(const char *name);

/* The number of bytes of `cpus` up to the last that is not zero. */
size_t bus_values_cpus_size(const bus_values *values);

/* Prints what `values` has in the order of the rows, a KEY=VALUE a line: what bus_values_parse() takes. */
void bus_values_print(const bus_values *values, FILE *to);

/* Frees what `values` owns and zeroes it. */
void bus_values_done(bus_values *values);

#endif
