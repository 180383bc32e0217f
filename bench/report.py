#!/usr/bin/env python3
"""Makes bench/RESULTS.md of what the runs of `./scripts/bench --full` have stored in a folder.

bench/report.py FOLDER           reads ts.json, hls.json and figures.json there; what is missing is left out
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.cases.figure import Figure
from bench.side.machine import describe
from bench.side.results import document, hls_targets, targets
from bench.side.trial import Trial


def main() -> int:
    """0; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    given = parser.parse_args()
    ts, hls, stored = (_read(given.folder / f"{name}.json") for name in ("ts", "hls", "figures"))
    trials = [Trial.of(plain) for plain in ts["trials"]] if ts else []
    figures = targets(trials) + (hls_targets(hls) if hls else []) + [Figure(**plain) for plain in stored or []]
    notes = [*ts["notes"]] if ts else []
    notes += [
        f"{what} was not measured" for what, found in (("MPEG-TS", ts), ("HLS", hls), ("cases", stored)) if not found
    ]
    given.out.write_text(document(describe(), ts["setting"] if ts else [], notes, figures, trials))
    for figure in figures:
        print(f"{figure.verdict or '-':5}{figure.what}: {figure.found}")
    print(f"written: {given.out}")
    return 1 if any(figure.good is False for figure in figures) else 0


def _read(file: Path) -> Any:
    return json.loads(file.read_text()) if file.exists() else None


if __name__ == "__main__":
    sys.exit(main())
