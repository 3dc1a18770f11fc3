"""The server as a process: films in, results out, and what ends it or its work."""

import csv
import http.client
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from made_library import make_clip
from made_pages import Page
from made_server import Served, serving
from PIL import Image

from hearsight import Library, localise_video
from hearsight.errors import HearsightError
from hearsight.library.indexing import index_videos
from hearsight.serving.application import open_socket
from hearsight.serving.collection import MOST_BASKET
from hearsight.serving.service import json_response
from hearsight.serving.texts import TEXTS


def wait(served: Served, key: str, *states: str) -> dict[str, Any]:
    """The job once it is over, or in one of the states."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = served.jobs()[key]
        if job["state"] in (states or ("done", "failed", "cancelled")):
            return job
        time.sleep(0.05)
    raise AssertionError(f"still {job}")


def facts(served: Served, key: str) -> dict[str, Any]:
    status, body, _ = served.ask(f"films/{key}/facts")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_film_is_localised_as_the_command_does(served: Served, folder: Path) -> None:
    key = served.localise(upload=served.send(folder / "film.mp4"), every=0.5)
    assert wait(served, key)["state"] == "done"
    found = facts(served, key)
    tiny = folder / "tiny.safetensors"
    wanted = list(localise_video(folder / "film.mp4", every=0.5, model=tiny))
    assert [one["time"] for one in found["moments"]] == [one.time for one in wanted]
    for one, moment in zip(found["moments"], wanted, strict=True):
        assert one["confidence"] == pytest.approx(moment.confidence, abs=1e-4)
    assert (found["name"], found["size"], found["kind"]) == ("film.mp4", [48, 64], "video")
    status, maps, _ = served.ask(f"films/{key}/maps")
    assert (status, len(maps)) == (200, len(wanted) * found["grid"][0] * found["grid"][1])
    peaks = np.frombuffer(maps, np.uint8).reshape(len(wanted), -1).max(1)
    assert [peak == 255 for peak in peaks] == [one.box is not None for one in wanted]
    film = (folder / "film.mp4").read_bytes()
    assert served.ask(f"films/{key}/media")[1] == film
    assert served.ask(f"films/{key}/media", Range="bytes=10-19")[:2] == (206, film[10:20])
    levels = found["levels"]["values"]
    assert len(levels) == pytest.approx(3.0 / found["levels"]["step"], abs=2)
    assert np.median([level for level in levels if level is not None]) == pytest.approx(-9, abs=1)
    lines = served.ask(f"films/{key}/export/jsonl")[1].splitlines()
    assert [json.loads(line)["time"] for line in lines] == [one.time for one in wanted]


def test_a_picture_and_a_sound_are_localised(served: Served, folder: Path) -> None:
    picture, sound = served.send(folder / "p.png"), served.send(folder / "s.wav")
    key = served.localise(picture=picture, sound=sound)
    assert wait(served, key)["state"] == "done"
    found = facts(served, key)
    assert (found["kind"], len(found["moments"]), found["size"]) == ("picture", 1, [48, 64])
    assert served.ask(f"films/{key}/media")[2]["content-type"] == "image/jpeg"
    assert served.ask(f"films/{key}/sound")[1] == (folder / "s.wav").read_bytes()


def test_a_picture_longer_than_jpeg_can_hold_is_localised_and_shown(
    served: Served, folder: Path
) -> None:
    Image.new("RGB", (66_000, 2)).save(folder / "long.png")
    picture, sound = served.send(folder / "long.png"), served.send(folder / "s.wav")
    key = served.localise(picture=picture, sound=sound)
    job = wait(served, key)
    assert (job["state"], job["error"]) == ("done", "")
    assert facts(served, key)["size"] == [2, 66_000]
    with Image.open(BytesIO(served.ask(f"films/{key}/media")[1])) as shown:
        assert shown.size == (65_500, 2)


def test_a_picture_whose_sound_is_not_there_leaves_nothing(served: Served, folder: Path) -> None:
    picture = served.send(folder / "p.png")
    for sound, gone in (("0" * 16, "sound"), (picture, "picture")):
        body = json.dumps({"picture": picture, "sound": sound}).encode()
        status, answer, _ = served.ask("films", body)
        assert status == 400
        assert json.loads(answer)["error"] == (
            f"The {gone} that was sent is not here any more: send the picture and the sound again."
        )
    assert [each for each in (folder / "state" / "uploads").iterdir() if picture in each.name] == []


def test_a_film_of_the_folder_is_known_by_an_id_and_stays_there(
    served: Served, folder: Path
) -> None:
    listed = served.ask("folder?find=STREET")[1].decode()
    assert "street.mp4" in listed
    assert str(folder) not in listed
    file = listed.partition('data-localise="')[2].partition('"')[0]
    key = served.localise(file=file)
    assert wait(served, key)["state"] == "done"
    assert served.ask(f"films/{key}", method="DELETE")[0] == 204
    assert (folder / "films" / "street.mp4").exists()
    assert served.ask(f"films/{key}/media")[0] == 404


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("wrong.mp4", "'wrong.mp4' "), ("p.png", "'p.png' is a picture"), ("s.wav", "'s.wav' has no")],
)
def test_a_wrong_file_is_refused_in_a_sentence_that_names_it(
    served: Served, folder: Path, file: str, sentence: str
) -> None:
    key = served.localise(upload=served.send(folder / file))
    job = wait(served, key)
    assert job["state"] == "failed"
    assert job["error"].startswith(sentence)
    assert str(folder) not in job["error"]
    assert not (folder / "state" / "results" / key).exists()
    shown = served.ask(f"films/{key}", Accept="text/html")[1].decode()
    assert job["error"].replace("'", "&#39;") in shown


def test_a_result_says_what_its_model_can_do_without_a_press(served: Served, folder: Path) -> None:
    card = folder / "tiny.md"
    card.write_text("# `tiny`\n\n**In short:** it can find nothing, and cannot be relied on.\n")
    try:
        key = served.localise(upload=served.send(folder / "film.mp4"))
        assert wait(served, key)["state"] == "done"
        shown = served.ask(f"films/{key}")[1].decode().partition('<div class="panels">')[0]
    finally:
        card.unlink()
    assert "tiny: it can find nothing, and cannot be relied on." in shown


def test_what_is_too_large_or_misshapen_is_refused(served: Served) -> None:
    assert served.ask("uploads?name=a.mp4", b"0" * 12_000_000)[0] == 413
    assert served.ask("uploads?name=a.mp4", b"")[0] == 400
    for body in (
        b"{",
        b"[]",
        b'{"upload": 3}',
        b'{"upload": "x"}',
        b'{"every": "no"}',
        b"0" * 2_000_000,
    ):
        status, answer, _ = served.ask("films", body)
        assert status in (400, 404, 413)
        assert json.loads(answer)["error"]
    for path in (
        "films/..%2f..%2fetc/media",
        "films/0123456789abcdef",
        "nothing",
        "static/../guard.py",
    ):
        assert served.ask(path)[0] == 404


def test_two_uploads_at_once_and_one_job_at_a_time(served: Served, folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(served.send, [folder / "film.mp4", folder / "films" / "street.mp4"]))
        keys = list(pool.map(lambda one: served.localise(upload=one), sent))
    seen = []
    while not all(served.jobs()[key]["state"] == "done" for key in keys):
        states = [served.jobs()[key]["state"] for key in keys]
        assert "failed" not in states
        seen.append(states.count("running"))
        time.sleep(0.02)
    assert max(seen, default=0) <= 1
    assert [facts(served, key)["name"] for key in keys] == ["film.mp4", "street.mp4"]


def test_a_basket_is_saved_as_moments_are(served: Served, folder: Path) -> None:
    key = served.localise(upload=served.send(folder / "film.mp4"))
    assert wait(served, key)["state"] == "done"
    box = [0.25, 0.5, 0.75, 1.0]
    moments = [
        {"film": key, "name": "film.mp4", "time": 1.23456, "box": box, "confidence": 0.5},
        {"row": "none", "name": "a, b.wav", "time": 2, "score": 0.75, "level": -20, "box": "no"},
    ]
    asked = {"form": "csv", "moments": moments}
    status, body, headers = served.ask("library/basket", json.dumps(asked).encode())
    rows = list(csv.DictReader(body.decode().splitlines()))
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert [rows[0][edge] for edge in ("x0", "y0", "x1", "y1")] == ["0.25", "0.5", "0.75", "1.0"]
    assert [(row["file"], row["score"], row["x0"]) for row in rows[1:]] == [
        ("a, b.wav", "0.75", "")
    ]
    status, body, _ = served.ask("library/basket", json.dumps(asked | {"form": "jsonl"}).encode())
    first, second = map(json.loads, body.splitlines())
    assert (first["time"], first["box"], second["box"]) == (1.235, box, None)
    whole = {"form": "csv", "moments": moments[:1] * MOST_BASKET}
    status, body, _ = served.ask("library/basket", json.dumps(whole).encode())
    assert (status, len(body.splitlines())) == (200, MOST_BASKET + 1)
    assert served.ask("library/basket", b'{"form": "csv", "moments": []}')[0] == 200
    assert served.ask("library/basket", b'{"form": "xml", "moments": []}')[0] == 400


def test_numbers_that_are_none_are_left_out_of_a_basket(served: Served) -> None:
    wrong = (
        '{"time": NaN, "score": 1e999, "level": true, "box": [0, 0, 1, NaN], "name": "\\ud800"}, '
        f'{{"time": 1{"0" * 400}, "box": [0, 0, 1, 1{"0" * 400}]}}'
    )
    asked = f'{{"form": "jsonl", "moments": [{wrong}]}}'
    status, body, _ = served.ask("library/basket", asked.encode())
    assert status == 200
    rows = [json.loads(line) for line in body.splitlines()]
    assert [row[name] for row in rows for name in ("time", "score", "level", "box")] == [None] * 8
    assert [row["file"] for row in rows] == ["\\ud800", ""]
    huge = f'{{"upload": "0", "every": 1{"0" * 400}}}'
    assert served.ask("films", huge.encode())[0] == 400


def test_addresses_that_nothing_has_are_refused_in_a_sentence(served: Served) -> None:
    for path, method in (("nothing", "GET"), ("static/nothing.js", "GET"), ("films/x/y", "POST")):
        status, body, _ = served.ask(path, method=method)
        assert (status, json.loads(body)) == (404, {"error": TEXTS["refused"]["gone"]})
    page = served.ask("nothing", Accept="text/html")[1].decode()
    assert f'<p class="lead">{TEXTS["refused"]["gone"]}</p>' in page
    status, body, headers = served.ask("jobs", method="PUT")
    assert (status, json.loads(body)) == (405, {"error": TEXTS["refused"]["method"]})
    assert "GET" in headers["allow"]


def test_names_that_are_no_utf_8_are_shown_with_escapes(tmp_path: Path, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / "films").mkdir()
    shutil.copy(folder / "film.mp4", tmp_path / "films" / name)
    run = tmp_path / "runs" / os.fsdecode(b"\xff")
    run.mkdir(parents=True)
    (run / "report.html").write_text("report")
    words = ("--folder", "films", "--runs", "runs", "--model", str(folder / "tiny.safetensors"))
    with serving(tmp_path, *words) as server:
        listed = server.ask("folder")[1].decode()
        assert "caf\\udce9.mp4" in listed
        key = server.localise(file=listed.partition('data-localise="')[2].partition('"')[0])
        assert wait(server, key)["state"] == "done"
        assert "caf\\udce9.mp4" in server.jobs()[key]["title"]
        assert facts(server, key)["name"] == "caf\\udce9.mp4"
        for page in ("", f"films/{key}"):
            assert "caf\\udce9.mp4" in server.ask(page)[1].decode()
        assert server.ask(f"films/{key}/export/csv")[0] == 200
        basket = {"form": "jsonl", "moments": [{"film": key, "time": 1}]}
        _, body, _ = server.ask("library/basket", json.dumps(basket).encode())
        assert json.loads(body)["file"].endswith("/caf\\udce9.mp4")
        assert "runs/\\udcff" in server.ask("runs")[1].decode()


def test_an_answer_has_no_spaces_and_escapes_what_is_no_utf_8() -> None:
    answer = json_response({"name": "caf\udce9", "times": [0.0, 1.5]})
    assert answer.body == b'{"name":"caf\\udce9","times":[0.0,1.5]}'
    assert answer.headers["content-type"] == "application/json"


def test_cards_of_a_search_are_in_the_order_of_the_library(tmp_path: Path, folder: Path) -> None:
    for number in range(3):
        make_clip(tmp_path / f"{number}.mp4", number, 5.0, gain=float(number > 0))
    sound, films = folder / "s.wav", sorted(tmp_path.glob("*.mp4"))
    index_videos(tmp_path / "lib", films, model=folder / "tiny.safetensors", every=1.0)
    with serving(tmp_path, "lib") as server:
        asked = {"upload": server.send(sound), "to": "sound"}
        _, body, _ = server.ask("library/queries", json.dumps(asked).encode())
        page = Page(server.ask(json.loads(body)["page"])[1].decode())
        row = next(one["data-row"] for one in page.all("li") if "data-moment" in one)
        assert server.ask(f"library/clips/{row}?start=1.5")[0] == 200
        for start in ("nan", "1e999", "1e308", "-1e308"):  # the last: too long to count
            assert server.ask(f"library/clips/{row}?start={start}")[0] == 400
    cards = [json.loads(str(one["data-moment"])) for one in page.all("li") if "data-moment" in one]
    found = Library.open(tmp_path / "lib", device="cpu").search(sound=sound, k=len(cards))
    assert len(cards) > 3
    assert [(one["name"], one["time"]) for one in cards] == [
        (one.file.name, one.time) for one in found
    ]
    assert [one["score"] for one in cards] == pytest.approx([one.score for one in found])
    ranks = [(one.silent, -one.score) for one in found]
    assert ranks == sorted(ranks)


def test_progress_comes_as_events(served: Served, folder: Path) -> None:
    host = served.address.removeprefix("http://").strip("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    key = served.localise(upload=served.send(folder / "film.mp4"))
    states: list[str] = []
    while "done" not in states:
        line = stream.readline().decode()
        if line.startswith("data:"):
            states += [job["state"] for job in json.loads(line[5:]) if job["id"] == key]
    connection.close()
    assert set(states) <= {"waiting", "running", "done"}


def test_a_server_that_was_killed_has_lost_no_finished_result(
    served: Served, folder: Path, tmp_path: Path
) -> None:
    key = served.localise(upload=served.send(folder / "film.mp4"))
    wait(served, key)
    shutil.copytree(folder / "state" / "results" / key, tmp_path / "state" / "results" / key)
    tiny = ("--model", str(folder / "tiny.safetensors"))
    with serving(tmp_path, *tiny) as first:
        unfinished = first.localise(upload=first.send(folder / "film.mp4"))
        first.send(folder / "film.mp4")  # and not asked for
        workers = psutil.Process(first.process.pid).children()
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs(workers, 20)
        assert not alive  # they end with their server
    with serving(tmp_path, *tiny) as second:
        assert facts(second, key) == facts(served, key)
        assert second.ask(f"films/{key}/media")[1] == (folder / "film.mp4").read_bytes()
        assert second.ask(f"films/{unfinished}")[0] == 404
        assert [one.name for one in (tmp_path / "state" / "results").iterdir()] == [key]
        assert list((tmp_path / "state" / "uploads").iterdir()) == []
        assert "film.mp4" in second.ask("")[1].decode()


@pytest.mark.parametrize("host", ["a" * 64, "é" * 64, "é..b", "\u200b"])
def test_an_address_that_no_host_has_is_refused(host: str) -> None:
    with pytest.raises(HearsightError, match=r":0 cannot be used: "):
        open_socket(host, 0)
