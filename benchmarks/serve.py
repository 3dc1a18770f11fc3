"""The served page over a library of many moments: how long each answer takes its user.

    python benchmarks/serve.py
    python benchmarks/serve.py --moments 20000
    python benchmarks/serve.py --library /tmp/large.library     is kept there, and used again

A library of made-up moments is written with the package's own writer: embeddings around random
centres as `library.py` draws them, as many numbers each as the default model's, and thumbnails of
the usual size. Then the server is started as its user starts it, and asked over HTTP, one request
after the other. Searches are timed as the page makes them: the file goes up, is embedded, and the
page with 24 cards comes down.

`start`: seconds from the start of the server to its address and until it is warm, milliseconds of
the first page and of the first searches. `searches`: median, 90th percentile and most milliseconds
of further searches and pages, the share of them within 300 ms, and the milliseconds that the
server's processes computed for one. `film`: a minute of 640x360, seconds from the first byte sent
until its page has all that it plays, against those of `hearsight localise` of the same film, in
turns. `uploads`: MiB that the server and its workers hold after a fifth of many films, sent and
localised one after the other, and after all of them, and the most at any time.

The clock's seconds grow on a machine that is busy with other things; the processor's stay. Threads
wait passively in all processes, since others on the machine would make them wait ten times as long.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import soundfile
from library import draw_centres, grouped
from localise import make_video
from PIL import Image

from hearsight.library.lance_table import LibraryInfo, MomentTable
from hearsight.library.thumbnails import encode_heatmap
from hearsight.localising.localise import MODEL
from hearsight.retrieval.embeddings import load_embedder

GRID = (14, 25)  # cells of a response map
FILM = 500  # moments of a made-up film
COMMIT = 40  # films in each commit
WITHIN = 300  # milliseconds that a search may take
MINUTE = 60  # seconds of the film that is sent
SHORT = 5  # seconds of each of many films
RATE = 16_000


def thumbnails(count: int) -> list[bytes]:
    """Pictures of 256 x 144 pixels with as much in them as those of films: about 8 KB each."""
    generator, made = np.random.default_rng(0), []
    for _ in range(count):
        rough = generator.integers(0, 256, (18, 32, 3), np.uint8)
        fine = generator.normal(0, 12, (144, 256, 3))
        picture = np.asarray(Image.fromarray(rough).resize((256, 144), Image.Resampling.BICUBIC))
        file = io.BytesIO()
        noisy = np.clip(picture + fine, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(file, "JPEG", quality=80)
        made.append(file.getvalue())
    return made


def rows(table: MomentTable, film: int, centres: np.ndarray, pictures: list[bytes]) -> Any:
    """The moments of one made-up film, a tenth of them silent."""
    generator, channels = np.random.default_rng(film + 1), table.info.channels
    vectors = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(grouped(generator, centres, FILM).ravel()), channels
        )
        for _ in range(2)
    ]
    boxes = np.sort(generator.random((FILM, 2, 2)), axis=1).reshape(FILM, 4)
    values = {
        "file": [f"/films/{film}.mp4"] * FILM,
        "size": [1] * FILM,
        "modified": [1] * FILM,
        "digest": [f"{film:032x}"] * FILM,
        "kind": ["video"] * FILM,
        "number": list(range(FILM)),
        "time": [1.5 + 3.0 * number for number in range(FILM)],
        "level": [-80.0 if number % 10 == 0 else -20.0 for number in range(FILM)],
        "sound": vectors[0],
        "image": vectors[1],
        "box": boxes.tolist(),
        "heatmap": [
            encode_heatmap(generator.integers(0, 256, GRID, np.uint8)) for _ in range(FILM)
        ],
        "confidence": [0.5] * FILM,
        "thumbnail": [  # no two alike: what follows the end of a JPEG is not looked at
            pictures[each % len(pictures)]
            + bytes([film % 256, film // 256, each % 256, each // 256])
            for each in range(FILM)
        ],
    }
    return pa.RecordBatch.from_pydict(values, schema=table.schema)


def make_library(path: Path, moments: int) -> None:
    """Write the library and index it, as `hearsight index` does from so many moments on."""
    embedder = load_embedder(MODEL, "cpu")
    channels = embedder.sounds([np.zeros(round(embedder.seconds * RATE), np.float32)]).shape[1]
    info = LibraryInfo(
        model=MODEL,
        recipe=embedder.recipe.name,
        fingerprint=embedder.digest(),
        channels=channels,
        every=3.0,
        seconds=embedder.seconds,
    )
    table, pictures = MomentTable.create(str(path), info), thumbnails(64)
    centres, films = draw_centres(moments, channels), range(moments // FILM)
    for first in films[::COMMIT]:
        part = films[first : first + COMMIT]
        table.append([rows(table, film, centres, pictures) for film in part], [])
    table.compact()
    if table.needs_vector_index():
        table.build_vector_index()


class Server:
    """The page's server as a process, and requests to it."""

    def __init__(self, address: str, pid: int) -> None:
        self.address, self.process = address, psutil.Process(pid)

    def ask(self, path: str, data: bytes | None = None) -> bytes:
        """The body of an answer."""
        request = urllib.request.Request(self.address + path, data=data)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return bytes(answer.read())

    def send(self, file: Path) -> str:
        """The id of a file that is sent."""
        sent = json.loads(self.ask(f"uploads?name={file.name}", file.read_bytes()))
        return str(sent["id"])

    def search(self, file: Path, to: str) -> bytes:
        """The page of a search by a file, as the browser asks for it."""
        body = json.dumps({"upload": self.send(file), "to": to}).encode()
        page = json.loads(self.ask("library/queries", body))["page"]
        return self.ask(page.lstrip("/"))

    def localise(self, film: Path) -> None:
        """Send a film and wait until its page can play it."""
        body = json.dumps({"upload": self.send(film)}).encode()
        key = json.loads(self.ask("films", body))["job"]
        state = "waiting"
        while state in ("waiting", "running"):
            time.sleep(0.05)
            jobs = json.loads(self.ask("jobs"))
            state = next(job["state"] for job in jobs if job["id"] == key)
        assert state == "done", state
        for part in ("", "/facts", "/maps", "/media"):
            self.ask(f"films/{key}{part}")

    def warm(self) -> None:
        """Wait until the page says no more that the model is being loaded."""
        while b'hx-get="/library/ready"' in self.ask("library"):
            time.sleep(0.1)

    def processor(self) -> float:
        """Seconds that the server's processes have computed."""
        spent = [one.cpu_times() for one in (self.process, *self.process.children())]
        return sum(one.user + one.system for one in spent)

    def memory(self) -> tuple[float, float]:
        """MiB that the server holds, and its workers together."""
        held = [one.memory_info().rss / 2**20 for one in (self.process, *self.process.children())]
        return held[0], sum(held[1:])


@contextmanager
def serving(library: Path, state: Path) -> Iterator[Server]:
    """The server of a library, ended afterwards."""
    words = ["serve", str(library), "--port", "0", "--state", str(state)]
    command = [sys.executable, "-m", "hearsight", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds that a call takes."""
    begin = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begin)


def spread(milliseconds: list[float], processor: float) -> dict[str, float]:
    """What a distribution says to its user, and the processor's milliseconds of each."""
    tenths = statistics.quantiles(milliseconds, n=10)
    return {
        "median_ms": round(statistics.median(milliseconds), 1),
        "p90_ms": round(tenths[8], 1),
        "most_ms": round(max(milliseconds), 1),
        "within": round(sum(each <= WITHIN for each in milliseconds) / len(milliseconds), 3),
        "processor_ms": round(1000 * processor / len(milliseconds), 1),
    }


def measure_start(library: Path, folder: Path) -> dict[str, float]:
    """From the start of the server to its first searches."""
    generator = np.random.default_rng(0)
    sound, picture = made_sound(folder, generator), made_picture(folder, generator)
    begin = time.perf_counter()
    with serving(library, folder / "first") as server:
        address = time.perf_counter() - begin
        page = timed(lambda: server.ask(""))
        server.warm()
        warm = time.perf_counter() - begin
        by_sound = timed(lambda: server.search(sound, "sound"))
        by_picture = timed(lambda: server.search(picture, "image"))
    return {
        "address_s": round(address, 2),
        "first_page_ms": round(page, 1),
        "warm_s": round(warm, 2),
        "first_by_sound_ms": round(by_sound, 1),
        "first_by_picture_ms": round(by_picture, 1),
    }


def measure_searches(server: Server, folder: Path, count: int) -> dict[str, Any]:
    """Searches of each kind, in turns, each by another sound, picture or moment."""
    generator = np.random.default_rng(1)
    page = server.search(made_sound(folder, generator), "sound").decode()
    row = page.partition('data-moment="')[2].partition("&#34;row&#34;: &#34;")[2].partition("&")[0]
    spent: dict[str, list[float]] = {}
    processor: dict[str, float] = {}
    for number in range(count):
        sound, picture = made_sound(folder, generator), made_picture(folder, generator)
        moment = f"library?row={row}&at={1.5 + 3 * (number % FILM)}&to="
        kinds: dict[str, Callable[[], Any]] = {
            "by_sound": partial(server.search, sound, "sound"),
            "by_picture": partial(server.search, picture, "image"),
            "by_moment_sound": partial(server.ask, f"{moment}sound"),
            "by_moment_picture": partial(server.ask, f"{moment}image"),
            "library_page": partial(server.ask, "library"),
            "first_page": partial(server.ask, ""),
        }
        for name, call in kinds.items():
            before = server.processor()
            spent.setdefault(name, []).append(timed(call))
            processor[name] = processor.get(name, 0.0) + server.processor() - before
    return {name: spread(each, processor[name]) for name, each in spent.items()}


def measure_film(server: Server, folder: Path, rounds: int) -> dict[str, Any]:
    """A minute of film through the page and by the command, in turns."""
    film = folder / "film.mp4"
    make_video(film, MINUTE, 360, 640, 25)
    server.localise(film)  # the model is loaded once, as when somebody looks at the first page
    command = [sys.executable, "-m", "hearsight", "localise", str(film)]
    by_page, by_command = [], []
    for _ in range(rounds):
        by_page.append(timed(lambda: server.localise(film)) / 1000)
        run = partial(subprocess.run, command, check=True, capture_output=True)
        by_command.append(timed(run) / 1000)
    page, command_s = statistics.median(by_page), statistics.median(by_command)
    return {
        "page_s": round(page, 2),
        "command_s": round(command_s, 2),
        "ratio": round(page / command_s, 3),
    }


def measure_uploads(server: Server, folder: Path, count: int) -> dict[str, Any]:
    """Memory over many short films, one after the other."""
    film = folder / "short.mp4"
    make_video(film, SHORT, 360, 640, 25)
    held = []
    for _ in range(count):
        server.localise(film)
        held.append(server.memory())
    kinds = dict(zip(("server", "workers"), zip(*held, strict=True), strict=True))
    return {
        "films": count,
        **{
            f"{name}_mib": [round(each) for each in (of[(count - 1) // 5], of[-1], max(of))]
            for name, of in kinds.items()
        },
    }


def made_sound(folder: Path, generator: np.random.Generator) -> Path:
    """Ten seconds of noise that swells, at 44.1 kHz."""
    swell = np.linspace(0.05, 0.2, 441_000)
    soundfile.write(folder / "sound.wav", swell * generator.standard_normal(441_000), 44_100)
    return folder / "sound.wav"


def made_picture(folder: Path, generator: np.random.Generator) -> Path:
    """A photograph's size of blurred noise: 1920 x 1080 as JPEG."""
    rough = Image.fromarray(generator.integers(0, 256, (18, 32, 3), np.uint8))
    rough.resize((1920, 1080), Image.Resampling.BICUBIC).save(folder / "picture.jpg")
    return folder / "picture.jpg"


def main() -> None:
    """Measure and print one JSON object a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--library", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = options.library or folder / "library"
        if not library.exists():
            make_library(library, options.moments)
        print(json.dumps({"part": "start"} | measure_start(library, folder)), flush=True)
        with serving(library, folder / "state") as server:
            server.warm()
            searches = measure_searches(server, folder, options.searches)
            print(json.dumps({"part": "searches"} | searches), flush=True)
            film = measure_film(server, folder, options.rounds)
            print(json.dumps({"part": "film"} | film), flush=True)
            uploads = measure_uploads(server, folder, options.uploads)
            print(json.dumps({"part": "uploads"} | uploads), flush=True)


if __name__ == "__main__":
    main()
