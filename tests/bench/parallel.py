# SPDX-License-Identifier: BSD-3-Clause
"""Boxes and floors made by several processes at the same moment."""
import boxes
import turns

AT_ONCE = (1, 4, 16)


def run(arguments):
    found = {}
    with boxes.Arena([boxes.DEFAULT]) as arena:
        wanted = {turns.FLOOR: turns.floor(), boxes.DEFAULT.name: arena.arguments(boxes.DEFAULT)}
        for number in AT_ONCE:
            found[str(number)] = turns.measure(f"{number} at a time", wanted, arguments.rounds, turns.SPARSE, at_once=number)
    return found
