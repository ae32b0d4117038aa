"""Signs in to the demo's ward in a real browser and takes the screenshots of the README.

demo.py URL CODE PASSWORD DIGITS SCREENSHOTS

Ends with 0 when the worklist is live and a patient's page has charts and an alert.
"""
import os
import sys

from playwright.sync_api import expect, sync_playwright

url, code, password, digits, screenshots = sys.argv[1:]
expect.set_options(timeout=60_000)

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1200, "height": 850}, device_scale_factor=1)
    page.goto(url + "/", wait_until="domcontentloaded")
    page.get_by_label("Your code").fill(code)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Six digits").fill(digits)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#live")).to_have_text("Live")
    row = page.locator("tr[data-state=red]").first
    expect(row).to_be_visible()
    page.screenshot(path=os.path.join(screenshots, "worklist.png"))
    row.get_by_role("link").first.click()
    expect(page.locator("svg").first).to_be_visible()
    expect(page.locator("article.alert").first).to_be_visible()
    page.screenshot(path=os.path.join(screenshots, "patient.png"))
    browser.close()
