"""The page in a real browser: the script runs, and a hostile response does not."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from prerl_spec.report.page.page import write_report
from tests.comparison.runs import Made, write_model, write_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# fmt: off
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]
# fmt: on

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no chromium here")]


def browse(page: Path, profile: Path, *flags: str) -> str:
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_script_runs_and_a_response_does_not(run_folder: Path, tmp_path: Path) -> None:
    document = browse(write_report([run_folder]), tmp_path / "profile", "--dump-dom")
    assert re.findall(r"<title>(.*?)</title>", document) == ["quickstart · prerl-spec"]
    charts = document.count('<figure class="chart"')
    assert document.count('data-ready=""') == charts > 5


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("shown", ["one run", "three seeds", "three scored models"])
def test_nothing_sticks_out_of_the_window_and_every_text_of_a_drawing_is_readable(
    run_folder: Path, tmp_path: Path, width: int, shown: str
) -> None:
    long = "a-run-with-a-name-that-is-much-longer-than-any-column-of-the-page"
    folders = {
        "one run": lambda: [run_folder],
        "three seeds": lambda: [write_run(tmp_path / f"{n}", Made(seed=n, name=long)) for n in range(3)],
        "three scored models": lambda: [write_model(tmp_path / f"{long}-{n}", Made(seed=n)) for n in range(3)],
    }[shown]()
    measured = sizes(write_report(folders, tmp_path / "page.html"), tmp_path, width)
    assert measured.scroll_width <= measured.client_width
    assert measured.least_text >= 11


class Sizes(NamedTuple):
    scroll_width: int
    client_width: int
    least_text: float
    hidden: int
    """Pixels of the widest table that are seen by scrolling it sideways only."""


def sizes(page: Path, folder: Path, width: int) -> Sizes:
    """Of a page in a frame of this width (the window of a headless browser does not get narrower than 500 pixels): in pixels,
    the least text of its drawings as it is shown."""
    framed = folder / "framed.html"
    framed.write_text(
        f'<iframe id="f" width="{width}" height="900" src="{page.as_uri()}"></iframe><script>f.onload = () => {{'
        "const d = f.contentDocument, e = d.documentElement;"
        "const wide = (s) => s.viewBox.baseVal.width ? s.getBoundingClientRect().width / s.viewBox.baseVal.width : 1;"
        "const size = (t) => parseFloat(f.contentWindow.getComputedStyle(t).fontSize) * wide(t.ownerSVGElement);"
        "const sizes = [...d.querySelectorAll('svg text')].map(size);"
        "const hidden = [...d.querySelectorAll('.scroll')].map((s) => s.scrollWidth - s.clientWidth);"
        "document.title = e.scrollWidth + ' in ' + e.clientWidth + ' least ' + Math.min(...sizes).toFixed(2)"
        " + ' hidden ' + Math.max(0, ...hidden); }</script>",
        encoding="utf-8",
    )
    shown = browse(framed, folder / "profile", "--dump-dom", "--allow-file-access-from-files")
    found = re.search(r"<title>(\d+) in (\d+) least ([\d.]+) hidden (\d+)</title>", shown)
    assert found is not None
    return Sizes(int(found[1]), int(found[2]), float(found[3]), int(found[4]))
