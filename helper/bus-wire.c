/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/bus-wire.h"

#include <errno.h>
#include <string.h>

static int append_number(sd_bus_message *message, const bus_values *values, size_t row)
{
	return sd_bus_message_append(message, "(sv)", bus_rows[row].property, "t", values->numbers[row]);
}

static int read_number(sd_bus_message *reply, bus_values *values, size_t row)
{
	return sd_bus_message_read(reply, "t", &values->numbers[row]);
}

/* The head of a property whose value is an array, which is left open. */
static int open_array(sd_bus_message *message, const char *property, const char *type)
{
	int r = sd_bus_message_open_container(message, SD_BUS_TYPE_STRUCT, "sv");

	if (r >= 0)
		r = sd_bus_message_append(message, "s", property);
	if (r >= 0)
		r = sd_bus_message_open_container(message, SD_BUS_TYPE_VARIANT, type);
	if (r >= 0)
		r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, type + 1);
	return r;
}

static int close_array(sd_bus_message *message)
{
	int r = 0;

	for (int level = 0; level < 3 && r >= 0; level++)
		r = sd_bus_message_close_container(message);
	return r;
}

static int append_cpus(sd_bus_message *message, const bus_values *values, size_t row)
{
	size_t size = bus_values_cpus_size(values);
	int r = open_array(message, bus_rows[row].property, bus_rows[row].type);

	for (size_t i = 0; i < size && r >= 0; i++)
		r = sd_bus_message_append(message, "y", values->cpus[i]);
	return r < 0 ? r : close_array(message);
}

static int read_cpus(sd_bus_message *reply, bus_values *values, size_t row)
{
	const void *cpus;
	size_t size;
	int r = sd_bus_message_read_array(reply, 'y', &cpus, &size);

	(void)row;
	if (r < 0)
		return r;
	if (size > sizeof(values->cpus))
		return -E2BIG;
	memcpy(values->cpus, cpus, size);
	return 0;
}

/* A list that is not empty is added to what the unit has, an empty one clears it: so the empty one goes first. */
static int append_devices(sd_bus_message *message, const bus_values *values, size_t row)
{
	int r = open_array(message, bus_rows[row].property, bus_rows[row].type);

	if (r >= 0)
		r = close_array(message);
	for (size_t i = 0; i < values->n_devices && r >= 0; i++)
		if (values->devices[i].limits[row] != BUS_NO_LIMIT)
			r = sd_bus_message_append(message, "(sv)", bus_rows[row].property, "a(st)", 1,
						  values->devices[i].name, values->devices[i].limits[row]);
	return r;
}

static int read_devices(sd_bus_message *reply, bus_values *values, size_t row)
{
	const char *name;
	uint64_t limit;
	int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(st)");

	while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, &limit)) > 0) {
		/* a name that the syntax has no place for could not be undone */
		bus_device *device = bus_values_device_name(name) ? bus_values_device(values, name) : NULL;

		if (device == NULL)
			return -ENOTSUP;
		device->limits[row] = limit;
	}
	return r;
}

/* One row a D-Bus type: how its values travel. (How they look in text: bus-values.c.) */
static const struct wire {
	const char *type;
	int (*append)(sd_bus_message *message, const bus_values *values, size_t row);
	int (*read)(sd_bus_message *reply, bus_values *values, size_t row);
} wires[] = {
	{ "t", append_number, read_number },
	{ "ay", append_cpus, read_cpus },
	{ "a(st)", append_devices, read_devices },
};

static const struct wire *wire_of(size_t row)
{
	const struct wire *wire = wires;

	while (strcmp(wire->type, bus_rows[row].type) != 0)
		wire++;
	return wire;
}

int bus_wire_append(sd_bus_message *message, const bus_values *values, size_t row)
{
	return wire_of(row)->append(message, values, row);
}

int bus_wire_read(sd_bus_message *reply, bus_values *values, size_t row)
{
	return wire_of(row)->read(reply, values, row);
}
