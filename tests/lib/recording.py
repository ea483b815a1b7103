#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""recording.py NAME COMMAND [ARG...]

Runs COMMAND on a terminal and writes what it shows there as a picture that tells it in its time, NAME.svg, and as
text, NAME.txt. Neither is written if COMMAND fails, or shows what this terminal does not know. `make recording` makes
README's."""
import codecs
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import unicodedata
import xml.etree.ElementTree

COLUMNS, ROWS = 100, 50

# Seconds that nothing is shown for at most: nobody wants to see a compiler run.
PAUSE = 1.5

# Sizes of the picture in pixels. Monospaced letters are 0.6 of their height wide, or less.
SIZE, ADVANCE, LINE, MARGIN, BAR = 14, 8.4, 18, 14, 34

STYLE = """\
rect{fill:#1d1f21}
text{fill:#d5d8d6;font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;white-space:pre}
.b{fill:#fff;font-weight:bold}
.t{fill:#8a8f8c}
.r{animation:show 1ms steps(1,end) backwards}
@keyframes show{from{opacity:0}}
@media (prefers-reduced-motion:reduce){.r{animation:none}}
""" % SIZE


class Unknown(Exception):
    """Something was printed that the terminal does not know: it would be garbage in the picture."""


class Screen:
    """What a terminal shows that is as high as its text is long. It knows letters, bold, newline and carriage return."""

    def __init__(self, columns=COLUMNS):
        self.columns = columns
        self.rows = []  # of [(letter, bold), ...]
        self.times = []  # when each of them was last written to
        self._row = self._column = 0
        self._bold = False
        self._escape = ""  # one that has begun
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data, now=0.0):
        """Shows bytes, in whatever pieces they come."""
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError as error:
            line = self._row + 1 + error.object.count(b"\n", 0, error.start)
            raise Unknown(f"line {line}: bytes that are not UTF-8: {error.object[error.start:error.end]!r}") from None
        for letter in text:
            if self._escape or letter == "\033":
                self._continue_escape(letter)
            elif letter == "\n":
                self._row += 1
            elif letter == "\r":
                self._column = 0
            else:
                self._put(letter, now)

    def end(self):
        """There is no more."""
        if self._escape or self._decoder.getstate()[0]:
            raise Unknown(f"line {self._row + 1}: ends in the middle of {self._escape!r}")

    def _continue_escape(self, letter):
        self._escape += letter
        if re.fullmatch(r"\033(\[[0-9;]*)?", self._escape):
            return
        if self._escape in ("\033[m", "\033[0m"):
            self._bold = False
        elif self._escape == "\033[1m":
            self._bold = True
        else:
            raise Unknown(f"line {self._row + 1}: the escape sequence {self._escape!r}: only bold is known")
        self._escape = ""

    def _put(self, letter, now):
        if not (letter.isprintable() and unicodedata.east_asian_width(letter) not in "WF" and not unicodedata.combining(letter)):
            raise Unknown(f"line {self._row + 1}: {letter!r}: only letters of one column are known, newline and carriage return")
        if self._column == self.columns:
            raise Unknown(f"line {self._row + 1}: wider than {self.columns} columns")
        while len(self.rows) <= self._row:
            self.rows.append([])
            self.times.append(now)
        row = self.rows[self._row]
        row += [(" ", False)] * (self._column + 1 - len(row))
        row[self._column] = letter, self._bold
        self.times[self._row] = now
        self._column += 1

    def lines(self):
        return ["".join(letter for letter, _ in row).rstrip() for row in self.rows]


def shorten(pieces):
    """(seconds, bytes) of a recording, without what is longer than PAUSE between two."""
    now = before = 0.0
    for at, data in pieces:
        now += min(at - before, PAUSE)
        before = at
        yield now, data


def play(pieces, columns=COLUMNS):
    screen = Screen(columns)
    for now, data in shorten(pieces):
        screen.feed(data, now)
    screen.end()
    return screen


def runs(row):
    """(column, bold, text) of what stands in a row. Each has its own place in the picture, so that columns are below each
    other whatever the font is."""
    text = "".join(letter for letter, _ in row)
    for found in re.finditer(r"\S+(?: \S+)*", text):
        start = found.start()
        for i in range(found.start() + 1, found.end() + 1):
            if i == found.end() or row[i][1] != row[start][1]:
                if text[start:i].strip():
                    yield start, row[start][1], text[start:i]
                start = i


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def span(run):
    column, bold, text = run
    weight = ' class="b"' if bold else ""
    return f'<tspan x="{number(MARGIN + column * ADVANCE)}"{weight}>{html.escape(text, quote=False)}</tspan>'


def picture(screen, title):
    """The SVG. Every row is there at the end, which is all that is seen where nothing moves: no scripts, nothing from elsewhere."""
    width = number(screen.columns * ADVANCE + 2 * MARGIN)
    height = number(BAR + len(screen.rows) * LINE + MARGIN)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
             f"<title>{html.escape(title)}</title>", f"<style>\n{STYLE}</style>", f'<rect width="{width}" height="{height}" rx="8"/>',
             f'<text class="t" x="{MARGIN}" y="22">{html.escape(title)}</text>']
    for i, (row, at) in enumerate(zip(screen.rows, screen.times)):
        spans = "".join(map(span, runs(row)))
        if spans:
            lines.append(f'<text class="r" y="{BAR + i * LINE + SIZE}" style="animation-delay:{number(at)}s">{spans}</text>')
    return "\n".join(lines) + "\n</svg>\n"


def read_picture(svg):
    """The lines of text of a picture that picture() made, by what XML says of it."""
    lines = []
    for text in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if text.get("class") != "r":
            continue
        row = (int(text.get("y")) - BAR - SIZE) // LINE
        lines += [""] * (row + 1 - len(lines))
        for span in text:
            lines[row] = lines[row].ljust(round((float(span.get("x")) - MARGIN) / ADVANCE)) + span.text
    return lines


def record(command, columns=COLUMNS, rows=ROWS):
    """Runs a command on a terminal of its own, with nothing to be read from it. Returns its status, and [(seconds, bytes)]."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    began, pieces = time.monotonic(), []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True) as child:
        os.close(theirs)
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # EIO: nobody has the terminal any more
                data = b""
            if not data:
                break
            pieces.append((time.monotonic() - began, data))
        os.close(ours)
        return child.wait(), pieces


def write(path, text):
    """All of it or nothing."""
    new = pathlib.Path(f"{path}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    name, command = sys.argv[1], sys.argv[2:]
    status, pieces = record(command)
    if status != 0:
        shown = b"".join(data for _, data in pieces).decode(errors="replace")
        sys.exit(f"{shown}recording: {' '.join(command)} ended with status {status}: nothing is written")
    try:
        screen = play(pieces)
    except Unknown as error:
        sys.exit(f"recording: {error}: nothing is written")
    write(f"{name}.svg", picture(screen, " ".join(command)))
    write(f"{name}.txt", "".join(f"{line}\n" for line in screen.lines()))


if __name__ == "__main__":
    main()
