"""Warm-up: schedules, how a day is judged, and the caps that follow. No day here is made of anything but answers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from penguinmails_api.cli.warmup import app
from penguinmails_core.errors import NotFound, Unprocessable
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository, warmups, warmups_repository
from penguinmails_core.lanes.warmup import Day, Progress, advance, calendar, chart, judge, shipped, table

DATA = shipped()
STANDARD = DATA.schedules["standard"]


def test_every_row_says_where_it_is_from() -> None:
    rows: list[Any] = [*DATA.schedules.values(), *DATA.groups.values(), DATA.limits]
    assert all(row.source and isinstance(row.checked, date) for row in rows)
    assert {"standard", "careful", "fast"} == set(DATA.schedules)
    for schedule in DATA.schedules.values():
        assert list(schedule.days) == sorted(schedule.days)
        assert schedule.factor > 1
    for name in ("deferred", "bounced", "blocked", "complained"):
        assert DATA.limits.hold[name] < DATA.limits.back[name] < DATA.limits.stop[name]


def test_a_calendar_grows_to_its_target_and_no_further() -> None:
    days = calendar(STANDARD, 20_000)
    assert [day.cap for day in days] == [
        50,
        100,
        250,
        500,
        1000,
        2500,
        5000,
        7500,
        10_000,
        15_000,
        20_000,
    ]
    assert days[-1].total == sum(day.cap for day in days)
    assert [day.cap for day in calendar(STANDARD, 1)] == [1]
    assert calendar(STANDARD, 1_000_000_000)[-1].cap == 1_000_000_000
    assert len(calendar(DATA.schedules["careful"], 20_000)) > len(days) > len(calendar(DATA.schedules["fast"], 20_000))


def test_a_strict_provider_takes_half() -> None:
    assert DATA.share("microsoft") == 0.5
    assert DATA.share("somebody") == 1
    assert [day.cap for day in calendar(STANDARD, 20_000, 0.5)][:3] == [25, 50, 125]


@pytest.mark.parametrize(
    ("day", "action"),
    [
        (Day(sent=95), "grow"),
        (Day(sent=5), "hold"),  # too few to say anything
        (Day(sent=40), "hold"),  # the cap was not used
        (Day(sent=89, deferred=11), "hold"),
        (Day(sent=97, bounced=2), "hold"),
        (Day(sent=74, deferred=26), "back"),
        (Day(sent=95, bounced=4), "back"),
        (Day(sent=89, bounced=11), "stop"),
        (Day(sent=39, deferred=61), "stop"),
        (Day(sent=99, complained=1), "grow"),  # one is an anecdote
        (Day(sent=100, complained=2), "stop"),
        (Day(sent=1500, complained=2), "hold"),
    ],
)
def test_a_day_is_judged_by_its_answers(day: Day, action: str) -> None:
    assert judge(day, 100, DATA.limits).action == action


def test_it_holds_steps_back_and_stops_itself() -> None:
    progress = Progress(cap=50)

    def after(**answers: int) -> tuple[str, int]:
        advance(progress, Day(**answers), STANDARD, 1000, 1.0, DATA.limits)
        return progress.state, progress.cap

    assert after(sent=50) == ("growing", 100)
    assert after(sent=100) == ("growing", 250)
    assert after(sent=220, deferred=30) == ("held", 250)
    assert after(sent=180, deferred=70) == ("held", 100)
    assert after(sent=100) == ("growing", 250)
    for _ in range(2):
        assert after(sent=60, deferred=30)[0] == "held"
    assert after(sent=40, deferred=15)[0] == "stopped"
    assert "three bad days" in progress.reason
    assert after(sent=50)[0] == "stopped"  # a person must start it again


def test_it_is_done_after_a_good_day_at_the_target() -> None:
    progress = Progress(cap=50)
    for answers in (50, 100, 250, 500, 1000):
        assert progress.state != "done"
        advance(progress, Day(sent=answers), STANDARD, 1000, 1.0, DATA.limits)
    assert progress.state == "done"


def test_what_people_see_of_a_calendar() -> None:
    days = calendar(STANDARD, 500)
    assert table(days).splitlines()[0].split() == ["day", "cap", "total", "of", "target"]
    assert table(days).splitlines()[-1].split() == ["4", "500", "900", "100.0%"]
    lines = chart(days, 40).splitlines()
    assert [line.count("#") for line in lines] == [13, 18, 28, 40]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_table_and_chart() -> None:
    text = run("simulate", "--schedule", "standard", "--target", "20000")
    assert "20,000" in text
    assert "checked 2026-11-25" in text
    assert text.count("#") > 100
    assert "towards microsoft" in run("simulate", "--target", "500", "--group", "microsoft")


def test_the_command_prints_json() -> None:
    shown = json.loads(run("simulate", "--schedule", "fast", "--target", "3000", "--group", "microsoft", "--json"))
    assert [day["cap"] for day in shown["days"]] == [100, 250, 500, 1000, 2000, 3000]
    assert (shown["schedule"], shown["target"], shown["group"], shown["length"]) == ("fast", 3000, "microsoft", 6)


def test_the_command_names_the_schedules_that_there_are() -> None:
    result = CliRunner().invoke(app, ["simulate", "--schedule", "slow", "--target", "10"])
    assert result.exit_code == 1
    assert "standard, careful, fast" in result.output


# ---------------------------------------------------------------------- on the server


async def answers(database: Database, day: date, **numbers: int) -> None:
    """Of two organizations: a source is warmed up by all who send from it."""
    lane = await database.worker.fetchval("select id from lanes")
    for share in (1, 2):
        await database.worker.execute(
            "insert into lane_days (organization_id, lane_id, day, sent, deferred) values ($1, $2, $3, $4, $5)",
            UUID(int=share),
            lane,
            day,
            numbers.get("sent", 0) // 2,
            numbers.get("deferred", 0) // 2,
        )


async def test_a_warm_up_is_the_daily_cap_of_its_lane(database: Database) -> None:
    today = datetime.now(UTC).date()
    assert await warmups.start(database.worker, "default", "google", "standard", 1000) == 50
    lane = await database.worker.fetchrow("select daily_cap, cap_reason from lanes")
    assert tuple(lane) == (50, "standard, step 1")
    assert await warmups.tick(database.worker) == []  # the day is not over

    await answers(database, today, sent=50)
    [line] = await warmups.tick(database.worker, today=today + timedelta(days=1))
    assert "50 -> 100" in line
    assert await warmups.tick(database.worker, today=today + timedelta(days=1)) == []
    await answers(database, today + timedelta(days=1), sent=20, deferred=80)
    await warmups.tick(database.worker, today=today + timedelta(days=2))
    [row] = await warmups_repository.list_all(database.worker)
    assert (row["state"], row["cap"]) == ("stopped", 50)
    assert "deferred 80.00%" in row["reason"]
    lane = await database.worker.fetchrow("select daily_cap, cap_reason from lanes")
    assert tuple(lane) == (50, "standard, step 1, stopped")
    told = await database.worker.fetch("select action, why, before, after from lane_decisions order by at, id")
    assert [row["action"] for row in told] == ["warmup"] * 3
    assert told[1]["before"] == {"daily_cap": 50}
    assert told[1]["after"] == {"daily_cap": 100}


async def test_after_a_month_without_mail_it_begins_again(database: Database) -> None:
    today = datetime.now(UTC).date()
    await warmups.start(database.worker, "default", "google", "standard", 1000)
    await answers(database, today, sent=50)
    await database.worker.execute("update warmups set step = 4, cap = 1000, state = 'done'")
    [line] = await warmups.tick(database.worker, today=today + timedelta(days=40))
    assert "no mail for 40 days" in line
    assert await database.worker.fetchval("select daily_cap from lanes") == 50


async def test_ending_one_takes_the_cap_away(database: Database) -> None:
    await warmups.start(database.worker, "default", "google", "standard", 1000)
    await warmups.end(database.worker, "default", "google")
    assert await database.worker.fetchval("select daily_cap from lanes") is None
    with pytest.raises(NotFound):
        await warmups.end(database.worker, "default", "google")
    with pytest.raises(Unprocessable, match="careful"):
        await warmups.start(database.worker, "default", "google", "slow", 1000)


async def test_starting_again_begins_at_the_first_step(database: Database) -> None:
    await warmups.start(database.worker, "default", "google", "standard", 1000)
    await database.worker.execute("update warmups set step = 3, state = 'stopped'")
    assert await warmups.start(database.worker, "default", "google", "careful", 300) == 20
    [row] = await warmups_repository.list_all(database.worker)
    assert (row["schedule"], row["state"], row["step"], row["target"]) == ("careful", "growing", 0, 300)
    [lane] = await repository.ensure(database.worker, [(new_uuid(), "default", "google")])
    assert lane["daily_cap"] == 20
