# SPDX-License-Identifier: BSD-3-Clause
"""Which tests run where not all do (tests/run without --full).

A test with several sets of parameters is run in as many combinations as it takes for each value of each of them to occur. Marks ask
for less where a test takes long:

  some(number)     of a test's combinations at most so many
  one_in(number)   of a file's tests that say so one in so many, at least one
  full(why)        none

Which, differs from one state of the sources to the next, so that all of them come about in time, and is the same for the same sources.
"""
import collections
import hashlib
import math


def _place(seed, item):
    return hashlib.sha256(f"{seed} {item.nodeid}".encode()).digest()


def _values(item):
    """What the item has of each set of parameters: {(names, values)}; rows of one list are chosen by hand, and one value each."""
    if not hasattr(item, "callspec"):
        return set()
    parameters = item.callspec.params
    found, marked = set(), set()
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if isinstance(mark.args[0], str) else ",".join(mark.args[0])
        words = names.replace(" ", "").split(",")
        marked.update(words)
        found.add((names, repr([parameters[word] for word in words])))
    return found | {(name, repr(value)) for name, value in parameters.items() if name not in marked}


def _cover(items, seed):
    """Of one test's items as few as have all values, the most telling first."""
    values = {item: _values(item) for item in items}
    chosen, seen = [], set()
    while waiting := [item for item in items if values[item] - seen]:
        chosen.append(max(waiting, key=lambda item: (len(values[item] - seen), _place(seed, item))))
        seen |= values[chosen[-1]]
    return chosen or items


def _groups(items, key):
    groups = collections.defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups.values()


def _argument(item, mark):
    found = item.get_closest_marker(mark)
    return found.args[0] if found else None


def choose(items, seed):
    """Those of pytest's items that run, a set; without a seed all."""
    if not seed:
        return set(items)
    tests = collections.defaultdict(list)  # (file, one in how many): lists of items of a test
    for group in _groups((item for item in items if not _argument(item, "full")), lambda item: item.nodeid.partition("[")[0]):
        first = group[0]
        tests[first.nodeid.partition("::")[0], _argument(first, "one_in") or 1].append(_cover(group, seed)[:_argument(first, "some")])
    chosen = set()
    for (_, number), groups in tests.items():
        groups.sort(key=lambda group: _place(seed, group[0]))
        chosen.update(item for group in groups[:math.ceil(len(groups) / number)] for item in group)
    return chosen
