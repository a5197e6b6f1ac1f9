"""The page in a real browser: the script runs, and a hostile response does not."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from prerl_spec.report.page.page import write_report

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
def test_nothing_sticks_out_of_the_window(run_folder: Path, tmp_path: Path, width: int) -> None:
    page = write_report([run_folder])
    framed = tmp_path / "framed.html"
    # A frame of the width in question: the window of a headless browser does not get narrower than 500 pixels.
    framed.write_text(
        f'<iframe id="f" width="{width}" height="900" src="{page.as_uri()}"></iframe>'
        "<script>f.onload = () => { const d = f.contentDocument.documentElement;"
        "document.title = d.scrollWidth + ' in ' + d.clientWidth; }</script>",
        encoding="utf-8",
    )
    document = browse(framed, tmp_path / "profile", "--dump-dom", "--allow-file-access-from-files")
    found = re.search(r"<title>(\d+) in (\d+)</title>", document)
    assert found is not None
    assert int(found[1]) <= int(found[2])
