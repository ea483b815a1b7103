/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of PAM's lines, of both kinds of file: every line has a number that grows, its words have no newline, and a
 * control means one thing. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pam-reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_word(const char *word)
{
	must(word != NULL && strchr(word, '\n') == NULL);
}

static void check(const pam_line *line, int with_service)
{
	static const char *const values[] = { "success", "system_err", "default", "" };
	char action[PAM_ACTION_SIZE];

	must((line->service != NULL) == with_service);
	check_word(line->type);
	check_word(line->control);
	check_word(line->module);
	for (size_t i = 0; i < line->n_words; i++)
		check_word(line->words[i]);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		memset(action, 'x', sizeof(action));
		pam_control_action(line->control, values[i], action);
		must(memchr(action, '\0', sizeof(action)) != NULL);
	}
	(void)pam_line_is(line, "pam_nsbox.so");
	must(!pam_line_has(line, "open") || line->n_words > 0);
	must(pam_line_value(line, "conf") == NULL || line->n_words > 0);
}

static void read_all(const char *words, int with_service)
{
	pam_text text = { .at = words, .number = 1, .with_service = with_service };
	unsigned last = 0, newlines = 1;
	pam_line line;
	int r;

	for (const char *at = words; *at != '\0'; at++)
		newlines += *at == '\n';
	while ((r = pam_text_next(&text, &line)) > 0) {
		must(line.line > last && line.line <= newlines);
		last = line.line;
		check(&line, with_service);
		pam_line_done(&line);
	}
	must(r == 0 || r == -EBADMSG);
	must(r == 0 || (line.line > last && line.line <= newlines));
	must(r < 0 || *text.at == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	read_all(text, 0);
	read_all(text, 1);
	free(text);
	return 0;
}
