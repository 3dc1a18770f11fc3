"""The page for everybody, in a real browser: names, contrast, keyboard, still pictures, phones."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_server import Served, in_browser, show_library

pytestmark = in_browser
CONTROLS = {  # roles that must have a name, by WAI-ARIA
    *("button", "checkbox", "combobox", "img", "image", "link", "listbox", "option", "progressbar"),
    *(
        "radio",
        "searchbox",
        "slider",
        "spinbutton",
        "textbox",
        "Video",
        "Audio",
        "DisclosureTriangle",
    ),
    *("navigation", "region"),
}
LOW_CONTRAST = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
      if (colour[3] > 0) throw new Error('half transparent: ' + each.outerHTML);
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  let looked = 0;
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !parent.checkVisibility()) continue;
    looked += 1;
    const style = getComputedStyle(parent);
    const [low, high] = [light(numbers(style.color)), light(ground(parent))].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24
      || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push([texts.currentNode.data.trim(), ratio]);
  }
  return [looked, found];
}"""
FOCUS = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const marked = at.classList.contains('hidden-input') ? at.labels[0] : at;
  const style = getComputedStyle(marked), room = marked.getBoundingClientRect();
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const down = room.bottom > 0 && room.top < innerHeight;
  const across = room.width > 0 && room.right > 0 && room.left < innerWidth;
  return [at.id || at.name || at.textContent.trim(), seen && down && across];
}"""


@pytest.fixture(scope="module")
def addresses(context: Any, served: Served, film: str, folder: Path) -> dict[str, str]:
    """Every kind of page by its name."""
    opened = context.new_page()
    show_library(opened, served)
    opened.goto(f"{served.address}runs")
    run = opened.get_attribute("a:has-text('Curve')", "href").strip("/")
    opened.close()
    heard = {"upload": served.send(folder / "s.wav"), "to": "sound"}
    found = json.loads(served.ask("library/queries", json.dumps(heard).encode())[1])["page"]
    failed = served.localise(upload=served.send(folder / "wrong.mp4"))
    parts = {"picture": served.send(folder / "p.png"), "sound": served.send(folder / "s.wav")}
    picture = served.localise(**parts)
    while served.jobs()[picture]["state"] != "done":
        time.sleep(0.05)
    return {
        "localise": served.address,
        "film": film,
        "picture": f"{served.address}films/{picture}",
        "failed": f"{served.address}films/{failed}",
        "library": f"{served.address}library",
        "search": f"{served.address}{found.strip('/')}",
        "live": f"{served.address}live",
        "runs": f"{served.address}runs",
        "run": f"{served.address}{run}",
        "report": f"{served.address}{run}/report",
        "missing": f"{served.address}nothing",
    }


def each_shown(page: Any, addresses: dict[str, str]) -> Iterator[str]:
    """Show every kind of page, all of it unfolded; its name."""
    for name, address in addresses.items():
        page.goto(address)
        if name in ("film", "picture"):
            page.wait_for_selector("#film[data-ready]")
        if name == "run":
            page.wait_for_selector("figcaption")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        yield name


def nodes(page: Any) -> list[dict[str, Any]]:
    """What a screen reader is told of: role, name and properties of each node."""
    session = page.context.new_cdp_session(page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        {
            "role": one["role"]["value"],
            "name": one.get("name", {}).get("value", "").strip(),
            **{each["name"]: each["value"].get("value") for each in one.get("properties", [])},
        }
        for one in tree
        if not one["ignored"]
    ]


def check_names(page: Any, name: str) -> None:
    """Everything that is used or seen has a name for screen readers."""
    told = nodes(page)
    nameless = [one for one in told if one["role"] in CONTROLS and not one["name"]]
    assert nameless == [], name
    titles = [one for one in told if one["role"] == "heading" and one.get("level") == 1]
    assert len(titles) == 1, name
    if name != "report":
        assert {"banner", "main", "navigation"} <= {one["role"] for one in told}, name


def check_ids(page: Any, name: str) -> None:
    """No id stands twice, and what a label names is there."""
    twice, lost = page.evaluate("""() => {
      const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
      const of = kind => [...document.querySelectorAll(`[${kind}]`)]
        .flatMap(one => one.getAttribute(kind).split(' '));
      const named = ['for', 'aria-labelledby', 'aria-describedby'].flatMap(of);
      return [ids.filter((one, at) => ids.indexOf(one) !== at),
        named.filter(one => !document.getElementById(one))];
    }""")
    assert (twice, lost) == ([], []), name


def check_contrast(page: Any, name: str) -> None:
    """Every text has the contrast of AA."""
    looked, low = page.evaluate(LOW_CONTRAST)
    assert low == [], name
    assert looked >= 1, name


def check_keyboard(page: Any, name: str) -> None:
    """The keyboard reaches everything, one sees where it is, and it leaves the page at its end."""
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is None:
            break
        assert at[1], (name, at)
        reached.append(at[0])
    assert at is None, name
    clicked = page.eval_on_selector_all(
        "button, a[href], select, input:not([type=hidden]):not([type=radio]), [tabindex='0']",
        "all => all.filter(one => one.checkVisibility()).length",
    )
    assert len(reached) >= clicked, name


def test_every_page_has_names_single_ids_contrast_and_is_used_by_keyboard(
    other: Any, addresses: dict[str, str]
) -> None:
    other.emulate_media(color_scheme="light")
    for name in each_shown(other, addresses):
        check_names(other, name)
        check_ids(other, name)
        check_contrast(other, name)
        check_keyboard(other, name)


def test_every_page_fits_a_phone_and_has_contrast_in_the_dark(
    other: Any, addresses: dict[str, str]
) -> None:
    other.emulate_media(color_scheme="dark")
    phone, desk = {"width": 320, "height": 640}, other.viewport_size
    other.set_viewport_size(phone)
    for name in each_shown(other, addresses):
        assert other.evaluate("document.documentElement.scrollWidth") <= 320, name
        other.set_viewport_size(desk)
        check_contrast(other, name)
        other.set_viewport_size(phone)


def press_to(page: Any, wanted: str) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_a_film_is_sent_seen_and_exported_by_keyboard_alone(page: Any, folder: Path) -> None:
    with page.expect_file_chooser() as chooser:  # which the browser has to hear of before a key
        press_to(page, "#files")
        page.keyboard.press("Space")
    chooser.value.set_files(folder / "film.mp4")
    page.wait_for_selector("#film[data-ready]")
    press_to(page, "#play")
    page.keyboard.press("ArrowRight")  # also from a button
    page.wait_for_function("() => Math.abs(document.getElementById('map').dataset.time - 1) < 0.3")
    press_to(page, "#timeline")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => Math.abs(document.getElementById('map').dataset.time - 2) < 0.3")
    press_to(page, "#format")
    page.keyboard.press("ArrowDown")
    press_to(page, "#export")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "film.csv"
    assert Path(saved.value.path()).read_text("utf-8").startswith("time,")


def test_who_wants_no_motion_gets_none_that_was_not_asked_for(
    page: Any, addresses: dict[str, str]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(addresses["search"])
    card = ".card[data-moment][data-kind=video]"
    page.hover(f"{card} .shot")
    page.wait_for_timeout(700)
    assert page.query_selector("#found video") is None
    assert page.evaluate(MOVING) == []
    page.click(f"{card} [data-act=play]")
    page.wait_for_function("() => document.querySelector('.card video')?.currentTime > 0.05")
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(MOVING) != []  # so that the measure is one


MOVING = """() => [...document.querySelectorAll('*')].filter(one => {
  const style = getComputedStyle(one);
  return style.transitionDuration !== '0s' || style.animationName !== 'none'
    || style.scrollBehavior === 'smooth';
}).map(one => one.tagName)"""


def test_what_changes_many_times_a_second_is_not_read_aloud(page: Any, film: str) -> None:
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    spoken = """() => new Promise(done => {
      const places = [...document.querySelectorAll('[role=status], [role=alert], [aria-live]')];
      let changes = 0;
      const watch = new MutationObserver(() => { changes += 1; });
      const all = {childList: true, characterData: true, subtree: true};
      for (const one of places) watch.observe(one, all);
      document.getElementById('media').play();
      setTimeout(() => done([places.length, changes]), 1500);
    })"""
    places, changes = page.evaluate(spoken)
    assert places >= 2
    assert changes == 0
