"""The real command: a process that listens on the loopback, paints, is left by clients, and ends on Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from looking import BLOCK, picture
from test_server_canvas import make, pixels

from mediagen.canvas.render import render
from mediagen.view.serve import PORT, listen

WORDS = ("--seed", "1", "--style-every", "200", "--precision", "fp32", "--block", f"{BLOCK[0]}x{BLOCK[1]}")


@contextmanager
def viewer(*words: object) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """`mediagen view WORDS` on a free port."""
    command = [sys.executable, "-m", "mediagen_cli", "view", "--no-open", "--port", "0", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.stderr and process.stderr.read()
            with httpx.Client(base_url=address, timeout=120) as client:
                yield client, process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str], sign: int = signal.SIGINT) -> tuple[int, str, float]:
    """(exit code, what it still said, seconds that it took to end)."""
    start = time.monotonic()
    process.send_signal(sign)
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - start


def test_a_plane_is_painted_while_clients_come_and_go_and_ctrl_c_ends_it_quietly(tiny: Path, tmp_path: Path) -> None:
    with viewer("--model", tiny, "--cache", tmp_path / "cache", *WORDS) as (client, process):
        shown = picture(client.get("/tile/0/-1/3906250000.png"))
        expected = render(tiny, x=-256, y=10**12, width=256, height=256, seed=1, style_every=200, block=BLOCK)
        np.testing.assert_array_equal(shown, expected)

        async def leave() -> int:
            """Clients that ask for a lot and hang up."""
            async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
                tasks = [asyncio.create_task(many.get(f"/tile/3/{n}/9.png")) for n in range(3)]
                async with asyncio.timeout(60):
                    while (await many.get("/api/status")).json()["waiting"] < 2000:
                        await asyncio.sleep(0.02)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                start = time.monotonic()
                while time.monotonic() - start < 10:
                    waiting = (await many.get("/api/status")).json()["waiting"]
                    if waiting < 10:
                        return waiting
                    await asyncio.sleep(0.05)
                return waiting

        assert asyncio.run(leave()) < 10
        assert client.get("/tile/0/5/5.png").status_code == 200
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as waiting:  # one that is still being served
            waiting.sendall(
                f"GET /tile/3/99/99.png HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\n\r\n".encode()
            )
            time.sleep(0.3)
            code, said, seconds = finish(process)
        assert (code, said.strip()) == (0, "Ctrl-C ends it")
        assert seconds < 10


def test_a_stored_canvas_needs_no_torch(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr", (0, 0), width=600, height=300)
    with viewer(tmp_path / "c.zarr", "--quiet") as (client, process):
        np.testing.assert_array_equal(picture(client.get("/tile/0/1/0.png")), pixels(600, 300)[:256, 256:512])
        loaded = Path(f"/proc/{process.pid}/maps")
        if loaded.exists():
            assert "libtorch" not in loaded.read_text()
        answer = client.get("/")
        assert "server" not in answer.headers
        code, said, _ = finish(process, signal.SIGTERM)
        assert (code, said) in ((0, ""), (-signal.SIGTERM, ""))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into Linux's table of sockets")
def test_nothing_listens_but_on_the_loopback() -> None:
    with listen(0) as one:
        port = one.getsockname()[1]
        for table, own in (("/proc/net/tcp", "0100007F"), ("/proc/net/tcp6", "none at all")):
            lines = [line.split()[1] for line in Path(table).read_text().splitlines()[1:]]
            assert all(line.startswith(own) for line in lines if line.endswith(f":{port:04X}"))


def test_requests_that_are_too_large_or_no_http_are_cut_off(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr", (0, 0), width=300, height=300)
    with viewer(tmp_path / "c.zarr", "--quiet") as (client, _):
        host = f"127.0.0.1:{client.base_url.port}".encode()
        for request in (
            b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
            b"\x00\xff" * 100 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as raw:
                raw.sendall(request)
                answer = raw.recv(200)
                assert not answer or answer.split()[1] in (b"400", b"403", b"404", b"414", b"431"), (
                    request[:50],
                    answer,
                )
        assert client.get("/api/scene").status_code == 200


def run(*words: object) -> tuple[int, str]:
    command = [sys.executable, "-m", "mediagen_cli", "view", "--no-open", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("missing.zarr",), 2, "there is nothing there"),
        (("--port", "99999"), 2, "a port is a number"),
        (("--model", "missing"), 1, "no such checkpoint"),
        (("--resample", "1,2,3"), 2, "--resample takes X,Y,WIDTH,HEIGHT,SEED"),
        ((".", "--seed", "7"), 2, "belongs to the plane of a model"),
        (("--precision", "fp64"), 2, "precision"),
        (("--cache", "."), 1, "no folder of painted blocks"),
        (("--block", "100x100"), 2, "multiples of 64 px"),
        (("--style-every", "-5"), 2, "must be at least 0"),
    ],
)
def test_wrong_requests_end_with_one_line(
    words: tuple[str, ...], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    extra = () if "--cache" in words else ("--cache", tmp_path / "cache") if words[0].startswith("--") else ()
    found, said = run(*words, *extra)
    assert (found, message in said) == (code, True), said
    assert len([line for line in said.splitlines() if line != "Ctrl-C ends it"]) == 1


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr", (0, 0), width=300, height=300)
    with listen(0) as one:
        code, said = run(tmp_path / "c.zarr", "--port", one.getsockname()[1])
        assert code == 2
        assert "choose another with --port" in said
    try:
        usual = listen(PORT)
    except ValueError:  # somebody looks at something here
        usual = None
    with listen(None) as other:
        assert usual is None or other.getsockname()[1] != PORT
    if usual:
        usual.close()


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import importlib.util as u; real = u.find_spec\n" \
        "u.find_spec = lambda name, *a: None if name == 'uvicorn' else real(name, *a)\n" \
        "from mediagen_cli.main import main; raise SystemExit(main(['view']))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        == "mediagen: looking needs some more packages: pip install starlette uvicorn XStatic-Leaflet"
    )


def test_the_record_beside_the_blocks_says_what_they_are(tiny: Path, tmp_path: Path) -> None:
    with viewer("--model", tiny, "--cache", tmp_path / "cache", *WORDS) as (client, _):
        client.get("/tile/0/0/0.png")
        (record,) = (tmp_path / "cache").glob("*/record.json")
        found = json.loads(record.read_text())
    assert found["precision"] == "fp32"
    assert found["blocks"]["width"] == BLOCK[0]
    assert str(tmp_path) not in record.read_text()
