"""Downloads from a server on this machine: good, bad and dead mirrors, and what is kept of them."""

import gzip
import hashlib
import importlib
import io
import socket
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from data_loaders import (
    CATALOGUE,
    DataFile,
    DataSet,
    DownloadError,
    cifar100,
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
        names = [file.name for file in entry.files]
        if "mnist" in entry.name:
            assert names == list(NAMES)
        assert set(sum(entry.groups, ())) <= set(names)
        sums = [file.sha256 for file in entry.files if entry.page is None]
        assert all(len(bytes.fromhex(digest)) == 32 for digest in sums)
        assert [bool(entry.mirrors), bool(entry.shipped), bool(entry.page)].count(True) == 1
        assert not any(mirror.endswith("/") for mirror in entry.mirrors)
    assert CATALOGUE["mnist"].files[0].n_bytes == 16 + 60_000 * 28 * 28
    assert {file.n_bytes for file in CATALOGUE["cifar10"].files} == {10_000 * 3073}
    assert [file.n_bytes for file in CATALOGUE["cifar100"].files] == [50_000 * 3074, 10_000 * 3074]


CIFAR100_FILES = ("train.bin", "test.bin")


def packed(contents, links=()):
    """A tar.gz of `contents`, path -> bytes, and of symbolic links, path -> target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for path, target in dict(links).items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


@pytest.fixture
def colours():
    """A stand-in for CIFAR-100: two records for training, one for testing."""
    rng = np.random.default_rng(29)
    records = rng.integers(0, 20, (3, 3074), np.uint8)
    contents = (records[:2].tobytes(), records[2:].tobytes())
    return dict(zip(CIFAR100_FILES, contents, strict=True))


def offer(monkeypatch, server, colours, content):
    """The catalogue's "cifar100" is the stand-in, and `content` its archive on the server."""
    entry = CATALOGUE["cifar100"]
    files = tuple(
        DataFile(name, len(inside), hashlib.sha256(inside).hexdigest())
        for name, inside in colours.items()
    )
    archive = entry.archive._replace(sha256=hashlib.sha256(content).hexdigest())
    changed = replace(entry, files=files, archive=archive, mirrors=(f"{server.url}/kriz",))
    monkeypatch.setitem(CATALOGUE, "cifar100", changed)
    server.put(f"/kriz/{archive.name}", content)


def inside(colours):
    return {f"cifar-100-binary/{name}": content for name, content in colours.items()}


def test_the_files_of_an_archive_fill_the_cache(monkeypatch, server, colours):
    offer(monkeypatch, server, colours, packed({"cifar-100-binary/x.txt": b"x", **inside(colours)}))

    got = fetch("cifar100")

    assert got == cache_folder("cifar100")
    assert files_under(got) == sorted(CIFAR100_FILES)
    assert verify("cifar100") == [(name, "ok") for name in CIFAR100_FILES]
    assert server.asked == ["/kriz/cifar-100-binary.tar.gz"]


def test_an_archive_is_asked_for_only_if_a_file_is_missing(monkeypatch, server, colours):
    offer(monkeypatch, server, colours, packed(inside(colours)))
    folder = fetch("cifar100")
    fetch("cifar100")
    (folder / "test.bin").unlink()
    kept = (folder / "train.bin").stat().st_mtime_ns

    fetch("cifar100")

    assert len(server.asked) == 2
    assert files_under(folder) == sorted(CIFAR100_FILES)
    assert (folder / "train.bin").stat().st_mtime_ns == kept


def test_a_loader_downloads_an_archive_when_asked_to(monkeypatch, server, colours):
    offer(monkeypatch, server, colours, packed(inside(colours)))

    with pytest.warns(UserWarning, match="49,998 of 50,000 training images are missing"):
        train, _ = cifar100(download=True, labels="coarse")

    assert train.y.tolist() == [colours["train.bin"][0], colours["train.bin"][3074]]


def test_a_part_is_not_overwritten_by_the_originals(monkeypatch, server, colours, tmp_path):
    offer(monkeypatch, server, colours, packed(inside(colours)))
    (tmp_path / "train.bin").write_bytes(colours["train.bin"][:3074])

    with pytest.raises(ValueError, match="must be the original file, got: part: 1 of 2 examples;"):
        fetch("cifar100", tmp_path)


def test_nothing_is_read_of_an_archive_with_another_check_sum(
    monkeypatch, server, colours, tmp_path
):
    offer(monkeypatch, server, colours, packed(inside(colours)))
    server.put("/kriz/cifar-100-binary.tar.gz", packed({"cifar-100-binary/train.bin": b"mine"}))

    with pytest.raises(DownloadError, match=r"the download must have SHA-256 .*, got \d+ bytes"):
        fetch("cifar100")
    server.put("/kriz/cifar-100-binary.tar.gz", b"<html>moved</html>")
    with pytest.raises(DownloadError, match="looks like an HTML page"):
        fetch("cifar100")
    assert files_under(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("changed", "links", "message"),
    [
        ({"cifar-100-binary/train.bin": b"mine"}, {}, "train.bin in .* must be the original file"),
        ({"cifar-100-binary/train.bin": None}, {}, "must hold cifar-100-binary/train.bin, got an"),
        (
            {"cifar-100-binary/train.bin": None},
            {"cifar-100-binary/train.bin": "test.bin"},
            "train.bin in .* must be the original file",
        ),
    ],
)
def test_a_file_of_an_archive_must_be_the_original(
    monkeypatch, server, colours, tmp_path, changed, links, message
):
    contents = {**inside(colours), **changed}
    contents = {path: content for path, content in contents.items() if content is not None}
    offer(monkeypatch, server, colours, packed(contents, links))

    with pytest.raises(DownloadError, match=message):
        fetch("cifar100")
    assert "train.bin" not in files_under(tmp_path / "cache")


def test_an_archive_writes_nowhere_else(monkeypatch, server, colours, tmp_path):
    evil = {"../../evil": b"x", f"{tmp_path}/evil": b"x", "cifar-100-binary/../evil": b"x"}
    offer(monkeypatch, server, colours, packed({**evil, **inside(colours)}))

    fetch("cifar100")

    assert files_under(tmp_path) == sorted(CIFAR100_FILES)


def test_tiny_imagenet_is_downloaded_by_hand():
    with pytest.raises(ValueError, match=r"tiny-imagenet must be .* by hand, from http.*SHA-256"):
        fetch("tiny-imagenet")


def test_importing_the_package_imports_neither_pooch_nor_the_library():
    others = {"pooch", "PIL", "sparse_ref", "scipy"}
    code = f"import sys, data_loaders; print({others} & set(sys.modules))"

    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert got.stdout.strip() == "set()"
