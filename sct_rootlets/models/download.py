"""Downloading a file over HTTP, resumed after interruptions, with every failure as one line.

`pooch` checks the hash and puts the file in its place; `Downloader` fetches it for `pooch`. The part that has arrived
is kept beside the file, with the server's mark of its version, so that neither a bad connection nor a killed process
costs much.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sct_rootlets.errors import ModelError

if TYPE_CHECKING:
    import requests

#: Suffixes of the files that are kept of an unfinished download.
UNFINISHED_SUFFIXES = (".part", ".mark")
#: At most so much is lost when a connection breaks.
_CHUNK_BYTES = 2**14
#: Statuses after which the server may answer well a moment later.
_TEMPORARY_STATUSES = {408, 425, 429, 500, 502, 503, 504}
#: A connection may break any number of times if it brings at least this much in between.
_MIN_PROGRESS_BYTES = 2**20


@dataclass(frozen=True)
class Patience:
    """How long to try with a server that fails or does not answer.

    Attributes
    ----------
    timeout_s : float
        Longest time to wait for an answer, and between two pieces of it.
    attempts : int
        Number of attempts in a row without progress.
    pause_s : float
        Pause after the first of these attempts; it doubles after each further one.
    slow_s : float
        An attempt that brings less than `_MIN_BYTES_IN_TIME` in such a time is given up: the server drips.
    total_s : float
        Longest time for the whole download; what has arrived by then is kept for the next run.
    """

    timeout_s: float = 30.0
    attempts: int = 5
    pause_s: float = 1.0
    slow_s: float = 60.0
    total_s: float = 7200.0


#: Less than this within `Patience.slow_s` is as good as nothing: 1 kB/s over a minute.
_MIN_BYTES_IN_TIME = 60_000
#: How often the part is looked at.
_LOOK_EVERY_S = 0.5


class _TemporaryError(Exception):
    """A failure that another attempt may not meet."""


def download(
    url: str,
    folder: Path,
    sha256: str | None = None,
    *,
    limit_bytes: int,
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    progress: bool = False,
) -> Path:
    """Download a file.

    Parameters
    ----------
    url : str
        Address, http or https.
    folder : Path
        Folder of the file, in which an unfinished download is kept too.
    sha256 : str, optional
        SHA-256 that the file must have.
    limit_bytes : int
        Largest size; larger files are refused.
    patience : Patience
    progress : bool
        Show a bar, if standard error is a terminal.

    Returns
    -------
    Path
        The downloaded file.

    Raises
    ------
    ModelError
        If the file cannot be downloaded, or its hash differs.
    """
    import pooch

    part = folder / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    name = part.with_suffix(".zip").name
    fetch = Downloader(part, limit_bytes, patience, progress)
    try:
        (folder / name).unlink(missing_ok=True)
        with _quiet(pooch.get_logger()):
            known_hash = None if sha256 is None else f"sha256:{sha256}"
            return Path(pooch.retrieve(url, known_hash, fname=name, path=folder, downloader=fetch))
    except ValueError as error:  # raised by pooch if the hash differs
        raise ModelError(f"{without_secrets(url)} is not the file that was published: its SHA-256 differs") from error
    except OSError as error:
        raise ModelError(f"{folder} cannot be written to ({error.strerror or error})") from error


def without_secrets(url: str) -> str:
    """Leave out of an address what may be secret: a user's name and password, a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:  # it is not an address, so nobody knows which part is secret
        return "the address"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Let a logger pass warnings only."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class Downloader:
    """Downloads a file for `pooch`.

    Parameters
    ----------
    part : Path
        File in which an unfinished download is kept.
    limit_bytes : int
    patience : Patience
    progress : bool
    """

    def __init__(self, part: Path, limit_bytes: int, patience: Patience, progress: bool) -> None:
        self.part = part
        self.mark = part.with_suffix(".mark")  # holds the server's name for the version of the part
        self.limit_bytes = limit_bytes
        self.patience = patience
        self.progress = progress
        self._deadline = 0.0

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch: Any) -> None:
        """Download to a file."""
        failures, furthest = 0, self._size()
        self._deadline = time.monotonic() + self.patience.total_s
        while True:
            try:
                self._request_in_time(url)
                break
            except _TemporaryError as reason:
                failures = 1 if self._size() >= furthest + _MIN_PROGRESS_BYTES else failures + 1
                furthest = max(furthest, self._size())
                if failures >= self.patience.attempts:
                    kept = "; run this again to go on from there" if self._version() else ""
                    raise ModelError(f"{without_secrets(url)} could not be downloaded: {reason}{kept}") from reason
                pause_s = self.patience.pause_s * 2 ** (failures - 1)
                time.sleep(max(0.0, min(pause_s, self._deadline - time.monotonic())))
        Path(self.part).replace(output_file)
        self._delete_part()

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _version(self) -> str:
        """Return the server's name for the version of the part; empty if there is no part."""
        return self.mark.read_text(encoding="utf-8") if self.part.exists() and self.mark.exists() else ""

    def _delete_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)

    def _request_in_time(self, url: str) -> None:
        """Ask once for the file, and give up a server that drips, or that takes longer than the whole download may.

        A timeout of the connection begins anew with each byte, so the time is kept outside: by the thread that waits.
        """
        request = _Request(self, url)
        began, size = time.monotonic(), self._size()
        try:
            while not request.done.wait(min(_LOOK_EVERY_S, self.patience.slow_s / 4, self.patience.total_s / 4)):
                now = time.monotonic()
                if now > self._deadline:
                    kept = "; run this again to go on from there" if self._version() else ""
                    raise ModelError(
                        f"{without_secrets(url)} could not be downloaded: it is not complete after "
                        f"{self.patience.total_s / 60:.3g} minutes ({self._size()} bytes){kept}"
                    )
                if now - began > self.patience.slow_s:
                    came = self._size() - size
                    if came < _MIN_BYTES_IN_TIME:
                        raise _TemporaryError(f"only {max(came, 0)} bytes came in {self.patience.slow_s:g} s")
                    began, size = now, self._size()
        finally:
            request.abandoned.set()
        if request.error is not None:
            raise request.error

    def _request(self, url: str, abandoned: threading.Event) -> None:
        """Ask once for the file, or for the rest of it."""
        import requests

        headers = {"Accept-Encoding": "identity"}  # so that sizes are those of the file, not of a compressed answer
        if self._version():
            headers |= {"Range": f"bytes={self._size()}-", "If-Range": self._version()}
        try:
            with (
                requests.Session() as session,
                session.get(url, headers=headers, stream=True, timeout=self.patience.timeout_s) as response,
            ):
                _check_secure(url, response)
                if not abandoned.is_set():
                    self._receive(url, response, abandoned)
        except requests.exceptions.TooManyRedirects as error:
            raise ModelError(f"{without_secrets(url)} leads nowhere: it redirects again and again") from error
        except requests.exceptions.SSLError as error:
            raise ModelError(f"{without_secrets(url)} has no certificate that can be trusted") from error
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            late = "timed out" in str(error).lower()
            reason = f"nothing came for {self.patience.timeout_s:g} s" if late else "the connection failed"
            raise _TemporaryError(reason) from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _TemporaryError(f"the connection broke off after {self._size()} bytes") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            # The error's own text is not shown: it holds the whole address with its secrets.
            no_address = isinstance(error, ValueError)  # requests' errors of addresses are ValueErrors too
            reason = "it is, or leads to, no http address" if no_address else type(error).__name__
            raise ModelError(f"{without_secrets(url)} cannot be downloaded: {reason}") from error

    def _receive(self, url: str, response: requests.Response, abandoned: threading.Event) -> None:
        """Add an answer to the part, or begin it anew if the server sends the whole file."""
        done = self._first_byte(url, response)
        length = response.headers.get("Content-Length", "")
        whole = length.isdigit() and not response.headers.get("Content-Encoding")
        total = done + int(length) if whole else None
        if total is not None and total > self.limit_bytes:
            raise self._too_large(url)
        if not done:
            self._delete_part()
        mark = response.headers.get("ETag", "")
        if not done and whole:  # files with the same weak ETag may differ in their bytes
            self.mark.write_text(response.headers.get("Last-Modified", "") if mark[:2] in ("", "W/") else mark)
        with self.part.open("ab") as file, _bar(total, done, self.progress) as bar:
            for chunk in response.iter_content(_CHUNK_BYTES):
                if abandoned.is_set():
                    return
                file.write(chunk)
                file.flush()
                bar.update(len(chunk))
                if file.tell() > self.limit_bytes:
                    self._delete_part()
                    raise self._too_large(url)
        if total is not None and self._size() != total:
            raise _TemporaryError(f"the connection broke off after {self._size()} of {total} bytes")

    def _too_large(self, url: str) -> ModelError:
        limit_mib = self.limit_bytes / 2**20
        return ModelError(f"{without_secrets(url)} is larger than {limit_mib:.0f} MiB: no model is")

    def _first_byte(self, url: str, response: requests.Response) -> int:
        """Return the position in the file at which an answer begins."""
        status = f"HTTP {response.status_code} {response.reason or ''}".strip()
        if response.status_code == 200:
            return 0
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {self._size()}-")
        if response.status_code == 206 and self._version() and begins:
            return self._size()
        if response.status_code in (206, 416):  # not the rest of the part: begin anew
            self._delete_part()
            raise _TemporaryError(status)
        if response.status_code in _TEMPORARY_STATUSES:
            raise _TemporaryError(status)
        raise ModelError(f"{without_secrets(url)} could not be downloaded: {status}")


class _Request:
    """A request that runs in a thread of its own, so that it can be given up.

    Attributes
    ----------
    done : threading.Event
        Set when the request has ended.
    abandoned : threading.Event
        To be set when nobody waits any more: the part is then left alone.
    error : BaseException, optional
        What the request failed of.
    """

    def __init__(self, downloader: Downloader, url: str) -> None:
        self.done, self.abandoned = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self._downloader, self._url = downloader, url
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._downloader._request(self._url, self.abandoned)
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()


def _check_secure(url: str, response: requests.Response) -> None:
    """Refuse redirects from https to http: anyone on the way could exchange the file."""
    for hop in (*response.history, response):
        if url.lower().startswith("https:") and not hop.url.lower().startswith("https:"):
            raise ModelError(f"{without_secrets(url)} leads to {without_secrets(hop.url)}, which is not encrypted")


def _bar(total: int | None, done: int, show: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit="B", unit_scale=True, disable=None if show else True)
