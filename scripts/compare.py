"""Ask a project's base model and the adapter of its last run the same held-out questions.

Usage: python scripts/compare.py, in the project's folder.
"""

import asyncio
import json
import sys
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from arkor import TrainerOptions, open_journal
from arkor.client.chat import build_chat_body, chat
from arkor.core.wire import Adapter
from arkor.runner.session import Session, open_session
from arkor.store.state import project_root

LONGEST_ANSWER = 12  # tokens; a label needs one or two

console = Console(highlight=False)


async def answer(session: Session, question: str, **whom: Any) -> str:
    """What `whom`, a base model or an adapter, answers."""
    messages = [{"role": "user", "content": question}]
    async with session.connect() as api:
        body = build_chat_body(messages, max_tokens=LONGEST_ANSWER, **whom)
        said = (await chat(api, session.scope, body)).text
    return " ".join(said.split())


async def ask(questions: list[str], **whom: Any) -> list[str]:
    """The answers to all questions, asked one after the other."""
    session = await open_session(TrainerOptions())
    try:
        return [await answer(session, question, **whom) for question in questions]
    finally:
        await session.close()


def show(rows: list[tuple[str, str, str, str]]) -> None:
    """Both answers to each question side by side, and how many of each are right."""
    table = Table(title=f"{len(rows)} wordings that are not in the training data")
    for heading in ("question", "right", "base model", "adapter"):
        table.add_column(heading)
    for question, label, plain, tuned in rows:
        cells = [Text(said, "green" if said == label else "red") for said in (plain, tuned)]
        table.add_row(question, label, *cells)
    console.print(table)
    base, adapter = (sum(row[1] == row[column] for row in rows) for column in (2, 3))
    console.print(f"Right: base model {base} of {len(rows)}, adapter {adapter} of {len(rows)}.")
    console.print(
        "These wordings were in sight when the recipe was chosen: they show that the model "
        "learned, and are no benchmark."
    )


def farewell(journal: Path) -> None:
    """Where everything is, and what to try next."""
    console.print(f"\nThe journal is {journal}. Try next:", soft_wrap=True)
    folder, home = (quote(str(path)) for path in (Path.cwd(), journal.parent))
    console.print(f"  cd {folder}; export ARKOR_HOME={home}", soft_wrap=True)
    program = quote(str(Path(sys.executable).with_name("arkor")))
    for command in ("runs", "events @last", "show @last", "backend stop"):
        console.print(f"  {program} {command}", soft_wrap=True)


def main() -> None:
    journal = open_journal()
    (last,) = journal.runs(project_root=project_root(), limit=1)
    run = journal.run(last.run_id)
    assert run.job_id is not None

    held_out = Path("data/hard.jsonl").read_text()
    rows = [json.loads(line)["messages"] for line in held_out.splitlines()]
    questions, labels = ([row[turn]["content"] for row in rows] for turn in (0, 1))
    plain = asyncio.run(ask(questions, base_model=run.config["model"]))
    tuned = asyncio.run(ask(questions, adapter=Adapter("final", run.job_id)))
    show(list(zip(questions, labels, plain, tuned, strict=True)))
    farewell(journal.path)


if __name__ == "__main__":
    main()
