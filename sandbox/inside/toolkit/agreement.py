"""Where prompts and repeats agree and where they differ: rivals, unsettled examples, labels that may be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from .groups import MOST_VALUES
from .literals import one_line, plain
from .records import FAILS_BELOW, Row, is_empty, scores_of

MOST_PROMPTS = 6


def disagreements(records: pd.DataFrame, *, threshold: float = FAILS_BELOW) -> list[Row]:
    """Where prompts differ: rows {a, b, label, n, only_a_right, only_b_right} per pair of the first six prompts.

    `label` is None in a pair's total, else an expected answer; `n` counts the examples that both have a score for. An
    example of several repeats is right when their mean is. Only where they differ at all.
    """
    scores = scores_of(records)
    table = records.assign(score=scores)[~np.isnan(scores)]
    prompts = list(dict.fromkeys(table["prompt_id"].tolist()))[:MOST_PROMPTS]
    table = table[table["prompt_id"].isin(prompts)]
    if len(prompts) < 2:
        return []
    means = table.groupby(["example_id", "prompt_id"], sort=False)["score"].mean().unstack()
    first = table.drop_duplicates("example_id").set_index("example_id")["expected"].reindex(means.index)
    wanted = np.array([one_line(value) for value in first.tolist()], dtype=object)
    values = means[prompts].to_numpy(dtype=float)
    labels: list[str | None] = sorted(set(wanted))
    rows = []
    for i in range(len(prompts)):
        for j in range(i + 1, len(prompts)):
            both = ~np.isnan(values[:, i]) & ~np.isnan(values[:, j])
            a, b = both & (values[:, i] >= threshold), both & (values[:, j] >= threshold)
            for label in [None, *(labels if 2 <= len(labels) <= MOST_VALUES else [])]:
                here = both if label is None else both & (wanted == label)
                only_a, only_b = int((here & a & ~b).sum()), int((here & b & ~a).sum())
                if only_a or only_b:
                    names = {"a": str(prompts[i]), "b": str(prompts[j]), "label": label, "n": int(here.sum())}
                    rows.append({**names, "only_a_right": only_a, "only_b_right": only_b})
    return sorted(rows, key=lambda row: (-row["only_a_right"] - row["only_b_right"], row["label"] is not None))


def flaky(records: pd.DataFrame) -> list[Row]:
    """Examples that one prompt got different scores for, the least settled first.

    Rows {prompt_id, example_id, expected, answers, mean, outputs}: `answers` counts the repeats, `outputs` shows up to
    three different ones.
    """
    scores = scores_of(records)
    table = records.assign(score=scores)[~np.isnan(scores)]
    groups = table.groupby(["prompt_id", "example_id"], sort=False)["score"]
    spread = groups.transform("max") - groups.transform("min")
    rows = []
    for (prompt, example), part in table[(spread > 1e-9).to_numpy()].groupby(["prompt_id", "example_id"], sort=False):
        rows.append(
            {
                "prompt_id": str(prompt),
                "example_id": str(example),
                "expected": one_line(part["expected"].iloc[0]),
                "answers": len(part),
                "mean": round(float(part["score"].mean()), 4),
                "outputs": list(dict.fromkeys(one_line(value) for value in part["output"].tolist()))[:3],
            }
        )
    return sorted(rows, key=lambda row: abs(row["mean"] - 0.5))


def suspicious(records: pd.DataFrame, labels: Sequence[str] = (), *, threshold: float = FAILS_BELOW) -> list[Row]:
    """Examples that every prompt answers with one and the same other answer: their label may be wrong.

    Rows {example_id, expected, answer, answers, prompts, usual, input}. At least two prompts or three answers must
    agree, on an answer that is a label where there are labels. `usual` is how much of what is wrongly answered
    for this expected answer is this one: near 1 the prompts are biased rather than the label wrong, so the unusual
    come first.
    """
    scores = scores_of(records)
    table = records[~np.isnan(scores)]
    if not len(table):
        return []
    wanted = [plain(value) for value in table["expected"].tolist()]
    given = [plain("" if is_empty(value) else value) for value in table["output"].tolist()]
    known = {plain(label) for label in labels} or set(wanted)
    closed = bool(labels) or len(known) <= MOST_VALUES
    failed = scores[~np.isnan(scores)] < threshold
    example, names = _codes(map(str, table["example_id"].tolist()))
    prompt, prompts = _codes(map(str, table["prompt_id"].tolist()))
    want, wants = _codes(wanted)
    got, gots = _codes(given)
    answers = np.bincount(example)
    asked = np.bincount(pd.unique(example * len(prompts) + prompt) // len(prompts))
    _, first = np.unique(example, return_index=True)
    other = np.bincount(example, weights=~failed | (got != got[first][example]))
    agreed = (other == 0) & (asked >= min(2, len(prompts))) & ((asked >= 2) | (answers >= 3))
    wrong = np.bincount((want * len(gots) + got)[failed], minlength=len(wants) * len(gots))
    rows = []
    for i in np.flatnonzero(agreed).tolist():
        at = int(first[i])
        if not given[at] or given[at] == wanted[at] or (closed and given[at] not in known):
            continue
        row = wrong[want[at] * len(gots) : (want[at] + 1) * len(gots)]
        rows.append(
            {
                "example_id": names[i],
                "expected": one_line(table["expected"].iloc[at]),
                "answer": one_line(table["output"].iloc[at]),
                "answers": int(answers[i]),
                "prompts": int(asked[i]),
                "usual": round(int(row[got[at]]) / int(row.sum()), 4),
                "input": one_line(table["input"].iloc[at]),
            }
        )
    return sorted(rows, key=lambda row: (-row["prompts"], row["usual"], -row["answers"]))


def _codes(values: Iterable[str]) -> tuple[np.ndarray, list[str]]:
    """Each text's number in order of appearance, and the texts by number."""
    codes, names = pd.factorize(np.array(list(values), dtype=object))
    return codes.astype(np.int64), names.tolist()
