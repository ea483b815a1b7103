# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
"""The recording of tests/demo that README shows: what becomes a picture and what is refused, and that it is of the demo as it
is now."""
import itertools
import os
import pathlib
import re
import sys
import xml.etree.ElementTree

import pytest

from lib import demo, host, recording

SOURCE = pathlib.Path(os.environ["NSBOX_SOURCE"])
SCRIPT = SOURCE / "tests/lib/recording.py"
PICTURE, TEXT = SOURCE / "doc/demo.svg", SOURCE / "doc/demo.txt"


def picture(*pieces, columns=40):
    """The SVG of a stream that comes in these pieces, one each second."""
    return recording.picture(recording.play(enumerate(pieces), columns), "a <title> & \"more\"")


def shown(*pieces, columns=40):
    return recording.read_picture(picture(*pieces, columns=columns))


def elements(svg, name):
    return list(xml.etree.ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{name}"))


# -- from a terminal to a picture --


@pytest.mark.parametrize("pieces, lines", [
    ([b"one\r\ntwo\r\n"], ["one", "two"]),
    ([b"one\r\n\r\n\r\nfour"], ["one", "", "", "four"]),
    ([b"  a   b c\r\n"], ["  a   b c"]),
    ([b"down\nand on"], ["down", "    and on"]),
    ([b"10%\r20%\r100%\r\n"], ["100%"]),
    ([b"longer\rab"], ["abnger"]),
    ([b"a\r\n", b"b\r", b"c\r\n"], ["a", "c"]),
    ([b"<b>&amp;\"'</b>"], ["<b>&amp;\"'</b>"]),
    (["gr\u00fc\u00df".encode()[:3], "gr\u00fc\u00df".encode()[3:]], ["gr\u00fc\u00df"]),
    ([b"\033[1mbold\033[0m plain \033[1mb\033[m"], ["bold plain b"]),
    ([b"x\033", b"[", b"1", b"my\033[0", b"m"], ["xy"]),
    ([b"a" * 40 + b"\r\n" + b"b"], ["a" * 40, "b"]),
])
def test_text(pieces, lines):
    """What a terminal would show is what is read in the picture, row by row, column by column."""
    assert shown(*pieces) == lines


def test_bold():
    """Bold is bold, up to the letter where it ends, and nothing else is."""
    spans = elements(picture(b"a \033[1mbc\033[0md  \033[1me f\033[0m"), "tspan")
    assert [(span.text, span.get("class")) for span in spans] == [("a ", None), ("bc", "b"), ("d", None), ("e f", "b")]
    assert [float(span.get("x")) for span in spans] == [
        pytest.approx(recording.MARGIN + column * recording.ADVANCE, abs=0.01) for column in (0, 2, 4, 7)]


def test_times():
    """A row appears when it was written to last, and nobody waits longer than PAUSE for the next."""
    pieces = [(0.25, b"a\r\n"), (0.5, b"b"), (1.0, b"\rc\r\n"), (600.0, b"d\r\n")]
    svg = recording.picture(recording.play(pieces), "t")
    delays = [text.get("style") for text in elements(svg, "text") if text.get("class") == "r"]
    assert delays == ["animation-delay:0.25s", "animation-delay:1s", f"animation-delay:{1 + recording.PAUSE}s"]


def test_what_a_reader_of_svg_gets():
    """Well-formed, with a title for who cannot see it; nothing in it runs, or is fetched; rows are visible where nothing moves."""
    svg = picture(b"<script>alert(1)</script> & http://example.org\r\n", columns=60)
    names = {element.tag.split("}")[1] for element in xml.etree.ElementTree.fromstring(svg).iter()}
    assert names == {"svg", "title", "style", "rect", "text", "tspan"}
    assert elements(svg, "title")[0].text == "a <title> & \"more\""
    attributes = {name for element in xml.etree.ElementTree.fromstring(svg).iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on") or "href" in name]
    style = elements(svg, "style")[0].text
    assert "url(" not in style and "@import" not in style and not re.search(r"\.r\{[^}]*(opacity|visibility|display)", style)


@pytest.mark.parametrize("pieces, words", [
    ([b"a\r\n\033[2Jb"], r"line 2: the escape sequence '\\x1b\[2J'"),
    ([b"\033[31mred"], r"line 1: the escape sequence '\\x1b\[31m'"),
    ([b"\033[1;31mred"], r"line 1: the escape sequence '\\x1b\[1;31m'"),
    ([b"\033]0;title\a"], r"line 1: the escape sequence '\\x1b\]'"),
    ([b"\033[?25l"], r"line 1: the escape sequence '\\x1b\[\?'"),
    ([b"\033c"], r"line 1: the escape sequence '\\x1bc'"),
    ([b"a\tb"], r"line 1: '\\t'"),
    ([b"a\b"], r"line 1: '\\x08'"),
    ([b"\a"], r"line 1: '\\x07'"),
    (["\u6f22".encode()], "line 1: '\u6f22'"),
    (["e\u0301".encode()], "line 1: '\u0301'"),
    ([b"x" * 41], "line 1: wider than 40 columns"),
    ([b"ok\r\n\xff\xfe"], "line 2: bytes that are not UTF-8"),
    ([b"ok\033[1"], r"line 1: ends in the middle of '\\x1b\[1'"),
    ([b"ok\xc3"], "line 1: ends in the middle of"),
])
def test_what_is_not_known_is_an_error(pieces, words):
    """Garbage in the picture would be seen by readers only."""
    with pytest.raises(recording.Unknown, match=f"^{words}"):
        shown(*pieces)


# -- the script --


def run_script(directory, *command):
    return host.run(sys.executable, str(SCRIPT), "made", *command, cwd=directory, timeout=60)


def test_script(tmp_path):
    """The command runs on a terminal of the picture's width; its errors are shown too; both files have the same text."""
    result = run_script(tmp_path, "sh", "-c", "test -t 1 && test -t 2 && stty size <&1; echo \"$1\" >&2", "sh", "x  < y")
    assert result == host.Result(0, "", "")
    assert (tmp_path / "made.txt").read_text() == f"{recording.ROWS} {recording.COLUMNS}\nx  < y\n"
    assert recording.read_picture((tmp_path / "made.svg").read_text()) == ["50 100", "x  < y"]
    assert sorted(os.listdir(tmp_path)) == ["made.svg", "made.txt"]


@pytest.mark.parametrize("command, words", [
    (["sh", "-c", "echo half; exit 3"], r"half\s+recording: sh -c .* ended with status 3: nothing is written"),
    (["printf", r"ok\n\033[2J"], r"recording: line 2: the escape sequence .*: nothing is written"),
])
def test_script_fails(command, words, tmp_path):
    """A picture of a run that failed is not made; the one that is there stays."""
    (tmp_path / "made.svg").write_text("old")
    result = run_script(tmp_path, *command)
    assert result.rc == 1 and re.fullmatch(words, result.err.strip(), re.S)
    assert os.listdir(tmp_path) == ["made.svg"] and (tmp_path / "made.svg").read_text() == "old"


def test_script_usage(tmp_path):
    """Without a command: what it takes."""
    result = run_script(tmp_path)
    assert result.rc == 1 and "recording.py NAME COMMAND" in result.err and os.listdir(tmp_path) == []


# -- the recording in README --


def sections(lines):
    """{heading: lines} of what the demo prints, from its first heading on."""
    found = {}
    for line in itertools.dropwhile(lambda line: not line.startswith("--- "), lines):
        if line.startswith("--- "):
            rows = found[line] = []
        elif line:
            rows.append(line)
    return found


def skeleton(lines):
    """The same without what is another in each run."""
    found = sections(lines)
    return {
        "headings": list(found),
        "profile": found["--- /etc/security/nsbox.conf"],
        "labels": [label for label in (line[:demo.LABEL].rstrip() for line in found["--- ssh alice@host"]) if label],
        "columns": found["--- ssh alice@host"][0],
        "list": found["--- on the host, meanwhile"][1].split(),
        "end": [re.sub(r"[0-9]+", "N", line) for line in found["--- logout"]],
    }


def test_picture_is_of_this_demo(conf, tmp_path):
    """A run of the demo now has the same profile, headings, rows and words as the one that README shows."""
    conf.pam("sshd")
    conf.nsbox("")
    try:
        result = run_script(tmp_path, sys.executable, str(SOURCE / "tests/lib/demo.py"))
    finally:
        host.run("ip", "link", "del", "uplink")
        pathlib.Path("/tmp/a-file-of-bob").unlink(missing_ok=True)
    assert result.rc == 0, result.err
    now = skeleton((tmp_path / "made.txt").read_text().splitlines())
    assert len(now["labels"]) > 15
    assert skeleton(TEXT.read_text().splitlines()) == now, "the demo has changed: sudo make recording"


def test_picture_is_a_run():
    """Picture and text are of one run, the whole of it: it was built, the box has another name and other namespaces than the
    host, the id is the same wherever it stands. No directory of who has made it."""
    lines = TEXT.read_text().splitlines()
    assert recording.read_picture(PICTURE.read_text()) == lines
    assert any(re.match(r"ok +build gcc .* 1 passed, 0 failed$", line) for line in lines)
    text = "\n".join(lines)
    assert len(re.findall(r"\b([a-z]+):\[\d+\] +\1:\[\d+\]", text)) == 6
    (box,) = set(re.findall(r"nsbox/(\w{10})\b", text))
    assert len(re.findall(rf"\b{box}\b", text)) >= 4
    assert str(SOURCE) not in text and "/home/" not in text


def test_readme_shows_it():
    """The picture, with words for who does not see it, and the text beside it; small enough for a page."""
    readme = (SOURCE / "README.md").read_text()
    assert re.search(r"!\[[^\]]{20,}\]\(doc/demo\.svg\)", readme) and "(doc/demo.txt)" in readme
    assert PICTURE.stat().st_size < 40000
    assert elements(PICTURE.read_text(), "title")[0].text == "tests/demo"
