"""Nobody but the page itself, on this machine, can read or drive the viewer."""

import asyncio

import pytest
from looking import PORT, SCENE, client_of, packed
from test_server_canvas import make

from mediagen.view.canvases import ViewedCanvas
from mediagen.view.guard import LONGEST_QUERY, own_hosts
from mediagen.view.scene import LONGEST


@pytest.fixture(scope="module")
def canvas(tmp_path_factory):
    path = tmp_path_factory.mktemp("canvas") / "c.zarr"
    make(path, (0, 0), width=300, height=300)
    return path


def ask(canvas, path: str = "/tile/0/0/0.png", method: str = "GET", headers=(), **more):
    async def look():
        async with client_of(ViewedCanvas(canvas)) as client:
            return await client.request(method, path, headers=list(headers), **more)

    return asyncio.run(look())


PATHS = ["/", "/tile/0/0/0.png", "/api/scene", "/api/status", "/static/view.js", "/leaflet/leaflet.js", "/nowhere"]


@pytest.mark.parametrize("host", sorted(own_hosts(PORT)))
def test_our_own_names_are_let_in(canvas, host):
    assert ask(canvas, headers=[("Host", host)]).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "localhost", "127.0.0.1:1", f"127.0.0.1.evil.example:{PORT}",
             f"0.0.0.0:{PORT}", ""]
)  # fmt: skip
def test_other_names_are_refused(canvas, host, path):
    answer = ask(canvas, path, headers=[("Host", host)])
    assert answer.status_code == 403
    assert b"PNG" not in answer.content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", PATHS)
def test_only_reading(canvas, method, path):
    answer = ask(canvas, path, method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_says_the_same_without_the_picture(canvas):
    got, head = ask(canvas), ask(canvas, method="HEAD")
    assert head.status_code == 200
    assert not head.content
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything", ""])
@pytest.mark.parametrize("path", PATHS)
def test_other_sites_are_refused(canvas, site, path):
    modes = [("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]
    answer = ask(canvas, path, headers=[("Sec-Fetch-Site", site), *modes])
    assert answer.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_is_not(canvas, site):
    assert ask(canvas, headers=[("Sec-Fetch-Site", site), ("Origin", f"http://localhost:{PORT}")]).status_code == 200


def test_two_sites_at_once_are_refused(canvas):
    assert ask(canvas, headers=[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]).status_code == 403


def test_a_link_may_lead_to_the_page_alone(canvas):
    followed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    framed = [*followed[:2], ("Sec-Fetch-Dest", "iframe")]
    assert ask(canvas, "/", headers=followed).status_code != 403
    assert ask(canvas, "/", headers=framed).status_code == 403
    for path in PATHS[1:]:
        assert ask(canvas, path, headers=followed).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8642", "http://127.0.0.1:1", ""])
def test_other_origins_are_refused(canvas, origin):
    assert ask(canvas, headers=[("Origin", origin)]).status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_says_who_may_use_it(canvas, path):
    headers = ask(canvas, path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"]
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/static/%2fetc/passwd",
        "/leaflet/../../__init__.py", "/static/..\\app.py", "/tile/0/0/..%2f..%2fapp.py", "/static/", "/leaflet/",
    ],
)  # fmt: skip
def test_no_way_leads_out_of_the_folders(canvas, path):
    answer = ask(canvas, path)
    assert answer.status_code in (400, 404, 405)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_long_addresses_and_bodies_are_refused(canvas):
    assert ask(canvas, "/" + "a" * 2000).status_code == 414
    assert ask(canvas, "/tile/0/0/0.png", params={"scene": "A" * 20_000}).status_code == 414
    assert ask(canvas, "/api/scene", content=b"x" * 10).status_code == 413


def test_a_scene_of_all_that_can_be_changed_is_short_enough():
    far = -(10**12)
    scene = {
        **SCENE,
        "centres": [{"x": far, "y": far, "seed": 10**6}] * 64,
        "resample": [{"x": far, "y": far, "width": 10**5, "height": 10**5, "seed": 10**6}] * 64,
    }
    assert len(packed(scene)) <= LONGEST < LONGEST_QUERY
