"""The content tier over both stores, on one server and on two: what is written is read, what is unused goes."""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from penguinmails_core.config import ConfigError, ContentSettings
from penguinmails_core.content.collector import collect, find_orphans
from penguinmails_core.content.service import ContentService
from penguinmails_core.content.stores import S3Store
from penguinmails_core.emails.accept import Acceptor
from penguinmails_core.emails.draft import Draft
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.migrations import migrate
from penguinmails_core.principal import Principal
from tests.conftest import ROOT
from tests.fixtures.mail import draft, principal, request_of

NOW = timedelta(0)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A stateful S3 API on a real socket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def real_s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Versity S3 Gateway, a real server, where it is installed."""
    program = ROOT / "tests" / "tools" / "bin" / "versitygw"
    if not program.exists():
        pytest.skip("no real S3 server here: `scripts/toolchains.sh s3` installs one (needs Go)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("s3")
    options = ["--port", f"127.0.0.1:{port}", "--access", "key", "--secret", "secret", "posix", str(folder)]
    with subprocess.Popen([str(program), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                    break
                assert process.poll() is None, "versitygw ended at once"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


async def _s3_settings(endpoint: str, **more: Any) -> ContentSettings:
    from aiobotocore.session import get_session

    settings = ContentSettings(
        store="s3",
        s3_endpoint=endpoint,
        s3_bucket=f"bucket-{new_uuid()}",
        s3_access_key_id=SecretStr("key"),
        s3_secret_access_key=SecretStr("secret"),
        **more,
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    ) as client:
        await client.create_bucket(Bucket=settings.s3_bucket)
    return settings


async def _own_server(database_url: str) -> str:
    """A second database stands for a second server: nothing but its DSN is shared."""
    name = f"content_{new_uuid().hex}"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()
    dsn = database_url.rpartition("/")[0] + "/" + name
    await migrate(database_url, dsn)
    return dsn


@pytest.fixture(params=["rows", "s3", "real s3", "own server", "own server and s3"])
async def content(
    request: pytest.FixtureRequest, database: Database, s3_endpoint: str
) -> AsyncIterator[ContentService]:
    url = SecretStr(await _own_server(database.dsn)) if "own server" in request.param else None
    if "s3" in request.param:
        endpoint = request.getfixturevalue("real_s3_endpoint") if "real" in request.param else s3_endpoint
        settings = await _s3_settings(endpoint, database_url=url)
    else:
        settings = ContentSettings(database_url=url)
    service = await ContentService.open(database, settings)
    try:
        yield service
    finally:
        await service.close()


async def accept(database: Database, content: ContentService, caller: Principal, **fields: Any) -> Draft:
    made = draft(caller, **fields)
    await Acceptor(database.ingest, content).accept(request_of(caller, [made.rows]))
    return made


async def test_what_is_accepted_can_be_read(database: Database, content: ContentService) -> None:
    caller = principal()
    file = bytes(range(256)) * 40
    made = await accept(
        database,
        content,
        caller,
        text="héllo " * 100,
        html="<p>Hi</p>",
        headers={"X-A": "1"},
        attachments=[
            {"filename": "a.bin", "content": base64.b64encode(file).decode()},
            {"filename": "l.png", "content": "", "content_id": "logo"},
        ],
    )
    found = await content.load(caller.organization_id, made.id, attachment_data=True)
    assert found is not None
    assert (found.text, found.html, found.headers) == ("héllo " * 100, "<p>Hi</p>", {"X-A": "1"})
    assert [(a.filename, a.disposition, a.data) for a in found.attachments] == [
        ("a.bin", "attachment", file),
        ("l.png", "inline", b""),
    ]
    assert found.missing == ()
    assert await content.load(new_uuid(), made.id) is None, "another organization finds nothing"


async def test_a_replay_leaves_no_orphan_behind(database: Database, content: ContentService) -> None:
    caller = principal()
    acceptor = Acceptor(database.ingest, content)
    for _ in range(2):
        await acceptor.accept(request_of(caller, [draft(caller, text="same").rows], "k"))
    await collect(database, content, grace=NOW)
    assert await content.pool.fetchval("select count(*) from content.email_content") == 1
    assert await content.pool.fetchval("select count(*) from content.blobs") == 1
    assert len(await content.blobs.keys()) in (0, 1)


async def test_expired_content_goes_and_shared_blobs_stay(database: Database, content: ContentService) -> None:
    caller = principal()
    old = await accept(database, content, caller, text="shared", html="only mine")
    kept = await accept(database, content, caller, text="shared")
    await content.pool.execute(
        "update content.email_content set retain_until = now() - interval '1 second' where message_id = $1", old.id
    )
    done = await collect(database, content, grace=NOW)
    assert (done.expired, done.blobs) == (1, 1)
    assert await content.load(caller.organization_id, old.id) is None
    found = await content.load(caller.organization_id, kept.id)
    assert found is not None
    assert found.text == "shared"


async def test_a_young_blob_is_left_alone(database: Database, content: ContentService) -> None:
    caller = principal()
    made = await accept(database, content, caller)
    await content.pool.execute("delete from content.email_content where message_id = $1", made.id)
    assert (await collect(database, content)).blobs == 0
    assert (await collect(database, content, grace=NOW)).blobs == 1
    assert await content.blobs.keys() == set()


async def test_orphans_are_found_both_ways(database: Database, content: ContentService) -> None:
    caller = principal()
    lost = await accept(database, content, caller, text="lost")
    widow = await accept(database, content, caller, text="widow")
    broken = await accept(database, content, caller, text="broken")
    await content.pool.execute("delete from content.email_content where message_id = $1", lost.id)
    await database.worker.execute("delete from email_messages where id = $1", widow.id)
    await content.pool.execute(
        "delete from content.blobs b using content.email_content c "
        "where b.sha256 = c.text_sha256 and c.message_id = $1",
        broken.id,
    )
    found = await find_orphans(database, content, grace=NOW)
    assert found.message_without_content == 1
    assert found.content_without_message == 1
    assert found.reference_without_blob == 1
    seen = await content.load(caller.organization_id, broken.id)
    assert seen is not None
    assert seen.missing == ("text",)
    await collect(database, content, grace=NOW)
    after = await find_orphans(database, content, grace=NOW)
    assert (after.content_without_message, after.object_without_blob) == (0, 0)
    assert after.message_without_content == 1, "what is waiting is reported, never removed"


async def test_objects_have_random_names(database: Database, s3_endpoint: str) -> None:
    store = await S3Store.open(await _s3_settings(s3_endpoint))
    content = ContentService(database.worker, store, own_server=False)
    try:
        for caller in (principal(), principal()):
            await accept(database, content, caller, text="the same body")
        keys = await store.keys()
        assert len(keys) == 2
        assert {key.version for key in keys} == {4}
        assert await database.worker.fetchval("select count(*) from content.blobs where data is null") == 2
    finally:
        await content.close()


async def test_without_the_bucket_nothing_starts(s3_endpoint: str) -> None:
    settings = ContentSettings(
        store="s3",
        s3_endpoint=s3_endpoint,
        s3_bucket="absent",
        s3_access_key_id=SecretStr("key"),
        s3_secret_access_key=SecretStr("secret"),
    )
    with pytest.raises(ConfigError, match="absent"):
        await S3Store.open(settings)


async def test_a_store_that_is_away_refuses_the_message_and_keeps_metadata(database: Database) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    content = await ContentService.open(database, await _s3_settings(f"http://{host}:{port}"))
    caller = principal()
    made = await accept(database, content, caller)
    server.stop()
    try:
        with pytest.raises(Unavailable, match="not reachable"):
            await accept(database, content, caller)
        with pytest.raises(Unavailable):
            await content.load(caller.organization_id, made.id)
        assert await database.worker.fetchval("select count(*) from email_messages") == 1
    finally:
        await content.close()
