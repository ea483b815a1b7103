/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/config-amounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "common/string-util.h"

#define MILLION	       1000000
#define DAY	       (24 * 60 * 60 * 1000LL)
#define TERAS_MAX      1000000 /* of bytes: whatever the base is, the sum is far below NSB_INFINITY */
#define SIZE_MIN       (1024 * 1024)
#define CPU_MAX	       1000000 /* percent */
#define CPU_NUMBER_MAX 8191    /* CONFIG_NR_CPUS is at most 8192 */
#define CPUS_LENGTH    1024
#define IOPS_MAX       4294967294 /* the kernel keeps them in 32 bits, the largest of which means "no limit" */

/* Milliseconds of a unit; 0 if there is no such unit. The words are those of systemd.time(7). */
static int64_t unit_milliseconds(const char *unit, size_t length)
{
	static const struct {
		const char *words;
		int64_t milliseconds;
	} units[] = {
		{ " ms msec ", 1 },
		{ " s sec second seconds ", 1000 },
		{ " m min minute minutes ", 60 * 1000 },
		{ " h hr hour hours ", 60 * 60 * 1000 },
		{ " d day days ", DAY },
		{ " w week weeks ", 7 * DAY },
	};
	char wanted[16];

	if (length == 0 || length > sizeof(wanted) - 3)
		return 0;
	snprintf(wanted, sizeof(wanted), " %.*s ", (int)length, unit);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strstr(units[i].words, wanted) != NULL)
			return units[i].milliseconds;
	return 0;
}

/* -EINVAL: no duration; -ERANGE: beyond `max`. */
static int parse_duration(const char *text, int64_t max, int64_t *ret)
{
	int64_t sum = 0, number, unit;
	bool first = true, too_long = false;

	for (text += strspn(text, " \t"); first || *text != '\0'; first = false) {
		size_t digits = strspn(text, "0123456789"), letters;

		if (digits == 0 || digits > 18)
			return digits == 0 ? -EINVAL : -ERANGE;
		number = 0;
		for (size_t i = 0; i < digits; i++)
			number = number * 10 + (text[i] - '0');
		text += digits;
		text += strspn(text, " \t");
		letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
		unit = first && *text == '\0' ? 1000 : unit_milliseconds(text, letters);
		if (unit == 0)
			return -EINVAL;
		/* a word that is wrong is told before a sum that is too long */
		if (number > max / unit || number * unit > max - sum)
			too_long = true;
		else
			sum += number * unit;
		text += letters;
		text += strspn(text, " \t");
	}
	if (too_long)
		return -ERANGE;
	*ret = sum;
	return 0;
}

/* The digits at *text, with at most `places` (up to 6) behind a point, as a whole number (INT64_MAX: or more) and
 * millionths; *text is what comes behind. -EINVAL: there are none, or too many behind the point. */
static int take_decimal(const char **text, size_t places, int64_t *ret_whole, int64_t *ret_millionths)
{
	const char *at = *text;
	int64_t whole = 0, millionths = 0, worth = MILLION;
	size_t digits = strspn(at, "0123456789");

	if (digits == 0)
		return -EINVAL;
	for (; digits > 0; digits--, at++)
		whole = whole > (INT64_MAX - (*at - '0')) / 10 ? INT64_MAX : whole * 10 + (*at - '0');
	if (*at == '.') {
		digits = strspn(++at, "0123456789");
		if (digits == 0 || digits > places)
			return -EINVAL;
		for (; digits > 0; digits--, at++) {
			worth /= 10;
			millionths += (*at - '0') * worth;
		}
	}
	*text = at;
	*ret_whole = whole;
	*ret_millionths = millionths;
	return 0;
}

/* A number with K, M, G or T, each `base` times the one before; a bare one is without point. The units are upper case
 * only and the words end with T, as systemd.resource-control(5) has them. -EINVAL: no size; -ERANGE: more than
 * TERAS_MAX T. */
static int parse_size(const char *text, int64_t base, int64_t *ret)
{
	int64_t whole, millionths, size, unit = 1, max = TERAS_MAX;
	bool point = strchr(text, '.') != NULL;
	int r;

	r = take_decimal(&text, 6, &whole, &millionths);
	if (r < 0)
		return r;
	if (*text == '\0' ? point : (strchr("KMGT", *text) == NULL || text[1] != '\0'))
		return -EINVAL;
	for (const char *step = "KMGT"; *text != '\0'; step++) {
		unit *= base;
		if (*step == *text)
			break;
	}
	for (int i = 0; i < 4; i++)
		max *= base;
	if (whole > max / unit)
		return -ERANGE;
	size = whole * unit + millionths * unit / MILLION;
	if (size > max)
		return -ERANGE;
	*ret = size;
	return 0;
}

/* In hundredths of a percent. -EINVAL: not NUMBER% with at most two places; -ERANGE: more than `max` percent. */
static int parse_percent(const char *text, int64_t max, int64_t *ret)
{
	int64_t whole, millionths;
	int r;

	r = take_decimal(&text, 2, &whole, &millionths);
	if (r < 0)
		return r;
	if (strcmp(text, "%") != 0)
		return -EINVAL;
	if (whole > max || (whole == max && millionths > 0))
		return -ERANGE;
	*ret = whole * 100 + millionths / (MILLION / 100);
	return 0;
}

static int parse_count(const nsb_key *key, const char *text, int64_t *ret, nsb_error *error)
{
	uint64_t count;

	if (nsb_parse_u64(text, (uint64_t)key->max, &count) == 0 && count > 0) {
		*ret = (int64_t)count;
		return 0;
	}
	if (key->infinity)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is neither a number from 1 to %lld nor \"infinity\"",
				     text, key->max);
	return nsb_error_set(error, EINVAL, "\"%.128s\" is not a number from 1 to %lld", text, key->max);
}

/* The words that are values beside numbers, for a sentence: ", nor "no", nor "yes"". */
static const char *other_words(const nsb_key *key, char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (const nsb_choice_word *word = key->choices; word != NULL && word->word != NULL && used < size; word++)
		used += (size_t)snprintf(buffer + used, size - used, ", nor \"%s\"", word->word);
	return buffer;
}

static int parse_duration_of(const nsb_key *key, const char *text, int64_t *ret, nsb_error *error)
{
	bool days = key->max % DAY == 0;
	int64_t duration = 0;
	char words[64];
	int r;

	/* where it is a value, it does not get here */
	r = strcmp(text, "infinity") == 0 ? -ERANGE : parse_duration(text, key->max, &duration);
	if (r == -ERANGE)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is too long: at most %lld%s are allowed%s", text,
				     key->max / (days ? DAY : 1000), days ? "d" : "s",
				     key->infinity ? ", or \"infinity\"" : "");
	if (r < 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is no duration like 2s, 500ms or \"1min 30s\"%s%s",
				     text, key->infinity ? ", nor \"infinity\"" : "",
				     other_words(key, words, sizeof(words)));
	if (duration == 0 && !key->zero)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is no time at all%s", text,
				     key->infinity ? ": for no limit write \"infinity\"" : "");
	*ret = duration;
	return 0;
}

static int parse_size_of(const nsb_key *key, const char *text, int64_t *ret, nsb_error *error)
{
	bool percent = text[0] != '\0' && text[strlen(text) - 1] == '%';
	int64_t size = 0;
	int r;

	r = percent ? parse_percent(text, 100, &size) : parse_size(text, 1024, &size);
	if (r == -ERANGE && percent)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is more than 100%%", text);
	if (r == -ERANGE)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is too large: at most %dT are allowed%s", text,
				     TERAS_MAX, key->infinity ? ", or \"infinity\"" : "");
	if (r < 0)
		return nsb_error_set(error, EINVAL,
				     "\"%.128s\" is no size like 1048576 (bytes), 512M or 1.5G (K, M, G, T: powers of "
				     "1024), no percentage like %s%%%s",
				     text, key->whole ? "12" : "12.5", key->infinity ? ", nor \"infinity\"" : "");
	if (size == 0 && key->zero) {
		*ret = 0;
		return 0;
	}
	if (percent && size == 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is nothing at all: at least 0.01%% is needed", text);
	if (percent && key->whole && size % 100 != 0)
		return nsb_error_set(
			error, EINVAL,
			"\"%.128s\" has a fraction, which a file system in memory does not take: write whole "
			"percents or bytes",
			text);
	if (!percent && size < SIZE_MIN)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is less than 1M: did you forget the unit?", text);
	*ret = percent ? -size : size;
	return 0;
}

static int parse_cpu(const char *text, int64_t *ret, nsb_error *error)
{
	int64_t hundredths = 0;
	int r;

	r = parse_percent(text, CPU_MAX, &hundredths);
	if (r == -EINVAL)
		return nsb_error_set(error, EINVAL,
				     "\"%.128s\" is no share of CPU time like 50%%, 12.5%% or 200%% (of one CPU), nor "
				     "\"infinity\"",
				     text);
	if (r < 0 || hundredths < 100)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not from 1%% to %d%%", text, CPU_MAX);
	*ret = hundredths * 100;
	return 0;
}

static int parse_rate(const char *text, int64_t *ret, nsb_error *error)
{
	int r = nsb_rate_parse(text, ret);

	if (r == -ERANGE)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not from 8kbit to 1000Gbit", text);
	if (r < 0)
		return nsb_error_set(error, EINVAL,
				     "\"%.128s\" is no rate like 500kbit, 20Mbit or 1Gbit, nor \"infinity\"", text);
	return 0;
}

int nsb_parse_amount(const nsb_key *key, const char *text, int64_t *ret, nsb_error *error)
{
	if (key->infinity && strcmp(text, "infinity") == 0) {
		*ret = NSB_INFINITY;
		return 0;
	}
	for (const nsb_choice_word *word = key->choices; word != NULL && word->word != NULL; word++)
		if (strcmp(text, word->word) == 0) {
			*ret = word->value;
			return 0;
		}
	switch (key->type) {
	case NSB_KEY_COUNT:
		return parse_count(key, text, ret, error);
	case NSB_KEY_DURATION:
		return parse_duration_of(key, text, ret, error);
	case NSB_KEY_SIZE:
		return parse_size_of(key, text, ret, error);
	case NSB_KEY_CPU:
		return parse_cpu(text, ret, error);
	case NSB_KEY_RATE:
		return parse_rate(text, ret, error);
	default:
		return nsb_error_set(error, EINVAL, "this is no key of a number");
	}
}

/* One item of a list of CPUs: "N" or "N-M". */
static int check_cpus(const char *item, size_t length, nsb_error *error)
{
	int64_t first, last, none;
	const char *at = item;

	if (take_decimal(&at, 0, &first, &none) < 0)
		goto bad;
	last = first;
	if (*at == '-') {
		at++;
		if (take_decimal(&at, 0, &last, &none) < 0)
			goto bad;
	}
	if (at != item + length)
		goto bad;
	if (first > CPU_NUMBER_MAX || last > CPU_NUMBER_MAX)
		return nsb_error_set(error, EINVAL, "\"%.*s\": the largest number of a CPU is %d", (int)length, item,
				     CPU_NUMBER_MAX);
	if (first > last)
		return nsb_error_set(error, EINVAL, "\"%.*s\" goes backwards: write the smaller number first",
				     (int)length, item);
	return 0;
bad:
	return nsb_error_set(error, EINVAL,
			     "\"%.*s\" is neither the number of a CPU nor a range like 0-3; they are divided by commas "
			     "or blanks",
			     (int)(length < 128 ? length : 128), item);
}

int nsb_parse_cpus(const char *text, char **ret, nsb_error *error)
{
	NSB_FREE char *list = malloc(strlen(text) + 1);
	size_t used = 0;
	int r;

	if (list == NULL)
		return -ENOMEM;
	text += strspn(text, " \t");
	while (*text != '\0' || (used > 0 && list[used - 1] == ',')) {
		size_t length = strcspn(text, ", \t");

		r = check_cpus(text, length, error);
		if (r < 0)
			return r;
		memcpy(list + used, text, length);
		used += length;
		text += length;
		text += strspn(text, " \t");
		/* a comma promises another item, blanks do not */
		if (*text == ',') {
			text++;
			text += strspn(text, " \t");
			list[used++] = ',';
		} else if (*text != '\0') {
			list[used++] = ',';
		}
	}
	if (used > CPUS_LENGTH)
		return nsb_error_set(error, EINVAL, "the list is longer than %d characters: write ranges like 0-3",
				     CPUS_LENGTH);
	list[used] = '\0';
	*ret = nsb_steal_pointer(&list);
	return 0;
}

int nsb_parse_io_limit(const char *word, nsb_io_limits *limits, nsb_error *error)
{
	const struct {
		const char *name;
		int64_t *place;
		bool operations;
	} kinds[] = {
		{ "rbps=", &limits->rbps, false },
		{ "wbps=", &limits->wbps, false },
		{ "riops=", &limits->riops, true },
		{ "wiops=", &limits->wiops, true },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *text = nsb_after_prefix(word, kinds[i].name);
		int64_t number = 0;
		int r;

		if (text == NULL)
			continue;
		r = parse_size(text, 1000, &number);
		if (r == -ERANGE || (r == 0 && kinds[i].operations && number > IOPS_MAX))
			return kinds[i].operations
				       ? nsb_error_set(error, EINVAL,
						       "\"%.128s\" is too much: at most %lld are allowed", word,
						       (long long)IOPS_MAX)
				       : nsb_error_set(error, EINVAL, "\"%.128s\" is too much: at most %dT are allowed",
						       word, TERAS_MAX);
		if (r < 0 || number == 0)
			break;
		if (*kinds[i].place != 0)
			return nsb_error_set(error, EINVAL, "\"%.128s\" comes after another of its kind", word);
		*kinds[i].place = number;
		return 0;
	}
	return nsb_error_set(error, EINVAL,
			     "\"%.128s\" is not one of rbps= wbps= riops= wiops= with a number from 1, perhaps with K, "
			     "M, G or T (powers of 1000)",
			     word);
}

void nsb_format_io_limits(const nsb_io_limits *limits, char buffer[128])
{
	const struct {
		const char *name;
		int64_t number;
	} kinds[] = {
		{ "rbps", limits->rbps },
		{ "wbps", limits->wbps },
		{ "riops", limits->riops },
		{ "wiops", limits->wiops },
	};
	size_t used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].number != 0)
			used += (size_t)snprintf(buffer + used, 128 - used, " %s=%lld", kinds[i].name,
						 (long long)kinds[i].number);
}
