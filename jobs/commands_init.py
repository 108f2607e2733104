"""`init`: from a data file to a task.yaml, with the reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ..errors import UsageError
from ..traces.result import SCHEMA_VERSION
from .options import JsonOption
from .output import bullets, plain, print_json, printable, put


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Data: .csv, .tsv, .jsonl or .parquet.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the task is written.")] = Path("task.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Propose a task for a data file: writes a task.yaml to change.

    Fields, metric and labels are chosen by looking at the data; each choice is written down with its reason.

    The file needs a field with inputs and one with right answers.

    \b
    Example:
      sage-spo init tickets.csv
      sage-spo preflight task.yaml
    """
    from ..tasks.propose import propose

    out = out.expanduser()
    try:
        if out.is_dir():
            out = out / "task.yaml"
        proposal = propose(file.expanduser(), folder=out.parent)
        if out.exists() and not force:
            raise UsageError(f"--out: {out} is there already; pass --force to replace it, or name another with --out")
        out.write_text(proposal.yaml, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out: {str(out)[:200]} cannot be written: {error.strerror or error}") from None
    if json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "path": str(out),
                "name": proposal.name,
                "fields": {
                    "input": proposal.input,
                    "expected": proposal.expected,
                    "metadata": list(proposal.metadata),
                },
                "metric": proposal.metric,
                "labels": list(proposal.labels),
                "seed_prompt": proposal.seed_prompt,
                "max_tokens": proposal.max_tokens,
                "warnings": list(proposal.warnings),
                "yaml": proposal.yaml,
            }
        )
        return
    put(plain(f"{out} for {file}:\n", "bold"))
    for line in proposal.yaml.splitlines():
        print(f"  {printable(line)}")  # as it stands in the file, however wide the screen is
    if proposal.warnings:
        put(Text("\nMind", style="bold"), bullets(proposal.warnings))
    put(plain(f"\nChange what is wrong, then: sage-spo preflight {out}"))
