"""The page of published numbers: it sorts, asks for nothing, and takes any name."""

from pathlib import Path
from typing import Any

from made_commands import Hearsight, refused
from made_pages import Page
from made_server import needs_browser

from hearsight.scoring.published import published_numbers

HOSTILE = "<script>alert(1)</script>|"


def test_files_and_tables_hold_every_number(hearsight: Hearsight) -> None:
    Path("t.csv").write_text(f"name,protocol,cIoU@0.5,AUC\n{HOSTILE},lvs,0.5,0.25\n")
    for ending in ("html", "md", "csv", "json"):
        code, out, err = hearsight(f"results --table VGG-SS=t.csv --out page.{ending}")
        assert code == 0, err
        assert max(map(len, out.splitlines())) <= 80
        text = Path(f"page.{ending}").read_text(encoding="utf-8")
        assert all(number["value"] in text for number in published_numbers())
        assert "25.00" in text
    text = Path("page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert HOSTILE not in text
    assert len(page.all("script")) == 1
    assert not [one for tag in ("link", "img", "a") for one in page.all(tag)]
    code, out, err = hearsight("results --wide")
    assert all(number["source"] in out for number in published_numbers())
    refused(hearsight, "results --table page.csv --out gone.html", "holds no scores")
    refused(hearsight, "results --table t.csv --out t.csv --force", "t.csv")


@needs_browser
def test_a_press_on_a_heading_sorts_its_table(
    hearsight: Hearsight, tmp_path: Path, browser: Any
) -> None:
    assert hearsight("results --out page.html")[0] == 0
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    cells = "[...document.querySelector('table').tBodies[0].rows].map(r => r.cells[{}].innerText)"
    orders = "all => all.slice(1).map((two, at) => all[at].localeCompare(two))"
    for at, button in ((2, "AUC"), (0, "method")):
        for turn in range(2):
            tab.locator("table").first.get_by_role("button", name=button, exact=True).click()
            seen = tab.evaluate(cells.format(at))
            if at:
                values = [-1.0 if one == "-" else float(one) for one in seen]
                assert values == sorted(values, reverse=turn == 0)
            else:
                known = tab.evaluate(orders, seen)
                assert len(known) == len(seen) - 1
                assert all(one <= 0 if turn == 0 else one >= 0 for one in known)
                assert seen[0] != seen[-1]
    tab.close()
