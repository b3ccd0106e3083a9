"""Pictures of the chat page for the documentation, from a twin that runs:

    twin serve --background && python -m tools.screenshots

Light and dark as a desktop shows them, with a source opened, and a phone. Needs Chromium and its
driver on the PATH (package `selenium`, of the extra `dev`).
"""

import os
from pathlib import Path
from typing import Any

import click
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

QUESTION = "Why does cleaning keep apostrophes?"
FOLDER = Path("docs/images")
WITHIN_S = 120
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
DESKTOP: dict[str, Any] = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
PHONE: dict[str, Any] = {"width": 390, "height": 844, "deviceScaleFactor": 1.5, "mobile": True}


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Of the twin.")
@click.option("--question", default=QUESTION, show_default=True, help="What is asked.")
@click.option("--driver", default="chromedriver", show_default=True, help="Of Chromium.")
def main(url: str, question: str, driver: str) -> None:
    """Write light.png, dark.png and phone.png."""
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, size, scheme in (
        ("light", DESKTOP, "light"),
        ("dark", DESKTOP, "dark"),
        ("phone", PHONE, "light"),
    ):
        picture(
            f"{url}/", question, FOLDER / f"{name}.png", size=size, scheme=scheme, driver=driver
        )
        click.echo(FOLDER / f"{name}.png")


def picture(
    url: str, question: str, path: Path, *, size: dict[str, Any], scheme: str, driver: str
) -> None:
    """The page with one answer; on a desktop with its first source opened."""
    options = webdriver.ChromeOptions()
    for argument in ARGUMENTS:
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(url)
        browser.find_element(By.ID, "question").send_keys(question, Keys.ENTER)
        _wait(browser, ".answer[aria-busy=false] .sources button")
        if not size["mobile"]:
            browser.find_element(By.CSS_SELECTOR, ".sources button").click()
            _wait(browser, "#reader mark")
        browser.execute_script("document.activeElement.blur()")
        browser.save_screenshot(str(path))
    finally:
        browser.quit()


def _wait(browser: webdriver.Chrome, selector: str) -> None:
    WebDriverWait(browser, WITHIN_S).until(lambda at: at.find_elements(By.CSS_SELECTOR, selector))


if __name__ == "__main__":
    main()
