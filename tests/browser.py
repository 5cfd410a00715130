"""Pages in a headless browser that has no network; tests that need one are skipped where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PHONE_PX = 390
PAPER_PX = 688  # A4 less two margins of 14 mm, at 96 dots per inch
TOO_WIDE = """(width) => [...document.querySelectorAll("body *")].filter(element => {
  if (element.getBoundingClientRect().right <= width + 1) return false;
  for (let box = element.parentElement; box; box = box.parentElement)
    if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) return false;
  return true;
}).map(element => `${element.tagName} ${element.textContent.slice(0, 60)}`)"""
SECTION_HEIGHTS = """() => [...document.querySelectorAll("section > details")].map(details =>
  details.getBoundingClientRect().height - details.querySelector("summary").getBoundingClientRect().height)"""


@contextmanager
def open_page(file: Path, width: int = 1280, height: int = 900) -> Iterator:
    """A page as playwright has it; fails if its scripts raise an error."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not BROWSER:
        pytest.skip("needs chromium or google-chrome")
    errors: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(offline=True, viewport={"width": width, "height": height})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        yield page
        browser.close()
    assert errors == []


def check_on_a_phone(report: Path) -> None:
    """Nothing in a report, all sections open, is wider than a phone's screen, but what one can move sideways."""
    with open_page(report, PHONE_PX, 844) as page:
        page.click(".fold")
        assert all(height > 50 for height in page.evaluate(SECTION_HEIGHTS))
        assert page.evaluate(TOO_WIDE, PHONE_PX) == []
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE_PX


def check_in_print(report: Path) -> None:
    """A printed report shows folded sections; no table or figure is wider than the paper or higher than a page."""
    with open_page(report, PAPER_PX) as page:
        assert max(page.evaluate(SECTION_HEIGHTS)) < 50  # folded on the screen
        page.emulate_media(media="print")
        assert all(height > 50 for height in page.evaluate(SECTION_HEIGHTS))
        assert page.evaluate(TOO_WIDE, PAPER_PX) == []
        heights = page.evaluate(
            "() => [...document.images].map(image => image.getBoundingClientRect().height)"
        )
        assert max(heights) <= 22 / 2.54 * 96 + 1
