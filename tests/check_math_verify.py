"""Grades the same texts with Math-Verify and with `reasonscope data check`, and prints how many of the stored verdicts each agrees with.

    pip install math-verify && python tests/check_math_verify.py target/debug/reasonscope math pairs.jsonl gsm8k other.jsonl

A file has a JSON object a line: `gt`, the reference answer, `code`, texts, and `score`, their verdicts. Without Math-Verify only the own figures are printed.
"""

import json
import pathlib
import subprocess
import sys

try:
    from math_verify import parse, verify
except ImportError:
    print("skipped: no Math-Verify; pip install math-verify", file=sys.stderr)
    parse = verify = None


def theirs(path):
    """Agreement, texts judged right against their verdict, texts judged wrong against it."""
    agree = right = wrong = 0
    for line in pathlib.Path(path).read_text().splitlines():
        record = json.loads(line)
        gold = parse(f"${record['gt']}$", parsing_timeout=5)
        for text, score in zip(record["code"], record["score"]):
            found = verify(gold, parse(text, parsing_timeout=5), timeout_seconds=5)
            agree += found == score
            right += found and not score
            wrong += score and not found
    return agree, right, wrong


def ours(program, task, path):
    """The same, and how many texts there are."""
    output = subprocess.run([program, "data", "check", task, path, "--json"], check=True, capture_output=True, text=True).stdout
    found = json.loads(output.strip().splitlines()[-1])
    right = sum(n for kind, n in found["kinds"].items() if kind.startswith("wrong"))
    wrong = sum(n for kind, n in found["kinds"].items() if kind.startswith("right"))
    return found["agree"], right, wrong, found["graded"]


program, *rest = sys.argv[1:]
print(f"{'file':32} {'texts':>6} {'grader':>12} {'agree':>6} {'false right':>12} {'false wrong':>12}")
for task, path in zip(rest[::2], rest[1::2]):
    *own, texts = ours(program, task, path)
    rows = [("reasonscope", own)] + ([("Math-Verify", theirs(path))] if parse else [])
    for name, (agree, right, wrong) in rows:
        print(f"{pathlib.Path(path).name:32} {texts:6} {name:>12} {agree:6} {right:12} {wrong:12}")
