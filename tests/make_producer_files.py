"""Files as their producers write them: python3 tests/make_producer_files.py PACKAGE FOLDER

PACKAGE is inspect_ai, lm_eval, trl or datasets. Prints a line for each file: its name, and the numbers of its problems and candidates. Exits with 77 where the package
is not installed. Nothing is fetched: models are the packages' own stand-ins, and what needs one that is trained is written by the package's own writer alone."""

import importlib.util
import os
import pathlib
import sys

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "INSPECT_DISPLAY": "none"})
package, folder = sys.argv[1], pathlib.Path(sys.argv[2])
PROBLEMS = [("What is 1 + 2?", "3"), ("What is 4 + 4?", "8"), ("What is 5 - 7?", "-2")]


def need(name):
    if importlib.util.find_spec(name) is None:
        print(f"skipped: {name} is not installed (pip install {name})")
        sys.exit(77)


def said(name, problems, candidates):
    print(name, problems, candidates, sep="\t")


def inspect_ai():
    """Two epochs of a task with Inspect's own stand-in of a model, as its log files."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    samples = [Sample(input=problem, target=gold, id=f"p-{i}") for i, (problem, gold) in enumerate(PROBLEMS)]
    for form in ["eval", "json"]:
        outputs = [ModelOutput.from_content("mockllm/model", f"I think.\n\nThe answer is {i}") for i in range(6)]
        for output in outputs:
            # Tokens that nobody counted would be counted with a vocabulary from the network.
            output.usage = ModelUsage(input_tokens=7, output_tokens=7, total_tokens=14)
        task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match(numeric=True))
        model = get_model("mockllm/model", custom_outputs=outputs)
        (log,) = eval(task, model=model, epochs=2, log_dir=str(folder / form), log_format=form, display="none", max_samples=1)
        assert log.status == "success", str(log.error)[:300]
        said(str(pathlib.Path(log.location.removeprefix("file://")).relative_to(folder)), 3, 6)


def lm_eval():
    """Samples through the harness's own writer; what it runs needs a model and a data set from the network."""
    from lm_eval.loggers import EvaluationTracker

    def sample(i, problem, gold):
        text = f" I think.\nThe answer is {i}."
        return {
            "doc_id": i,
            "doc": {"question": problem, "answer": gold},
            "target": gold,
            "arguments": [(f"Question: {problem}\nAnswer:", {"until": ["Question:"], "do_sample": False})],
            "resps": [[text]],
            "filtered_resps": [str(i)],
            "filter": "strict-match",
            "metrics": ["exact_match"],
            "doc_hash": "a" * 64,
            "prompt_hash": "b" * 64,
            "target_hash": "c" * 64,
            "exact_match": float(str(i) == gold),
        }

    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = "model"
    tracker.date_id = "2026-01-02T03-04-05.000000"
    tracker.save_results_samples("arithmetic", [sample(i, *pair) for i, pair in enumerate(PROBLEMS)])
    (path,) = folder.rglob("samples_*.jsonl")
    said(str(path.relative_to(folder)), 3, 3)


def trl():
    """The table of completions that GRPOTrainer logs, by its own lines of pandas, and a set for its PRMTrainer, by datasets as its scripts write one."""
    need("pandas")
    import pandas

    rows = [(problem, f"I think.\nThe answer is {i}.", float(str(i) == gold)) for problem, gold in PROBLEMS for i in range(2)]
    table = {
        "step": ["10"] * len(rows),
        "prompt": [r[0] for r in rows],
        "completion": [r[1] for r in rows],
        "exact_reward": [r[2] for r in rows],
        "advantage": [r[2] - 0.5 for r in rows],
    }
    pandas.DataFrame(table).to_parquet(folder / "completions_00010.parquet")
    said("completions_00010.parquet", 3, 6)
    need("datasets")
    from datasets import Dataset

    steps = [{"prompt": p, "completions": ["I think.", f"It is {g}."], "labels": [True, i != 1]} for i, (p, g) in enumerate(PROBLEMS)]
    Dataset.from_list(steps).to_parquet(folder / "stepwise.parquet")
    said("stepwise.parquet", 3, 3)


def datasets():
    """Labelled solutions in every form in which datasets writes a set."""
    from datasets import Dataset

    rows = [
        {"id": f"gsm8k-{i}", "generator": "m", "problem": p, "steps": ["I think.", f"It is {g}."], "final_answer_correct": i != 1, "label": 1 if i == 1 else -1}
        for i, (p, g) in enumerate(PROBLEMS)
    ]
    chats = [{"id": str(i), "messages": [{"role": "user", "content": p}, {"role": "assistant", "content": f"<think>\nHm.\n</think>\n\n{g}"}]} for i, (p, g) in enumerate(PROBLEMS)]
    plain = [{"problem": p, "completion": f"I think.\n\nIt is {g}.", "gold_answer": g, "correct": i != 1, "score": i / 2} for i, (p, g) in enumerate(PROBLEMS)]
    for name, records in [("processbench", rows), ("chats", chats)]:
        data = Dataset.from_list(records)
        data.to_json(folder / f"{name}.jsonl")
        data.to_json(folder / f"{name}.jsonl.gz", compression="gzip")
        data.to_json(folder / f"{name}.json", lines=False, orient="records")
        data.to_parquet(folder / f"{name}.parquet")
        for ending in ["jsonl", "jsonl.gz", "json", "parquet"]:
            said(f"{name}.{ending}", 3, 3)
    data = Dataset.from_list(plain)
    data.to_csv(folder / "plain.csv", index=False)
    said("plain.csv", 3, 3)


WRITERS = {"inspect_ai": inspect_ai, "lm_eval": lm_eval, "trl": trl, "datasets": datasets}
# What TRL's trainer writes is written by pandas and datasets alone; TRL itself, which brings torch, is not needed for it.
need("pandas" if package == "trl" else package)
WRITERS[package]()
