"""The spool's files: whole lines, a bound, and what a dead process leaves."""

import asyncio
import fcntl
import os
from pathlib import Path
from uuid import UUID

import pytest

from apps.core.ids import uuid7
from apps.predictions.gateway.record import leaf
from apps.predictions.gateway.spool import Entry, Spool, SpoolFull, lines_of


def entry() -> Entry:
    request, prediction = uuid7(), uuid7()
    leaves = [leaf(i, {"id": str(i), "input": 'é"\n\x00'}) for i in (request, prediction)]
    return Entry(leaves[0], leaves[1:])


def ids_in(paths: list[Path]) -> list[UUID]:
    return [Entry.read(line).request.id for path in paths for line in lines_of(path)]


def test_an_entry_comes_back_with_its_salt_and_digest() -> None:
    written = entry()
    assert Entry.read(written.line()) == Entry(written.request, written.predictions)


def test_entries_stay_in_order_over_several_files(tmp_path: Path) -> None:
    written = [entry() for _ in range(30)]

    async def write() -> list[Path]:
        spool = Spool(tmp_path / "s", 10_000_000)
        for part in (written[:10], written[10:20], written[20:]):
            await asyncio.gather(*(spool.append(each) for each in part))
            paths = await spool.take()
        return paths

    paths = asyncio.run(write())
    assert len(paths) == 3
    assert ids_in(paths) == [each.request.id for each in written]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


def test_a_file_in_use_is_not_adopted_and_an_abandoned_one_is(tmp_path: Path) -> None:
    async def run() -> None:
        owner, other = Spool(tmp_path, 10_000), Spool(tmp_path, 10_000)
        await owner.append(entry())
        assert await other.take() == []
        owner.close()
        adopted = await other.take()
        assert len(adopted) == 1
        other.drop(adopted[0])
        assert list(tmp_path.iterdir()) == []

    asyncio.run(run())


def test_a_full_spool_refuses_and_has_room_after_a_drop(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, len(entry().line()) + 10)
        await spool.append(entry())
        with pytest.raises(SpoolFull, match="full"):
            await spool.append(entry())
        for path in await spool.take():
            spool.drop(path)
        await spool.append(entry())
        spool.close()

    asyncio.run(run())


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(entry().line() + entry().line()[:-20])
    assert len(list(lines_of(path))) == 1


def test_a_disk_that_takes_nothing_is_a_full_spool(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file where the folder should be")

    async def run() -> None:
        with pytest.raises(SpoolFull, match="cannot be written"):
            await Spool(tmp_path / "s", 10_000).append(entry())

    asyncio.run(run())


def test_a_removed_file_is_not_taken_for_a_lock(tmp_path: Path) -> None:
    path = tmp_path / f"{uuid7()}.jsonl"
    path.write_bytes(entry().line())
    held = os.open(path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert asyncio.run(Spool(tmp_path, 10_000).take()) == []
    os.close(held)
    assert asyncio.run(Spool(tmp_path, 10_000).take()) == [path]
