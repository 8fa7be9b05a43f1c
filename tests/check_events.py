"""Reads the event files of a run's folder with TensorBoard itself and compares every scalar with metrics.jsonl.

    pip install tensorboard && python tests/check_events.py RUN
"""

import collections
import json
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
wanted = collections.defaultdict(dict)
for line in (run / "metrics.jsonl").read_text().splitlines():
    m = json.loads(line)
    if "alarm" in m:
        continue
    for name, value in m.items():
        if name not in ("stage", "step", "steps", "time"):
            wanted[f"{m['stage']}/{name}"][m["step"]] = math.nan if value is None else value
events = EventAccumulator(str(run), size_guidance={"scalars": 0})
events.Reload()
found = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
for tag, values in wanted.items():
    assert found[tag].keys() == values.keys(), tag
    for step, value in values.items():
        got = found[tag][step]
        assert math.isnan(value) and math.isnan(got) or math.isclose(got, value, rel_tol=1e-6, abs_tol=1e-30), (tag, step, got, value)
print(f"{len(found)} tags, {sum(map(len, found.values()))} scalars: as in metrics.jsonl")
