"""How well masking finds what is labelled in a file, and what it costs.

    just masking-eval FILE [--json] [--misses]

The file has one JSON object a line, the corpus's form: `{"id", "stratum", "text", "spans": [[start, end, kind], …]}`,
offsets in code points. A span counts as found when every letter and digit of it is covered. `--misses` prints what
went wrong, with the texts: do not send that anywhere when the file is not made up.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Final

from b2b_chat.product.masking.detection import Detector
from support.masking.score import Score, load, score

ROUNDS: Final = 5


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--misses", action="store_true", help="print what was missed and what was masked wrongly")
    options = parser.parse_args()
    items = list(load(options.file))
    result = score(items)
    cost = microseconds([item.text for item in items])
    if options.json:
        print(json.dumps(as_json(result, cost), ensure_ascii=False))
        return
    print(f"{'kind':16} {'recall':>7} {'precision':>10} {'spans':>6}")
    for kind, tally in [*sorted(result.kinds.items()), ("all", result.all)]:
        print(f"{kind:16} {tally.recall:7.3f} {tally.precision:10.3f} {tally.spans:6}")
    negatives = sum(item.stratum == "negative" for item in items)
    print(
        f"negatives with a false mask: {result.negatives_hit} of {negatives}; {cost:.0f} µs of CPU for 1,000 characters"
    )
    if options.misses:
        print("\n".join(result.misses))


def as_json(result: Score, cost: float) -> dict[str, object]:
    """Return the figures as programs read them."""
    return {
        "all": {"recall": result.all.recall, "precision": result.all.precision},
        "kinds": {
            kind: {"recall": tally.recall, "precision": tally.precision, "spans": tally.spans}
            for kind, tally in sorted(result.kinds.items())
        },
        "negatives_hit": result.negatives_hit,
        "us_per_1000_chars": round(cost, 1),
    }


def microseconds(texts: list[str]) -> float:
    """Return the CPU time of 1,000 characters, by the best of some rounds: others use the machine too."""
    detect = Detector().detect
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for text in texts:
            detect(text)
        best = min(best, time.process_time() - begun)
    return best * 1e9 / max(sum(map(len, texts)), 1)


if __name__ == "__main__":
    main()
