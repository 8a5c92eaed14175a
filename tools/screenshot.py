"""Take the picture for the README: JupyterLab with a lesson open, scrolled to a piece of its text.

    pip install playwright, and a Chromium that it can start
    python tools/screenshot.py 00_start_here "Ask it something" docs/lesson.png

JupyterLab runs on loopback for the time of the picture and shows the notebook as it is stored; nothing is executed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PORT = 8899


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", help="such as 00_start_here")
    parser.add_argument("text", help="what the picture is to begin with")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    options = parser.parse_args()
    with jupyter_lab() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1120}, device_scale_factor=1)
        page.goto(f"{address}/lab/tree/notebooks/{options.lesson}.ipynb")
        page.add_locator_handler(page.locator(".jp-Dialog"), lambda dialog: page.keyboard.press("Enter"))
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        page.keyboard.press("Control+b")  # fold the file browser away
        heading = page.locator(".jp-RenderedMarkdown", has_text=options.text).first
        for _ in range(60):  # the notebook renders cells as they come into view
            if heading.count() and heading.is_visible():
                break
            page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => panel.scrollBy(0, 400)")
            page.wait_for_timeout(200)
        heading.evaluate("cell => cell.scrollIntoView({block: 'start'})")
        for notification in page.get_by_role("button", name="No", exact=True).all():
            notification.click()
        page.wait_for_timeout(2000)
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=options.picture)
        browser.close()


@contextmanager
def jupyter_lab():
    """A JupyterLab that reads the repository and keeps its own settings in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as settings:
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={PORT}", "--ServerApp.token="]
        command += [
            "--ServerApp.password=",
            f"--LabApp.user_settings_dir={settings}",
            f"--LabApp.workspaces_dir={settings}",
        ]
        command += ["--allow-root"] if sys.platform != "win32" else []
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{PORT}"
            for _ in range(60):
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=2)
                    break
                except OSError:
                    time.sleep(1)
            yield address
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
