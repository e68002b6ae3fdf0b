"""Downloads from a server on this machine: good, bad and dead mirrors, and what is kept of them."""

import gzip
import hashlib
import importlib
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from data_loaders import (
    CATALOGUE,
    DataFile,
    DataSet,
    DownloadError,
    fetch,
    mnist,
    verify,
    write_idx,
)
from data_loaders.locate import cache_folder

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class Server:
    """Answers on 127.0.0.1 with what is in `answers`; 404 for the rest."""

    def __init__(self):
        self.answers = {}  # path -> (promised length, body, headers)
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                if self.path not in outer.answers:
                    self.send_error(404)
                    return
                length, body, headers = outer.answers[self.path]
                self.send_response(200)
                for key, value in {"Content-Length": str(length), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))
        self.thread.start()

    def put(self, path, body, length=None, **headers):
        self.answers[path] = (len(body) if length is None else length, body, headers)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch, tmp_path):
    monkeypatch.delenv("SPARSE_REF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    locate = importlib.import_module("data_loaders.locate")
    monkeypatch.setattr(locate, "SYSTEM_FOLDER", tmp_path / "system")


@pytest.fixture
def plain(monkeypatch, tmp_path):
    """Unpacked bytes of the four files of a small stand-in for MNIST."""
    rng = np.random.default_rng(23)
    content = {}
    for name, n in zip(NAMES, (5, 5, 3, 3), strict=True):
        shape = (n, 28, 28) if "images" in name else (n,)
        write_idx(tmp_path / name, rng.integers(0, 10, shape, np.uint8))
        content[name] = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
    return content


@pytest.fixture
def mirrors(monkeypatch, server, plain):
    """The catalogue's "mnist" is the stand-in, with the mirrors /first and /second."""
    files = tuple(
        DataFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in plain.items()
    )
    urls = (f"{server.url}/first", f"{server.url}/second")
    entry = DataSet("mnist", "a stand-in", "none", files, urls)
    monkeypatch.setitem(CATALOGUE, "mnist", entry)
    return server


def serve_all(server, mirror, plain):
    for name, content in plain.items():
        server.put(f"/{mirror}/{name}.gz", gzip.compress(content))


def files_under(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_good_mirror_fills_the_cache(mirrors, plain):
    serve_all(mirrors, "first", plain)

    got = fetch("mnist")

    assert got == cache_folder("mnist")
    assert files_under(got) == sorted(f"{name}.gz" for name in NAMES)
    assert verify("mnist") == [(name, "ok") for name in NAMES]


def test_what_is_there_is_not_downloaded_again(mirrors, plain):
    serve_all(mirrors, "first", plain)
    fetch("mnist")
    (cache_folder("mnist") / f"{NAMES[2]}.gz").unlink()
    mirrors.asked.clear()

    fetch("mnist")

    assert mirrors.asked == [f"/first/{NAMES[2]}.gz"]


def test_a_complete_folder_needs_no_pooch(mirrors, plain, monkeypatch):
    serve_all(mirrors, "first", plain)
    fetch("mnist")
    monkeypatch.setitem(sys.modules, "pooch", None)

    assert fetch("mnist") == cache_folder("mnist")


def test_the_second_mirror_is_tried_where_the_first_is_dead(mirrors, plain, tmp_path):
    serve_all(mirrors, "second", plain)

    got = fetch("mnist", tmp_path / "chosen")

    assert got == tmp_path / "chosen"
    assert verify("mnist", got) == [(name, "ok") for name in NAMES]
    assert mirrors.asked[:2] == [f"/first/{NAMES[0]}.gz", f"/second/{NAMES[0]}.gz"]


def test_a_mirror_that_unpacks_on_the_way_is_accepted_and_saved_as_plain(mirrors, plain):
    serve_all(mirrors, "first", plain)
    mirrors.put(
        f"/first/{NAMES[1]}.gz", gzip.compress(plain[NAMES[1]]), **{"Content-Encoding": "gzip"}
    )

    got = fetch("mnist")

    assert (got / NAMES[1]).read_bytes() == plain[NAMES[1]]
    assert not (got / f"{NAMES[1]}.gz").exists()


@pytest.mark.parametrize("kind", ["page", "wrong", "damaged", "cut", "cut on the way", "empty"])
def test_nothing_is_kept_of_a_bad_download(mirrors, plain, tmp_path, kind):
    good = gzip.compress(plain[NAMES[0]])
    wrong = gzip.compress(plain[NAMES[0]][:-1] + b"\xff")
    body, message = {
        "page": (b"\n<!doctype html><html>moved</html>", "looks like an HTML page: the download"),
        "wrong": (wrong, "must be 3936 bytes with SHA-256 .* got 3936 bytes with"),
        "damaged": (good[:20] + bytes(9) + good[29:], "damaged gzip"),
        "cut": (good[:-30], "cut short: its gzip stream ends after"),
        "cut on the way": (good[:-30], "(IncompleteRead|Connection broken|cut short)"),
        "empty": (b"", "must be 3936 bytes .* got 0 bytes"),
    }[kind]
    length = len(good) if kind == "cut on the way" else len(body)
    mirrors.put(f"/first/{NAMES[0]}.gz", body, length)

    with pytest.raises(DownloadError, match=message) as e:
        fetch("mnist")

    got = str(e.value)
    assert f"no mirror of mnist gave {NAMES[0]}:" in got
    assert f"{mirrors.url}/first/{NAMES[0]}.gz: " in got
    assert f"{mirrors.url}/second/{NAMES[0]}.gz: 404" in got
    assert files_under(tmp_path / "cache") == []


def test_a_mirror_where_nobody_listens_is_named(monkeypatch, mirrors, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = CATALOGUE["mnist"]
    dead = DataSet("mnist", entry.title, "none", entry.files, (f"http://127.0.0.1:{port}",))
    monkeypatch.setitem(CATALOGUE, "mnist", dead)

    with pytest.raises(DownloadError, match=f"http://127.0.0.1:{port}/{NAMES[0]}.gz: .*refused"):
        fetch("mnist")
    assert files_under(tmp_path / "cache") == []


def test_an_interrupted_write_leaves_nothing(mirrors, plain, monkeypatch, tmp_path):
    serve_all(mirrors, "first", plain)

    def full_disk(source, target):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full_disk)

    with pytest.raises(OSError, match="no space left"):
        fetch("mnist")
    assert files_under(tmp_path / "cache") == []


def test_a_loader_downloads_when_asked_to(mirrors, plain):
    serve_all(mirrors, "first", plain)

    train, test = mnist(download=True)
    mirrors.asked.clear()
    again, _ = mnist(download=True)

    assert (train.x.shape, test.x.shape) == ((5, 28, 28), (3, 28, 28))
    np.testing.assert_array_equal(again.x, train.x)
    assert mirrors.asked == []


def test_a_loader_downloads_into_the_folder_it_is_given(mirrors, plain, tmp_path):
    serve_all(mirrors, "first", plain)

    train, _ = mnist(tmp_path / "chosen", download=True)

    assert len(train.y) == 5
    assert len(files_under(tmp_path / "chosen")) == 4
    assert files_under(tmp_path / "cache") == []


def test_a_wrong_dtype_is_refused_before_the_download(mirrors):
    with pytest.raises(TypeError, match="dtype must be"):
        mnist(download=True, dtype=np.int32)
    assert mirrors.asked == []


def test_without_pooch_the_message_names_the_extra(mirrors, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)

    with pytest.raises(
        ImportError, match=r'needs the package pooch.*pip install "sparse-ref\[data'
    ):
        fetch("mnist")


def test_a_file_that_differs_is_not_overwritten(mirrors, plain, tmp_path):
    serve_all(mirrors, "first", plain)
    (tmp_path / NAMES[3]).write_bytes(b"mine")

    with pytest.raises(
        ValueError, match=rf"{NAMES[3]} must be the original file, got: differs; mo"
    ):
        fetch("mnist", tmp_path)

    assert (tmp_path / NAMES[3]).read_bytes() == b"mine"
    assert mirrors.asked == []


def test_a_file_is_not_a_folder(mirrors, tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotADirectoryError, match="folder must be a folder, got the file"):
        fetch("mnist", tmp_path / "file")


def test_what_is_shipped_is_not_downloaded():
    with pytest.raises(ValueError, match="fashion-mnist-sample is shipped with the package"):
        fetch("fashion-mnist-sample")


@pytest.mark.parametrize("function", [fetch, verify])
def test_an_unknown_name_is_refused(function):
    with pytest.raises(ValueError, match=r"data set must be one of mnist, .*, got 'minst'"):
        function("minst")


def test_verify_reports_every_kind_of_file(mirrors, plain, tmp_path):
    (tmp_path / NAMES[0]).write_bytes(plain[NAMES[0]])
    (tmp_path / f"{NAMES[1]}.gz").write_bytes(gzip.compress(plain[NAMES[1]][:-1]))
    (tmp_path / f"{NAMES[2]}.gz").write_bytes(gzip.compress(plain[NAMES[2]])[:-7])

    got = verify("mnist", tmp_path)

    assert [file for file, _ in got] == list(NAMES)
    assert [status[:10] for _, status in got] == ["ok", "differs", "unreadable", "missing"]
    assert "cut short" in got[2].status


def test_verify_needs_an_existing_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"verify: there is no folder .*gone to look for mn"
    ):
        verify("mnist", tmp_path / "gone")


def test_verify_without_a_folder_needs_the_set_somewhere():
    with pytest.raises(FileNotFoundError, match="mnist: not found"):
        verify("mnist")


def test_the_catalogue_is_complete():
    for entry in CATALOGUE.values():
        assert [file.name for file in entry.files] == list(NAMES)
        assert all(len(bytes.fromhex(file.sha256)) == 32 for file in entry.files)
        assert bool(entry.mirrors) != bool(entry.shipped)
        assert not any(mirror.endswith("/") for mirror in entry.mirrors)
    assert CATALOGUE["mnist"].files[0].n_bytes == 16 + 60_000 * 28 * 28


def test_importing_the_package_imports_neither_pooch_nor_the_library():
    code = "import sys, data_loaders; print({'pooch', 'sparse_ref', 'scipy'} & set(sys.modules))"

    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert got.stdout.strip() == "set()"
