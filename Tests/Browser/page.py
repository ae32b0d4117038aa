"""The care managers' page in a real browser (Debian's chromium, driven by Playwright) against a running daemon.

page.py URL BROKER_PORT SCREENSHOTS SECRET_OF_CM-01 SECRET_OF_CM-02 SECRET_OF_LEAD-01

All accounts have the password of PASSWORD and see the site north with P0001, whose reader is dev-0001; P0099 is another
site's. Ends with 0 when everything was seen, and says what was not. Screenshots go to the directory named.
"""
import base64
import datetime
import hashlib
import hmac
import os
import re
import struct
import subprocess
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

PASSWORD = "correct horse battery staple"
url, broker_port, screenshots, *secrets = sys.argv[1:]
patience = int(os.environ.get("PATIENCE", 60_000))
expect.set_options(timeout=patience)


def one_time_code(secret):
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[19] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def publish(report, readings, device="dev-0001", ahead=datetime.timedelta(seconds=1)):
    # In whole seconds: not before the moment at which a reader was given.
    now = (datetime.datetime.now(datetime.timezone.utc) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", broker_port, "-q", "1", "-t", f"homeward/v1/north/{device}/report",
         "-m", f'{{"id":"{report}","taken_at":"{now}","readings":[{readings}]}}'], check=True, timeout=60)


def sign_in(page, code, secret):
    page.get_by_label("Your code").fill(code)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Six digits").fill(one_time_code(secret))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Worklist")).to_be_visible()


def shot(page, name, **options):
    page.screenshot(path=os.path.join(screenshots, name + ".png"), **options)


def see_a_red_arrive(page):
    page.goto(url + "/", wait_until="domcontentloaded")
    expect(page).to_have_url(re.compile("/sign-in"))
    sign_in(page, "cm-01", secrets[0])
    expect(page.locator("#live")).to_have_text("Live")
    row = page.locator("tr[data-patient=P0001]")
    expect(row).not_to_have_attribute("data-state", "red")
    publish("red-1" + str(time.time()), '{"kind":"spo2","value":88,"unit":"%"}')
    expect(row).to_have_attribute("data-state", "red")
    expect(page.locator("#announce")).to_contain_text("New red: Ada")
    expect(page).to_have_title(re.compile(r"^\(1 red\)"))
    shot(page, "worklist", full_page=True)
    # The keyboard alone: / searches, j finds the first row, Enter opens it.
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(row.get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ada")).to_be_visible()


def deal_with_it(page, other):
    alert = page.locator("article.alert").first
    expect(alert).to_contain_text("SpO2 88 %")
    shot(page, "patient", full_page=True)
    # Another care manager has the same page open, and is quicker.
    other.goto(url + "/patients/P0001", wait_until="domcontentloaded")
    sign_in(other, "cm-02", secrets[1])
    other.locator("article.alert").first.get_by_role("button", name="I have it").click()
    expect(other.locator(".notice")).to_have_text("It is yours.")
    alert.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".notice")).to_contain_text("it is acknowledged already")
    expect(alert).to_contain_text("by Care manager 2")
    alert.locator("summary", has_text="Shelve").click()
    alert.get_by_label("Why").fill("Rings back at two")
    alert.get_by_role("button", name="Shelve").click()
    expect(page.locator(".notice")).to_have_text("Shelved.")
    # It gets worse: back to open, and what was on the page meanwhile can't be acted on.
    stale = page.locator("article.alert").first
    publish("red-2" + str(time.time()), '{"kind":"spo2","value":80,"unit":"%"}')
    expect(reopened(other)).to_have_attribute("data-state", "open")
    stale.get_by_role("button", name="Take it back").click()
    expect(page.locator(".notice")).to_contain_text("look again")
    alert.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".notice")).to_have_text("Acknowledged.")
    alert.locator("summary", has_text="Resolve").click()
    alert.get_by_label("What was done").fill("Ambulance called, daughter is with her")
    alert.get_by_role("button", name="Resolve").click()
    expect(page.locator(".notice")).to_have_text("Resolved.")
    expect(page.locator("article.alert.is-resolved").filter(has_text="SpO2 80 %")).to_be_attached()


def reopened(page):
    """The first alert of a page that is loaded again until it is open."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page.reload(wait_until="domcontentloaded")
        alert = page.locator("article.alert").first
        if alert.get_attribute("data-state") == "open":
            break
        page.wait_for_timeout(200)
    return page.locator("article.alert").first


def correct_a_reading(page):
    page.locator("summary", has_text="The last").click()
    first = page.locator("tr.reading").first
    first.locator("summary", has_text="Entered in error").click()
    first.get_by_label("Why").fill("Finger was cold")
    first.get_by_role("button", name="Mark it").click()
    expect(page.locator(".notice")).to_have_text("Marked as entered in error.")


def release_a_report(lead):
    """A reader's clock ran ahead: its report is held, and a lead lets it in."""
    publish("ahead-1", '{"kind":"spo2","value":97,"unit":"%"}', ahead=datetime.timedelta(hours=3))
    lead.goto(url + "/service", wait_until="domcontentloaded")
    sign_in(lead, "lead-01", secrets[2])
    held = lead.get_by_role("row").filter(has_text="ahead-1")
    until(lead, lambda: held.count() == 1)
    shot(lead, "service", full_page=True)
    held.get_by_role("link", name="Look").click()
    expect(lead.get_by_role("heading", name="clock-future")).to_be_visible()
    expect(lead.locator("pre").first).to_contain_text('"id":"ahead-1"')
    shot(lead, "quarantine", full_page=True)
    lead.get_by_label("Why it may be stored").fill("Rang her: taken this morning")
    lead.get_by_role("button", name="Release").click()
    expect(lead.locator(".notice")).to_contain_text("Released")
    until(lead, lambda: lead.locator("#release").get_by_text("stored", exact=True).count() == 1)


def fix_a_pairing(lead):
    """A reader that nobody enrolled: a lead says whose it was, and the report is let in."""
    publish("nobodys-1", '{"kind":"spo2","value":97,"unit":"%"}', device="dev-0003")
    lead.goto(url + "/service", wait_until="domcontentloaded")
    held = lead.get_by_role("row").filter(has_text="nobodys-1")
    until(lead, lambda: held.count() == 1)
    held.get_by_role("link", name="Look").click()
    expect(lead.get_by_role("heading", name="unknown-device")).to_be_visible()
    pair = lead.locator("#pair")
    pair.get_by_label("Patient's code").fill("P0001")
    pair.get_by_label("How you know").fill("It was given to her on Friday")
    shot(lead, "pairing", full_page=True)
    pair.get_by_role("button", name="Pair it").click()
    expect(lead.locator(".notice")).to_contain_text("Now release the report")
    lead.get_by_label("Why it may be stored").fill("Paired with her since")
    lead.get_by_role("button", name="Release").click()
    expect(lead.locator(".notice")).to_contain_text("Released")
    until(lead, lambda: lead.locator("#release").get_by_text("stored", exact=True).count() == 1)


def until(page, is_so):
    """Loads the page again until it is so."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        page.wait_for_timeout(200)
        page.reload(wait_until="domcontentloaded")


def change_a_limit(page, lead):
    page.goto(url + "/patients/P0001", wait_until="domcontentloaded")
    page.get_by_role("link", name="Plan", exact=True).click()
    expect(page.locator(".unapproved")).to_have_text("Limits not approved here")
    limits = page.locator("#limits")
    limits.locator("summary", has_text="Set a limit").click()
    form = limits.locator("details[open] form")
    form.get_by_label("Kind", exact=True).select_option("spo2")
    form.get_by_label("Red below").fill("93")
    form.get_by_label("Amber below").fill("88")
    form.get_by_label("Why", exact=True).fill("Prescribed 88-92")
    form.get_by_role("button", name="Change the plan").click()
    # Inverted: it says so, and what was typed is still there.
    expect(page.locator(".notice").first).to_contain_text("inverted")
    expect(form.get_by_label("Red below")).to_have_value("93")
    shot(page, "plan-refused", full_page=True)
    form.get_by_label("Red below").fill("85")
    # Another changes it meanwhile: the second writer is told.
    lead.goto(url + "/patients/P0001/plan", wait_until="domcontentloaded")
    lead.locator("#limits summary", has_text="Set a limit").click()
    other = lead.locator("#limits details[open] form")
    other.get_by_label("Kind", exact=True).select_option("pulse")
    other.get_by_label("Amber above").fill("115")
    other.get_by_label("Why", exact=True).fill("Usual for her")
    other.get_by_role("button", name="Change the plan").click()
    expect(lead.locator(".notice")).to_contain_text("The plan is changed")
    form.get_by_role("button", name="Change the plan").click()
    expect(page.locator(".notice").first).to_contain_text("another changed it since you looked")
    expect(page.locator(".notice").first).to_contain_text("red below 85")
    limits.locator("summary", has_text="Set a limit").click()
    form.get_by_label("Kind", exact=True).select_option("spo2")
    form.get_by_label("Red below").fill("85")
    form.get_by_label("Amber below").fill("88")
    form.get_by_label("Why", exact=True).fill("Prescribed 88-92")
    form.get_by_role("button", name="Change the plan").click()
    expect(page.locator(".notice")).to_contain_text("The plan is changed")
    expect(limits).to_contain_text("SpO2: red below 85, amber below 88")
    expect(page.locator(".versions")).to_contain_text("now: SpO2: red below 85, amber below 88")
    shot(page, "plan", full_page=True)


def approve_and_select(lead, page):
    lead.goto(url + "/packs", wait_until="domcontentloaded")
    shot(lead, "packs", full_page=True)
    while lead.get_by_role("button", name="Approve").count():
        lead.get_by_label("On what ground").first.fill("Limits committee of 20 November")
        lead.get_by_role("button", name="Approve").first.click()
        expect(lead.locator(".notice")).to_contain_text("Approved")
    expect(lead.locator(".unapproved")).to_have_count(0)
    lead.goto(url + "/patients/P0001/sharing", wait_until="domcontentloaded")
    lead.get_by_label("On whose word").fill("the patient, by telephone")
    lead.get_by_role("button", name="Let them see").click()
    expect(lead.locator(".notice")).to_contain_text("Selected")
    shot(lead, "sharing", full_page=True)
    lead.goto(url + "/audit?patient=P0001", wait_until="domcontentloaded")
    expect(lead.get_by_role("row").filter(has_text="cm-02").first).to_be_visible()
    # A care manager has neither.
    for path in ["/service", "/audit"]:
        assert page.goto(url + path, wait_until="domcontentloaded").status == 404, path


def do_things(page, other):
    """What is done about a patient by telephone; the other browser has the worklist open and sees what it brings."""
    other.goto(url + "/?q=P0002", wait_until="domcontentloaded")
    row = other.locator("tr[data-patient=P0002]")
    expect(other.locator("#live")).to_have_text("Live")
    page.goto(url + "/patients/P0002", wait_until="domcontentloaded")
    # The keyboard opens the form; what can't be is refused and stays in it.
    page.bring_to_front()
    page.keyboard.press("r")
    form = page.locator("#do-readings")
    expect(form.get_by_label("Whose word it is")).to_be_focused()
    form.get_by_label("SpO2").fill("8")
    form.get_by_role("textbox", name="Pulse").fill("88")
    form.get_by_role("button", name="Type it in").click()
    expect(page.locator(".notice")).to_contain_text("Not done: SpO2 8 % is refused")
    expect(form.get_by_role("textbox", name="Pulse")).to_have_value("88")
    form.get_by_label("Whose word it is").select_option("carer")
    form.get_by_label("SpO2").fill("84")
    form.get_by_role("button", name="Type it in").click()
    expect(page.locator(".notice")).to_have_text("Typed in, and judged.")
    expect(page.locator("article.alert.is-open").first).to_contain_text("SpO2 84 %")
    expect(page.locator(".chart").first.locator("path.typed")).to_be_attached()
    expect(row).to_have_attribute("data-state", "red")
    expect(row.locator(".last")).not_to_contain_text("none")
    page.keyboard.press("Escape")
    page.locator("#do-calls summary").click()
    page.locator("#do-calls").get_by_label("What came of it").select_option("no-answer")
    page.locator("#do-calls").get_by_label("Note").fill("twice")
    page.locator("#do-calls").get_by_role("button", name="Log it").click()
    expect(page.locator(".notice")).to_have_text("The call is logged.")
    expect(page.locator("aside")).to_contain_text("Call: no answer")
    page.locator("#do-follow-ups summary").click()
    page.locator("#do-follow-ups").get_by_label("What for").fill("Ring the daughter")
    page.locator("#do-follow-ups").get_by_role("button", name="Set it").click()
    expect(page.locator(".notice")).to_have_text("The follow-up is set.")
    page.locator("#do-reviews summary").click()
    page.locator("#do-reviews").get_by_role("button", name="Sign it off").click()
    expect(page.locator(".notice")).to_have_text("The review is signed off.")
    expect(row).to_contain_text("Reviewed")
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".notice")).to_have_text("The follow-up is done.")
    page.locator("#do-readers summary").click()
    page.locator("#do-readers").get_by_label("The new one's code").fill("dev-0002")
    page.locator("#do-readers").get_by_label("Why").fill("Their first one")
    page.locator("#do-readers").get_by_role("button", name="Do it now").click()
    expect(page.locator(".notice")).to_contain_text("the new reader is theirs")
    publish("first" + str(time.time()), '{"kind":"spo2","value":79,"unit":"%"}', device="dev-0002")
    deadline = time.monotonic() + 60
    latest = page.locator(".chart .latest").first
    while "last 79" not in latest.inner_text() and time.monotonic() < deadline:
        page.reload(wait_until="domcontentloaded")
    # It joins the red that nobody has answered.
    expect(latest).to_contain_text("last 79")
    # Whoever has it hands it over.
    page.locator("article.alert").first.get_by_role("button", name="Acknowledge").click()
    alert = page.locator("article.alert").first
    alert.locator("summary", has_text="Hand over").click()
    alert.get_by_label("To whom").select_option("cm-02")
    alert.get_by_label("What they should know").fill("I am off at two")
    alert.get_by_role("button", name="Hand over").click()
    expect(page.locator(".notice")).to_have_text("Handed over.")
    expect(page.locator("article.alert").first).to_contain_text("by Care manager 2")
    shot(page, "patient-done", full_page=True)
    page.goto(url + "/minor", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="Technical alerts")).to_be_visible()


# WCAG 2.2 AA, and what else the rules of axe-core hold to be good.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], "resultTypes": ["violations"]}


def check_accessibility(view, name):
    for part in view.locator("details").all():
        part.evaluate("part => { part.open = true }")
    faults = Axe().run(view, options=RULES).response["violations"]
    words = [f"{fault['id']}: {node['html'][:200]} {node.get('failureSummary', '')}" for fault in faults
             for node in fault["nodes"]]
    assert not faults, f"{name}:\n" + "\n".join(words)
    # The keyboard comes to everything that can be acted on, and where it is can be seen.
    view.keyboard.press("Tab")
    for _ in range(12):
        view.keyboard.press("Tab")
        outline = view.evaluate(
            "() => { const e = document.activeElement; return e === document.body || "
            "getComputedStyle(e).outlineStyle !== 'none' && parseFloat(getComputedStyle(e).outlineWidth) >= 2 }")
        assert outline, f"{name}: focus can't be seen on {view.evaluate('document.activeElement.outerHTML')}"


def be_refused(page):
    for path in ["/patients/P0099", "/patients/P0099/plan", "/patients/P0099/sharing", "/patients/P0099/data.csv"]:
        answer = page.goto(url + path, wait_until="domcontentloaded")
        assert answer.status == 404, (path, answer.status)
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()


def look_at_it_otherwise(browser, page):
    cookies = page.context.cookies()
    for name, options in {
        "plan-dark": {"color_scheme": "dark"},
        "plan-narrow": {"viewport": {"width": 360, "height": 740}},
        "worklist-dark": {"color_scheme": "dark"},
        "worklist-narrow": {"viewport": {"width": 360, "height": 740}},
        "patient-dark": {"color_scheme": "dark"},
        "patient-narrow": {"viewport": {"width": 360, "height": 740}},
        "worklist-without-script": {"java_script_enabled": False},
        "minor-dark": {"color_scheme": "dark"},
    }.items():
        context = browser.new_context(**options)
        context.add_cookies(cookies)
        view = context.new_page()
        place = {
            "patient": "/patients/P0002", "worklist": "/", "minor": "/minor", "plan": "/patients/P0001/plan",
        }[name.split("-")[0]]
        view.goto(url + place, wait_until="domcontentloaded")
        if name == "worklist-dark":
            expect(view.locator("#live")).to_have_text("Live")
        expect(view.locator("main")).to_be_visible()
        shot(view, name, full_page=True)
        if "narrow" in name:
            width = view.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{name} is {width} pixels wide"
        if "without-script" not in name:
            check_accessibility(view, name)
            shot(view, name + "-unfolded", full_page=True)
            if "narrow" in name:
                width = view.evaluate("document.documentElement.scrollWidth")
                assert width <= 360, f"{name}, unfolded, is {width} pixels wide"
        context.close()
    for name, place in {"worklist": "/", "patient": "/patients/P0002"}.items():
        page.goto(url + place, wait_until="domcontentloaded")
        page.emulate_media(media="print")
        shot(page, name + "-print", full_page=True)
        page.emulate_media(media="screen")
        check_accessibility(page, name)
    # Without script a form does what it says.
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(cookies)
    view = context.new_page()
    view.goto(url + "/patients/P0002", wait_until="domcontentloaded")
    view.locator("#do-calls summary").click()
    view.locator("#do-calls").get_by_role("button", name="Log it").click()
    expect(view.locator(".notice")).to_have_text("The call is logged.")
    context.close()


def look_at_the_leads_otherwise(browser, lead):
    cookies = lead.context.cookies()
    paths = ["service", "packs", "patients/P0001/sharing", "audit"]
    for name, options in {"dark": {"color_scheme": "dark"}, "narrow": {"viewport": {"width": 360, "height": 740}}}.items():
        context = browser.new_context(**options)
        context.add_cookies(cookies)
        view = context.new_page()
        for path in paths:
            view.goto(f"{url}/{path}", wait_until="domcontentloaded")
            shot(view, f"{path.split('/')[-1]}-{name}", full_page=True)
            width = view.evaluate("document.documentElement.scrollWidth")
            assert name != "narrow" or width <= 360, f"{path} is {width} pixels wide"
            check_accessibility(view, f"{path}-{name}")
        context.close()


def see_it_in_seven_tabs(page):
    """Seven tabs of one browser, and one of a patient: all hear of a red, and whichever can't says that it is not live."""
    tabs = [page] + [page.context.new_page() for _ in range(6)]
    elsewhere = page.context.new_page()
    for tab in tabs:
        tab.set_default_timeout(patience)
        tab.goto(url + ("/?q=nobody" if tab is tabs[1] else "/"), wait_until="domcontentloaded")
    elsewhere.goto(url + "/patients/P0002", wait_until="domcontentloaded")
    for tab in tabs:
        expect(tab.locator("#live")).to_have_text("Live")
        expect(tab.locator("tr[data-patient=P0001][data-state=red]")).to_have_count(0)
    elsewhere.wait_for_function("sessionStorage.getItem('reds')", timeout=patience)
    # The keyboard stays where it is; one tab's questions are never answered.
    tabs[1].get_by_role("link", name="Show all").focus()
    tabs[2].route("**/?*part=list*", lambda route: None)
    publish("seven" + str(time.time()), '{"kind":"spo2","value":79,"unit":"%"}')
    for tab in tabs[:2] + tabs[3:]:
        expect(tab.locator("#announce")).to_contain_text("New red: Ada")
        expect(tab.locator("#live")).to_have_text("Live")
    for tab in [tabs[0]] + tabs[3:]:
        expect(tab.locator("tr[data-patient=P0001]")).to_have_attribute("data-state", "red")
    expect(tabs[1].get_by_role("link", name="Show all")).to_be_focused()
    expect(tabs[1].locator("#list")).to_contain_text("red not in this list")
    expect(elsewhere.locator("#elsewhere")).to_contain_text("New red: Ada")
    expect(tabs[2].locator("#live")).to_contain_text("Not live")
    expect(tabs[2]).to_have_title(re.compile("^NOT LIVE"))
    expect(tabs[2].locator("tr[data-patient=P0001]")).not_to_have_attribute("data-state", "red")
    tabs[2].unroute("**/?*part=list*")
    expect(tabs[2].locator("tr[data-patient=P0001]")).to_have_attribute("data-state", "red")
    expect(tabs[2].locator("#live")).to_have_text("Live")
    for tab in tabs[1:] + [elsewhere]:
        tab.close()


def take_it_on_the_worklist(page):
    page.bring_to_front()
    # Single keys can be turned off; the sound begins with the first key.
    page.locator("#keys summary").click()
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("/")
    expect(page.locator("#search")).not_to_be_focused()
    page.get_by_label("Single keys work").check()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_label("Sound for a new red").check()
    expect(page.locator("#sound-waiting")).to_be_hidden()
    page.reload(wait_until="domcontentloaded")
    page.keyboard.press("j")
    expect(page.locator("#sound-waiting")).to_be_hidden()
    row = page.locator("tr[data-patient=P0001]")
    row.get_by_role("button", name="I have it").click()
    expect(page.locator(".notice")).to_have_text("It is yours.")
    expect(row).to_contain_text("acknowledged by Care manager 1")
    expect(row.get_by_role("button", name="I have it")).to_have_count(0)
    page.goto(url + "/patients/P0001", wait_until="domcontentloaded")
    expect(page.locator("main .bar").first).to_contain_text("acknowledged by Care manager 1")


def sign_out(page, other):
    other.goto(url + "/", wait_until="domcontentloaded")
    expect(other.locator("#live")).to_have_text("Live")
    page.goto(url + "/", wait_until="domcontentloaded")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    assert page.goto(url + "/patients/P0001", wait_until="domcontentloaded").url.endswith("next=%2Fpatients%2FP0001")
    # A page that is open says that it is no longer signed in.
    elsewhere = other.context.new_page()
    elsewhere.goto(url + "/", wait_until="domcontentloaded")
    elsewhere.get_by_role("button", name="…everywhere").click()
    expect(other.locator("#live")).to_contain_text("Signed out")
    expect(other).to_have_title(re.compile("^SIGNED OUT"))


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    complaints = []
    pages = [browser.new_context(viewport={"width": 1280, "height": 800}).new_page() for _ in range(3)]
    for page in pages:
        page.set_default_timeout(patience)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # What the content policy refuses is a mistake of ours.
        page.on("console", lambda message: complaints.append(message.text)
                if "Content Security Policy" in message.text else None)
    see_a_red_arrive(pages[0])
    deal_with_it(*pages[:2])
    correct_a_reading(pages[0])
    release_a_report(pages[2])
    fix_a_pairing(pages[2])
    change_a_limit(pages[0], pages[2])
    approve_and_select(pages[2], pages[0])
    do_things(*pages[:2])
    be_refused(pages[0])
    look_at_it_otherwise(browser, pages[0])
    look_at_the_leads_otherwise(browser, pages[2])
    see_it_in_seven_tabs(pages[0])
    take_it_on_the_worklist(pages[0])
    sign_out(*pages[:2])
    assert not complaints, complaints
    browser.close()
print("seen")
