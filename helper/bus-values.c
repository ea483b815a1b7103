/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/bus-values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define NUMBER	"t"
#define CPUS	"ay"
#define DEVICES "a(st)"

const bus_row bus_rows[BUS_ROWS] = {
	{ "pids_max", "TasksMax", NUMBER, NULL },
	{ "memory_max", "MemoryMax", NUMBER, NULL },
	{ "memory_high", "MemoryHigh", NUMBER, NULL },
	{ "swap_max", "MemorySwapMax", NUMBER, NULL },
	{ "cpu_max", "CPUQuotaPerSecUSec", NUMBER, NULL },
	{ "cpu_weight", "CPUWeight", NUMBER, NULL },
	{ "io_weight", "IOWeight", NUMBER, NULL },
	{ "cpuset", "AllowedCPUs", CPUS, NULL },
	{ "io_max", "IOReadBandwidthMax", DEVICES, "rbps" },
	{ "io_max", "IOWriteBandwidthMax", DEVICES, "wbps" },
	{ "io_max", "IOReadIOPSMax", DEVICES, "riops" },
	{ "io_max", "IOWriteIOPSMax", DEVICES, "wiops" },
};

static int parse_limit(const char *text, uint64_t *ret)
{
	if (strcmp(text, "max") == 0) {
		*ret = BUS_NO_LIMIT;
		return 0;
	}
	return nsb_parse_u64(text, BUS_NO_LIMIT - 1, ret);
}

static int parse_number(bus_values *values, size_t row, char *text, nsb_error *error)
{
	int r = parse_limit(text, &values->numbers[row]);

	return r < 0 ? nsb_error_set(error, r, "%s=%s: not a decimal number or \"max\"", bus_rows[row].key, text) : 0;
}

static int parse_cpus(bus_values *values, size_t row, char *text, nsb_error *error)
{
	return nsb_cpu_list_add(text, values->cpus) < 0
		       ? nsb_error_set(error, EINVAL, "%s: not a list of CPUs below %d, such as 0-3,8",
				       bus_rows[row].key, NSB_CPUS_MAX)
		       : 0;
}

bool bus_values_device_name(const char *name)
{
	if (name[0] != '/')
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return true;
}

bus_device *bus_values_device(bus_values *values, const char *name)
{
	bus_device *grown, *device;

	for (size_t i = 0; i < values->n_devices; i++)
		if (strcmp(values->devices[i].name, name) == 0)
			return &values->devices[i];
	if (values->n_devices >= BUS_DEVICES_MAX)
		return NULL;
	grown = nsb_grow(values->devices, values->n_devices, sizeof(*values->devices));
	if (grown == NULL)
		return NULL;
	values->devices = grown;
	device = &values->devices[values->n_devices];
	device->name = strdup(name);
	if (device->name == NULL)
		return NULL;
	for (size_t row = 0; row < BUS_ROWS; row++)
		device->limits[row] = BUS_NO_LIMIT;
	values->n_devices++;
	return device;
}

/* "WORD=N": which row of the key is meant. */
static int parse_word(size_t first, const char *text, bus_device *device, bool seen[BUS_ROWS])
{
	for (size_t row = first; row < BUS_ROWS && strcmp(bus_rows[row].key, bus_rows[first].key) == 0; row++) {
		const char *rest = nsb_after_prefix(text, bus_rows[row].word);

		if (rest == NULL || *rest != '=')
			continue;
		if (seen[row])
			return -EEXIST;
		seen[row] = true;
		return parse_limit(rest + 1, &device->limits[row]);
	}
	return -EINVAL;
}

static int parse_devices(bus_values *values, size_t row, char *text, nsb_error *error)
{
	bool seen[BUS_ROWS] = { false };
	char *next = text, *name = strsep(&next, " ");
	size_t before = values->n_devices;
	bus_device *device;

	if (*text == '\0' && next == NULL)
		return 0; /* none */
	if (!bus_values_device_name(name) || next == NULL)
		return nsb_error_set(error, EINVAL, "%s: not \"DEVICE rbps=N wbps=N riops=N wiops=N\"",
				     bus_rows[row].key);
	if (before >= BUS_DEVICES_MAX)
		return nsb_error_set(error, E2BIG, "%s: more than %d devices", bus_rows[row].key, BUS_DEVICES_MAX);
	device = bus_values_device(values, name);
	if (device == NULL)
		return nsb_error_set(error, ENOMEM, "%s: no memory", bus_rows[row].key);
	if (values->n_devices == before)
		return nsb_error_set(error, EEXIST, "%s: %s is named twice", bus_rows[row].key, name);
	while (next != NULL) {
		const char *word = strsep(&next, " ");

		if (parse_word(row, word, device, seen) < 0)
			return nsb_error_set(error, EINVAL,
					     "%s: \"%s\" is not one of rbps=N wbps=N riops=N wiops=N, each once, "
					     "N a decimal number or \"max\"",
					     bus_rows[row].key, word);
	}
	return 0;
}

static void print_number(const bus_values *values, size_t row, FILE *to)
{
	if (values->numbers[row] == BUS_NO_LIMIT)
		fprintf(to, "%s=max\n", bus_rows[row].key);
	else
		fprintf(to, "%s=%" PRIu64 "\n", bus_rows[row].key, values->numbers[row]);
}

static bool cpu_in(const bus_values *values, unsigned cpu)
{
	return cpu < NSB_CPUS_MAX && (values->cpus[cpu / 8] & 1u << cpu % 8) != 0;
}

static void print_cpus(const bus_values *values, size_t row, FILE *to)
{
	const char *separator = "";

	fprintf(to, "%s=", bus_rows[row].key);
	for (unsigned cpu = 0; cpu < NSB_CPUS_MAX; cpu++) {
		unsigned first = cpu;

		if (!cpu_in(values, cpu))
			continue;
		while (cpu_in(values, cpu + 1))
			cpu++;
		fprintf(to, cpu > first ? "%s%u-%u" : "%s%u", separator, first, cpu);
		separator = ",";
	}
	fprintf(to, "\n");
}

static void print_devices(const bus_values *values, size_t first, FILE *to)
{
	if (values->n_devices == 0)
		fprintf(to, "%s=\n", bus_rows[first].key);
	for (size_t i = 0; i < values->n_devices; i++) {
		const bus_device *device = &values->devices[i];

		fprintf(to, "%s=%s", bus_rows[first].key, device->name);
		for (size_t row = first; row < BUS_ROWS && strcmp(bus_rows[row].key, bus_rows[first].key) == 0; row++)
			if (device->limits[row] == BUS_NO_LIMIT)
				fprintf(to, " %s=max", bus_rows[row].word);
			else
				fprintf(to, " %s=%" PRIu64, bus_rows[row].word, device->limits[row]);
		fprintf(to, "\n");
	}
}

/* One row a D-Bus type: what its values look like in text. `row` is the first of the key. */
static const struct syntax {
	const char *type;
	bool repeats; /* the key may come again */
	int (*parse)(bus_values *values, size_t row, char *text, nsb_error *error);
	void (*print)(const bus_values *values, size_t row, FILE *to);
} syntaxes[] = {
	{ NUMBER, false, parse_number, print_number },
	{ CPUS, false, parse_cpus, print_cpus },
	{ DEVICES, true, parse_devices, print_devices },
};

static const struct syntax *syntax_of(size_t row)
{
	const struct syntax *syntax = syntaxes;

	while (strcmp(syntax->type, bus_rows[row].type) != 0)
		syntax++;
	return syntax;
}

static bool first_of_key(size_t row)
{
	return row == 0 || strcmp(bus_rows[row].key, bus_rows[row - 1].key) != 0;
}

int bus_values_parse(bus_values *values, const char *argument, nsb_error *error)
{
	NSB_FREE char *copy = strdup(argument);
	char *value;
	size_t row = 0;

	if (copy == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	value = strchr(copy, '=');
	if (value == NULL)
		return nsb_error_set(error, EINVAL, "\"%s\" is not KEY=VALUE", argument);
	*value++ = '\0';
	while (row < BUS_ROWS && strcmp(bus_rows[row].key, copy) != 0)
		row++;
	if (row == BUS_ROWS)
		return nsb_error_set(error, EINVAL, "\"%s\" is no limit of a unit", copy);
	/* several devices, but not none and some */
	if (values->has[row] && (!syntax_of(row)->repeats || *value == '\0' || values->n_devices == 0))
		return nsb_error_set(error, EEXIST, "%s is given twice", copy);
	for (size_t same = row; same < BUS_ROWS && strcmp(bus_rows[same].key, copy) == 0; same++)
		values->has[same] = true;
	return syntax_of(row)->parse(values, row, value, error);
}

size_t bus_values_cpus_size(const bus_values *values)
{
	size_t size = sizeof(values->cpus);

	while (size > 0 && values->cpus[size - 1] == 0)
		size--;
	return size;
}

void bus_values_print(const bus_values *values, FILE *to)
{
	for (size_t row = 0; row < BUS_ROWS; row++)
		if (values->has[row] && first_of_key(row))
			syntax_of(row)->print(values, row, to);
}

void bus_values_done(bus_values *values)
{
	for (size_t i = 0; i < values->n_devices; i++)
		free(values->devices[i].name);
	free(values->devices);
	memset(values, 0, sizeof(*values));
}
