"""How tokens survive the real model: which come back as they were sent, which altered, which not at all.

    OPENAI_API_KEY_FILE=key.txt just masking-survival [--rounds 3] [--json] [--yes]

Sends made-up texts with the tokens and the instruction that the product sends, straight to OPENAI_BASE_URL, and reads
the answers as the product's restorer does. It says how much it will ask for, and waits for a yes.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from b2b_chat.contract.schemas import MODEL_GPT_5_2
from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, Values, masked_text
from b2b_chat.product.masking.requests import INSTRUCTION
from b2b_chat.product.masking.restoring import restored

_TOKEN: Final = re.compile(r"\[[A-Z]+_[0-9]+\]")
_ANSWER_TOKENS: Final = 600
_CALL_TOKENS: Final = 1_000
_AT_ONCE: Final = 4
_TIMEOUT_SECONDS: Final = 120
OUTCOMES: Final = ("intact", "altered", "dropped")


class Task(NamedTuple):
    """A text of which the answer must use every value."""

    name: str
    text: str


TASKS: Final = (
    Task("letter", "Напиши вежливое письмо: Соколова Ирина Павловна, тел. +7 916 555-01-42, ждёт ответа до пятницы."),
    Task("cases", "Перескажи в трёх фразах: Тихонов Олег Юрьевич продал дачу Мартыновой Ольге Сергеевне и уехал."),
    Task(
        "table",
        "Сделай таблицу Markdown «имя, почта»: Лапин Егор Львович, lapin@example.com; Ким Ада, ada@example.org.",
    ),
    Task("json", 'Ответь только JSON {"name", "card"}: Громов Илья Петрович, карта 4111 1111 1111 1111.'),
    Task("english", "Translate into English: Договор подписал Ветров Аркадий Львович, паспорт 4510 123456."),
    Task(
        "summary", "Кратко: Зуев Пётр Ильич (г. Тверь, ул. Лесная, д. 5) жалуется, просит звонить на +7 903 555-88-10."
    ),
    Task("code", "Напиши на Python словарь с ключами name и email: Жуков Лев Андреевич, zhukov@example.net."),
    Task("list", "Пронумеруй участников: Орлов Д. К., Дьячков Д. К., Орлова М. С. Всех трёх, в том же порядке."),
    Task(
        "reply",
        "Ответь клиенту по имени: «Здравствуйте, я Белова Нина Фёдоровна, мой СНИЛС 112-233-445 95, он принят?»",
    ),
    Task("choose", "Кто старше, Гусев Тимур Олегович (12.03.1961) или Фомин Артём Ильич (04.11.1987)? Назови обоих."),
)


class Masked(NamedTuple):
    """A task as it is sent, and what its tokens stand for."""

    task: Task
    sent: str
    masks: list[Mask]
    values: Values


def masked(task: Task) -> Masked:
    """Mask a task's text as the product does."""
    values = Values()
    spans = [span for span in Detector().detect(task.text) if span.kind is not Kind.TEXT]
    masks = values.mask(task.text, spans)
    return Masked(task, masked_text(task.text, masks), masks, values)


def outcomes(asked: Masked, answer: str) -> Counter[str]:
    """Return how many tokens came back in which way, and how many came that nobody has sent."""
    sent = set(_TOKEN.findall(asked.sent))
    back = restored(answer, asked.values)
    counts: Counter[str] = Counter(invented=len(set(_TOKEN.findall(back)) - sent))
    for mask in {(mask.kind, mask.number): mask for mask in asked.masks}.values():
        token, value = f"[{mask.kind}_{mask.number}]", asked.task.text[mask.start : mask.end]
        counts["intact" if token in answer else "altered" if value in back else "dropped"] += 1
    return counts


async def ask(http: httpx.AsyncClient, gate: asyncio.Semaphore, asked: Masked) -> Counter[str]:
    """Have one task done."""
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked.sent}]
    body = {"model": MODEL_GPT_5_2, "messages": messages, "max_completion_tokens": _ANSWER_TOKENS}
    async with gate:
        response = await http.post("chat/completions", json=body)
    if response.status_code != httpx.codes.OK:
        sys.exit(f"The model's server answered {response.status_code}: {response.text[:300]}")
    return outcomes(asked, response.json()["choices"][0]["message"]["content"] or "")


async def measure(base_url: str, key: str, rounds: int) -> dict[str, Counter[str]]:
    """Return the outcomes by task."""
    gate, tasks = asyncio.Semaphore(_AT_ONCE), [masked(task) for task in TASKS for _ in range(rounds)]
    headers = {"Authorization": f"Bearer {key}"}
    found: dict[str, Counter[str]] = {}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
        for asked, counts in zip(tasks, await asyncio.gather(*[ask(http, gate, each) for each in tasks]), strict=True):
            found.setdefault(asked.task.name, Counter()).update(counts)
    return found


def table(found: dict[str, Counter[str]]) -> str:
    """Return the outcomes as a table, the sum last."""
    rows = [*found.items(), ("all", sum(found.values(), Counter()))]
    head = f"{'task':10}" + "".join(f"{name:>10}" for name in (*OUTCOMES, "invented")) + f"{'restored':>10}"
    lines = [head]
    for name, counts in rows:
        tokens = sum(counts[outcome] for outcome in OUTCOMES)
        share = (counts["intact"] + counts["altered"]) / tokens if tokens else 0.0
        figures = "".join(f"{counts[each]:10}" for each in (*OUTCOMES, "invented"))
        lines.append(f"{name:10}{figures}{share:10.0%}")
    return "\n".join(lines)


def key_of(environ: dict[str, str]) -> str:
    """Return the key, from a file or from the environment."""
    if file := environ.get("OPENAI_API_KEY_FILE"):
        return Path(file).read_text().strip()
    return environ.get("OPENAI_API_KEY") or sys.exit("Set OPENAI_API_KEY_FILE or OPENAI_API_KEY.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask for a yes, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, choices=range(1, 21), metavar="1-20")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    key = key_of(dict(os.environ))
    base_url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/") + "/"
    calls = len(TASKS) * options.rounds
    print(f"{calls} calls to {base_url}, at most {calls * _CALL_TOKENS:,} tokens in all.", file=sys.stderr)
    if not options.yes and input("Go on? [y/N] ").strip().lower() != "y":
        sys.exit(1)
    found = asyncio.run(measure(base_url, key, options.rounds))
    print(json.dumps(found, ensure_ascii=False) if options.json else table(found))


if __name__ == "__main__":
    main()
