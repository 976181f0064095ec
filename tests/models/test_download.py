import hashlib
import re
import time

import pytest

requests = pytest.importorskip("requests", reason="requests is not installed")

from published import Server  # noqa: E402

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.download import Patience, download, without_secrets  # noqa: E402

CONTENT = bytes(range(256)) * 1024
CHUNK = 2**14
HASH = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(timeout_s=0.5, attempts=3, pause_s=0.0)


@pytest.fixture
def server():
    server = Server(CONTENT)
    yield server
    server.close()


def get(server, folder, sha256=None, limit_bytes=10**6, patience=QUICK):
    return download(server.url, folder, sha256, limit_bytes=limit_bytes, patience=patience)


@pytest.mark.parametrize(
    "misbehaviour",
    [
        [],
        ["broken", "broken"],
        ["half"],
        ["half", "half", "broken"],
        ["stalled"],
        ["silent"],
        ["half", "ignores_range"],
        ["half", "wrong_range"],
        ["half", "silent", "half", "ignores_range"],
    ],
    ids="-".join,
)
def test_the_file_comes_right_in_the_end(server, tmp_path, misbehaviour):
    server.misbehave = list(misbehaviour)
    path = get(server, tmp_path, HASH, patience=Patience(0.5, 4, 0.0))
    assert path.read_bytes() == CONTENT
    assert server.misbehave == []
    assert list(tmp_path.iterdir()) == [path]


def test_it_goes_on_where_the_connection_was_lost(server, tmp_path):
    server.misbehave = ["half"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_it_goes_on_in_a_later_run(server, tmp_path):
    server.misbehave = ["half", "broken", "broken"]
    with pytest.raises(ModelError, match=r"HTTP 500 .*run this again to go on from there"):
        get(server, tmp_path)
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={len(CONTENT) // 2}-"


@pytest.mark.parametrize("tag", ['"version-2"', 'W/"weak"', None])
def test_it_never_joins_two_versions(server, tmp_path, tag):
    server.misbehave = ["half", "broken", "broken"]
    server.tag = tag if tag != '"version-2"' else server.tag
    with pytest.raises(ModelError):
        get(server, tmp_path)
    server.content, server.tag = CONTENT[::-1], tag
    assert get(server, tmp_path).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(
    ("always", "message"),
    [
        ("not_found", "could not be downloaded: HTTP 404 Not Found"),
        ("broken", "could not be downloaded: HTTP 500"),
        ("stalled", r"could not be downloaded: nothing came for 0\.5 s"),
        ("silent", r"could not be downloaded: nothing came for 0\.5 s"),
        ("redirect_loop", "redirects again and again"),
        ("redirect_to_file", "cannot be downloaded: it is, or leads to, no http address"),
        ("truncated", "is not the file that was published: its SHA-256 differs"),
        ("login_page", "is not the file that was published: its SHA-256 differs"),
        ("endless", "is larger than"),
        ("claims_too_much", "is larger than"),
    ],
)
def test_what_never_comes_right_ends_in_one_line(server, tmp_path, always, message):
    server.always = always
    with pytest.raises(ModelError, match=message) as caught:
        get(server, tmp_path, HASH)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.zip"))


def test_what_cannot_change_is_asked_for_once(server, tmp_path):
    server.always = "not_found"
    with pytest.raises(ModelError):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_nobody_there(server, tmp_path):
    server.close()
    with pytest.raises(ModelError, match="could not be downloaded: the connection failed"):
        get(server, tmp_path)


@pytest.mark.parametrize("url", ["http://", "http://[", "https://exa mple.org/x.zip"])
def test_addresses_that_are_none(tmp_path, url):
    with pytest.raises(ModelError, match="downloaded"):
        download(url, tmp_path, limit_bytes=10, patience=QUICK)


def test_https_does_not_lead_to_http(server, tmp_path, monkeypatch):
    """Without a certificate here, https is played: the answer came from http although https was asked for."""
    answers = requests.Session.get
    monkeypatch.setattr(
        requests.Session, "get", lambda self, url, **options: answers(self, url.replace("https", "http"), **options)
    )
    with pytest.raises(ModelError, match="which is not encrypted"):
        download(server.url.replace("http", "https"), tmp_path, limit_bytes=10**6, patience=QUICK)


def test_https_does_not_lead_over_http_to_https(server, tmp_path, monkeypatch):
    answers = requests.Session.get

    def by_way_of_http(self, url, **options):
        hop, response = requests.Response(), answers(self, server.url, **options)
        hop.url, response.url, response.history = "http://elsewhere.example/m.zip", url, [hop]
        return response

    monkeypatch.setattr(requests.Session, "get", by_way_of_http)
    with pytest.raises(ModelError, match=r"leads to http://elsewhere\.example/m\.zip, which is not encrypted"):
        download("https://published.example/m.zip", tmp_path, limit_bytes=10**6, patience=QUICK)


def test_a_bad_address_keeps_its_secrets(tmp_path):
    with pytest.raises(ModelError, match="cannot be downloaded: it is, or leads to, no http address") as caught:
        download("http://me:secret@localhost:99999/x.zip?token=abc", tmp_path, limit_bytes=10, patience=QUICK)
    assert not re.search("secret|abc", str(caught.value))


def test_a_folder_that_is_none(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written to"):
        get(server, tmp_path / "file")


def test_secrets_are_not_shown():
    assert without_secrets("https://me:secret@example.org:8443/a/b.zip?token=x#y") == "https://example.org:8443/a/b.zip"


def test_a_server_that_drips_is_given_up(server, tmp_path):
    server.always = "drips"
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"could not be downloaded: only \d+ bytes came in 0\.5 s"):
        get(server, tmp_path, patience=Patience(30, 2, 0.0, slow_s=0.5))
    assert len(server.requests) == 2
    with pytest.raises(ModelError, match=r"it is not complete after 0\.0167 minutes \(\d+ bytes\)"):
        get(server, tmp_path, patience=Patience(30, 5, 0.0, total_s=1.0))
    assert time.monotonic() - began < 10


def test_a_drip_is_followed_by_the_whole_file(server, tmp_path):
    server.misbehave = ["drips"]
    assert get(server, tmp_path, HASH, patience=Patience(30, 3, 0.0, slow_s=0.5)).read_bytes() == CONTENT
