"""The standard analyses of a prompt's records, as they run inside a sandbox's worker.

Needs nothing but numpy and pandas, since its files are handed to the worker as text. Every function takes `records`,
one row per answer with the columns prompt_id, example_id, repeat, input, output, expected, score, missing,
feedback, tokens and the metadata fields by name; n_words and n_chars, the input's length, are worked out where they
are absent (`with_lengths`). The champion is the prompt of the first row unless `prompt_id` names another. An answer
fails when its score is below `threshold`; one without a score is left out everywhere.

Most functions return groups of the champion's records, the strongest first, as rows

    {"group", "predicate", "n", "failures", "rate", "others_n", "others_failures", "p"}

where `predicate` is a Python expression over `records` that selects exactly this group, or None where it would grow
too long. Its literals are quoted so that no value, whatever it holds, is ever more than a literal. `p` is one-sided
(the group fails more often than all others; Fisher's exact test with mid-p) and takes no account of how many groups
were looked at: it ranks, and belief comes from examples that were not looked at. With repeats a row is an answer.
"""

from __future__ import annotations

from .agreement import MOST_PROMPTS, disagreements, flaky, suspicious
from .answers import confusion, label_shares, output_format
from .counting import LONGEST_PREDICATE, MOST_TESTED
from .fields import MOST_CUTS, by_cut, by_field, by_label, by_length, by_other_labels
from .groups import MIN_N, MOST_LABELS, MOST_VALUES
from .literals import LONGEST_LITERAL, LONGEST_TEXT
from .pairs import ADDS, PAIR_CUTS, by_field_pairs
from .records import COLUMNS, FAILS_BELOW, RECORD, Row, with_lengths
from .standard import MOST_PRESET, MOST_ROWS, Emit, preset, searched, within
from .words import SHORTEST_TERM, TERM_CANDIDATES, TERM_CHARACTERS, WORD, terms

__all__ = [
    "ADDS",
    "COLUMNS",
    "FAILS_BELOW",
    "LONGEST_LITERAL",
    "LONGEST_PREDICATE",
    "LONGEST_TEXT",
    "MIN_N",
    "MOST_CUTS",
    "MOST_LABELS",
    "MOST_PRESET",
    "MOST_PROMPTS",
    "MOST_ROWS",
    "MOST_TESTED",
    "MOST_VALUES",
    "PAIR_CUTS",
    "RECORD",
    "SHORTEST_TERM",
    "TERM_CANDIDATES",
    "TERM_CHARACTERS",
    "WORD",
    "Emit",
    "Row",
    "by_cut",
    "by_field",
    "by_field_pairs",
    "by_label",
    "by_length",
    "by_other_labels",
    "confusion",
    "disagreements",
    "flaky",
    "label_shares",
    "output_format",
    "preset",
    "searched",
    "suspicious",
    "terms",
    "with_lengths",
    "within",
]
