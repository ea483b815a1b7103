# SPDX-License-Identifier: BSD-3-Clause
"""Medians as bars, relative to the floor: drawn by gnuplot, where it is installed."""
import pathlib
import shutil
import subprocess

SETTINGS = """\
set terminal svg size {width},{height} noenhanced font "sans-serif,12" background "white"
set title "median of open and close, 60 ms apart, relative to bare system calls"
set xrange [0:*]
set yrange [{count}-0.5:-0.5]
set grid xtics
set style fill solid 0.6
unset key
$bars << end
{rows}
end
plot $bars using ($2/2):0:($2/2):(0.35):ytic(1) with boxxyerror, $bars using 2:0:(sprintf(" %.2f", $2)) with labels left
"""


def script(bars):
    """What gnuplot is told. `bars`: {name: ratio}"""
    rows = "\n".join(f'"{name}" {ratio:.3f}' for name, ratio in bars.items())
    return SETTINGS.format(rows=rows, count=len(bars), width=900, height=80 + 24 * len(bars))


def bars_of(result):
    """{name: ratio} of the boxes and the others; what is in both is taken from the boxes."""
    found = {}
    for part in ("peers", "boxes"):
        found.update({name: one["ratio"] for name, one in result.get(part, {}).get("sparse", {}).items()})
    return dict(sorted(found.items(), key=lambda item: item[1]))


def check(parts):
    """Before anything is measured: whether there will be a chart of these."""
    if not {"boxes", "peers"} & set(parts):
        raise SystemExit("bench: --chart: it shows boxes and peers")
    if shutil.which("gnuplot") is None:
        raise SystemExit("bench: --chart: gnuplot is not installed")


def draw(file, result):
    drawn = subprocess.run(["gnuplot"], input=script(bars_of(result)), text=True, capture_output=True, check=False)
    if drawn.returncode != 0:
        raise SystemExit(f"bench: gnuplot: {drawn.stderr}")
    pathlib.Path(file).write_text(drawn.stdout, encoding="utf-8")
