from __future__ import annotations

import csv
import io
import json

from inspector.journal import account
from inspector.journal.store import Account

EARLY, LATE = "2026-01-31 06:00", "2026-01-31 14:00"
ACCOUNTS = [
    (1, "cut off", Account(EARLY, "cam1", "captured"), 10),
    (1, "cut off", Account(EARLY, "cam1", "ok"), 7),
    (1, "cut off", Account(EARLY, "cam1", "crash"), 3),
    (2, "ended", Account(EARLY, "cam1", "captured"), 5),
    (2, "ended", Account(EARLY, "cam1", "ng"), 4),
    (2, "ended", Account(EARLY, "cam2", "captured"), 1),
    (2, "ended", Account(EARLY, "cam2", "unknown:deadline"), 1),
    (3, "running", Account(LATE, "cam1", "captured"), 9),
    (3, "running", Account(LATE, "cam1", "unknown:overload"), 6),
]


def rows(cameras: tuple[str, ...] = (), since: str = "") -> list[tuple[object, ...]]:
    return [
        (
            row.shift,
            row.camera,
            row.captured,
            {end: n for end, n in row.ends.items() if n},
            row.in_flight,
            row.unaccounted,
        )
        for row in account.rows(ACCOUNTS, cameras, since)
    ]


def test_all_runs_of_a_shift_are_one_row_and_what_is_missing_shows() -> None:
    assert rows() == [
        (EARLY, "cam1", 15, {"ok": 7, "ng": 4, "crash": 3}, 0, 1),
        (EARLY, "cam2", 1, {"unknown:deadline": 1}, 0, 0),
        (LATE, "cam1", 9, {"unknown:overload": 6}, 3, 0),
    ]


def test_cameras_and_shifts_can_be_chosen() -> None:
    assert [row[:2] for row in rows(cameras=("cam2",))] == [(EARLY, "cam2")]
    assert [row[:2] for row in rows(since=LATE)] == [(LATE, "cam1")]


def test_json_csv_and_table_tell_the_same() -> None:
    found = account.rows(ACCOUNTS, (), "")
    outs = {}
    for write in (account.write_json, account.write_csv, account.write_table):
        outs[write] = io.StringIO()
        write(found, outs[write])
    told = json.loads(outs[account.write_json].getvalue())
    lines = list(csv.DictReader(io.StringIO(outs[account.write_csv].getvalue())))
    assert [(one["camera"], one["captured"], one["ends"]["ok"], one["unaccounted"]) for one in told] == [
        (line["camera"], int(line["captured"]), int(line["ok"]), int(line["unaccounted"])) for line in lines
    ]
    table = outs[account.write_table].getvalue()
    assert "unknown:overload" in table
    assert "shutdown" not in table, "a reason that no frame has is no column"
