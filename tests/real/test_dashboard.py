"""The dashboard in Chromium, on a real server with what a team pushed."""

import re

import pytest
import team
from axe_playwright_python.sync_playwright import Axe
from browser import PHONE, Page, chromium
from serving import Serving
from support import Node, wait_for

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>"\'>{{7*7}}</pre>'
COUNT = 30


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that has taken in what a team and somebody hostile pushed."""
    folder = tmp_path_factory.mktemp("team")
    vault = folder / "vault"
    vault.mkdir()

    def node(name, **settings):
        return Node(folder / name, name, **settings)

    for machine in team.MACHINES[:20]:
        team.push(node, vault, machine, team.memories(machine, COUNT))
    hostile = [{
        "memory_id": "hostile", "text": f"poisonous apple {HOSTILE}",
        "metadata": {"project": HOSTILE, "tags": [HOSTILE], "type": "x", "note": HOSTILE},
    }]
    mean = team.push(node, vault, "mean", hostile)
    mean.run("store", "--id", "hostile", f"poisonous apple, changed {HOSTILE}")
    mean.json("sync")
    poisoned = team.push(node, vault, "poisoned", team.memories("poisoned", 3))
    team.poison(vault, "poisoned")
    server = node("akosha-server", cloud_bucket=f"file://{vault}", poll_interval_seconds=5)
    serving = Serving(server)
    wait_for(lambda: serving.json("/status")["store"]["systems"] >= 21, 60, "every system")
    wait_for(lambda: serving.json("/status")["quarantine"], 60, "the quarantine")
    serving.vault, serving.poisoned = vault, poisoned
    yield serving
    serving.close()


@pytest.fixture
def dashboard(browser, server):
    page = Page(browser, server.url)
    page.shows("#systems-body table")
    yield page
    page.close()


def test_every_panel_shows_what_the_server_says(dashboard, server):
    status = server.json("/status")
    dashboard.shows("#state-text", "up to date")
    figures = dashboard.text("#figures")
    assert f"Memories\n{status['store']['memories']}" in figures, figures
    assert f"Systems\n{status['store']['systems']}" in figures, figures
    assert "Quarantined\n1" in figures, figures
    assert "akosha-server" in dashboard.text("#node")
    systems = dashboard.text("#systems-body")
    assert team.MACHINES[0] in systems and "1 to 15 of" in systems, systems
    row = dashboard.shows("#systems-body tr", team.MACHINES[0]).inner_text()
    assert str(COUNT) in row and "ago" in row, row
    assert "poisoned" in dashboard.text("#quarantine-body")
    reason = status["quarantine"][0]["reason"]
    assert reason in dashboard.text("#quarantine-body")
    for breaker in status["breakers"]:
        assert breaker["name"].replace("_", " ") in dashboard.text("#breakers-body")
    for task in status["tasks"]:
        assert task["name"] in dashboard.text("#tasks-body")
    assert "hot" in dashboard.text("#tiers-body")
    assert "orchestrator_url" in dashboard.text("#orchestrator-body")
    assert "Uploads merged" in dashboard.text("#ingestion-body")
    assert "file://" in dashboard.text("#sync-body")
    # Nobody but the server is asked.
    assert all(url.startswith((server.url, "data:")) for url in dashboard.asked), dashboard.asked


def test_plots_have_labels_and_a_table(dashboard):
    for kind in ("uploads", "memories"):
        label = dashboard.shows(f"#plot-{kind} svg").get_attribute("aria-label")
        assert re.search(rf"^[0-9,]+ {kind} in 30 days", label) and not label.startswith("0 "), label
        assert dashboard.page.locator(f"#plot-{kind} rect").count() == 30
    dashboard.page.click("#activity-numbers summary")
    assert "Uploads" in dashboard.text("#activity-table")
    dashboard.page.select_option("#period", "day")
    wait_for(lambda: dashboard.page.locator("#plot-uploads rect").count() == 24, 10, "24 hours")


def test_systems_are_sorted_filtered_and_paged(dashboard):
    names = lambda: dashboard.page.locator("#systems-body tbody td:first-child").all_inner_texts()
    first = names()
    assert len(first) == 15 and first == sorted(first)
    dashboard.page.click("#systems-body button:has-text('Next')")
    second = names()
    assert second and not set(first) & set(second)
    dashboard.page.click("#systems-body th button:has-text('System')")
    assert names() == sorted(first + second, reverse=True)[:15]
    dashboard.page.fill("#system-filter", "MBP")
    assert names() == sorted((name for name in first + second if "mbp" in name), reverse=True)
    dashboard.page.fill("#system-filter", "nothing like it")
    dashboard.shows("#systems-body", "has “nothing like it” in its name")


def test_search_filters_and_a_memory_with_its_history(dashboard):
    dashboard.search("staging is reset")
    assert dashboard.results() == 10
    assert "results in" in dashboard.text("#results") and "06:00 UTC" in dashboard.text("#results")
    assert dashboard.page.locator("mark").count() > 5
    dashboard.search("staging is reset", system_id=team.MACHINES[3], limit="50")
    rows = dashboard.page.locator(".hit .about").all_inner_texts()
    assert rows and all(team.MACHINES[3] in row for row in rows), rows
    dashboard.search("no such words at all qqq")
    dashboard.shows("#results", "Nothing matches")
    dashboard.page.locator("[name=system_id]").fill("")
    dashboard.search("poisonous apple changed")
    dashboard.page.locator(".hit").first.focus()
    dashboard.page.keyboard.press("Enter")
    dashboard.shows("#memory-body", "Revision 2")
    body = dashboard.text("#memory-body")
    assert "Revision 1" in body and "mean" in body and "cloud_pull" in body, body
    dashboard.page.keyboard.press("Escape")
    assert not dashboard.page.locator("#memory").is_visible()


def test_wrong_filters_are_told(dashboard):
    dashboard.search("reset", system_id="not a valid id")
    told = dashboard.shows("#results .notice.severe").inner_text()
    assert "system_id" in told, told


def test_hostile_text_stays_text(dashboard):
    dashboard.search("poisonous apple")
    hit = dashboard.shows(".hit", "poisonous apple")
    assert "<img src=x onerror" in hit.inner_text()
    hit.click()
    dashboard.shows("#memory-body", "Revision 1")
    assert dashboard.text("#memory-body").count("<script>alert(2)</script>") >= 3
    # Names and reasons that no server of ours lets through, put in place of its answers.
    page = dashboard.page
    page.keyboard.press("Escape")
    page.route("**/status", lambda route: route.fulfill(json={
        "version": HOSTILE, "node": {"system_id": HOSTILE, "uptime_seconds": 1},
        "store": {"memories": 1, "systems": 1, "size_bytes": 1}, "conflicts": 0,
        "quarantine": [{"upload_id": HOSTILE, "system_id": HOSTILE, "item": HOSTILE, "reason": HOSTILE, "since": HOSTILE}],
        "breakers": [{"name": HOSTILE, "state": HOSTILE, "failures": 1, "last_error": HOSTILE}],
        "tasks": [{"name": HOSTILE, "state": HOSTILE, "restarts": 1, "last_error": HOSTILE}],
        "tiers": [{"tier": HOSTILE, "memories": 1}], "warnings": [HOSTILE],
        "orchestrator": {"mode": "fallback", "url": HOSTILE, "last_error": HOSTILE},
        "ingestion": {"enabled": True, "state": HOSTILE, "replica": HOSTILE, "last_error": HOSTILE},
        "sync": {"vault": {"url": HOSTILE}, "queue": {"last_error": HOSTILE}},
    }))
    page.route("**/api/v1/systems*", lambda route: route.fulfill(json={
        "systems": [{"system_id": HOSTILE, "last_upload_id": HOSTILE, "memories": 1}], "total": 1,
    }))
    page.reload()
    dashboard.shows("#quarantine-body", "<img src=x onerror")
    dashboard.shows("#systems-body", "<img src=x onerror")
    assert page.locator("img").count() == 0 and page.locator("script").count() == 1


def test_the_policy_lets_nothing_else_run(dashboard):
    page = dashboard.page
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.broken = true';
        document.body.append(script);
        const image = document.createElement('img');
        image.setAttribute('onerror', 'window.broken = true');
        image.src = 'data:,';
        document.body.append(image);
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("window.broken") is None
    assert any("Content Security Policy" in text for text in dashboard.wrong), dashboard.wrong
    dashboard.wrong.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desktop", "phone"])
def test_it_is_accessible_and_fits(browser, server, scheme, viewport):
    page = Page(browser, server.url, scheme=scheme, **({"viewport": viewport} if viewport else {}))
    page.shows("#systems-body table")
    page.search("staging is reset")
    page.shows(".hit")
    width = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], f"it scrolls sideways: {width}"
    background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(int(part) for part in re.findall(r"\d+", background)[:3]) < 380
    assert dark == (scheme == "dark"), background
    found = Axe().run(page.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    page.page.locator(".hit").first.click()
    page.shows("#memory-body dl")
    found = Axe().run(page.page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_the_keyboard_reaches_everything(dashboard):
    page = dashboard.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#query"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"period", "retry-all", "ingest-now", "Filters", "Next"} <= reached, reached


def test_an_upload_is_retried_and_released(dashboard, server):
    dashboard.page.click("#quarantine-body button:has-text('Retry')")
    dashboard.shows("#quarantine-said", "Tried again")
    # It is damaged still.
    wait_for(lambda: server.json("/status")["quarantine"], 30, "that it is set aside again")
    button = dashboard.shows("#quarantine-body button >> text=Release")
    button.click()
    button = dashboard.shows("#quarantine-body button", "Give it up?")
    assert server.json("/status")["quarantine"], "one press gives nothing up"
    button.click()
    dashboard.shows("#quarantine-said", "not tried again")
    dashboard.shows("#quarantine-body", "Nothing is set aside")
    assert server.json("/status")["quarantine"] == []


def test_ingesting_now_brings_what_is_new(dashboard, server):
    with server.poisoned.stdio() as stdio:
        stdio.call("store_memory", text="brand new walrus")
    server.poisoned.run("sync", code=None)
    dashboard.page.click("#ingest-now")
    dashboard.shows("#ingestion-said", "uploads merged")


def test_it_asks_only_while_it_is_seen(dashboard, server):
    page = dashboard.page
    page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    page.wait_for_timeout(1500)
    dashboard.asked.clear()
    page.wait_for_timeout(6500)
    assert dashboard.asked == []
    page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => false });
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    page.wait_for_timeout(1000)
    assert any(url.endswith("/status") for url in dashboard.asked)


def test_a_token_is_asked_for_and_kept_in_the_tab_alone(browser, node, tmp_path):
    machine = node("guarded")
    machine.run("store", "a guarded memory")
    made = machine.json("token", "create", "--name", "dashboard", "--scope", "read")
    token = made["token"]
    serving = Serving(machine)
    page = Page(browser, serving.url)
    page.shows("#token")
    page.page.fill("#token-value", "akosha_wrong")
    page.page.click("#token button")
    page.shows("#token-why", "refused the token")
    page.page.fill("#token-value", token)
    page.page.click("#token button")
    page.shows("#state-text", "up to date")
    assert page.page.evaluate("sessionStorage.getItem('akosha-token')") == token
    assert page.page.evaluate("localStorage.length") == 0 and page.context.cookies() == []
    assert token not in page.page.content() and not any(token in url for url in page.asked)
    page.search("guarded")
    page.shows(".hit", "a guarded memory")
    # Another tab knows nothing of it.
    other = page.context.new_page()
    other.goto(serving.url + "/")
    other.wait_for_selector("#token[open]")
    other.close()
    page.page.click("#token-button")
    page.shows("#token")
    page.close()
    serving.close()


def test_an_empty_server_says_what_to_do(browser, node):
    serving = Serving(node("empty"))
    page = Page(browser, serving.url)
    page.shows("#systems-body .empty", "akosha sync")
    page.shows("#ingestion-body .empty", "cloud_bucket")
    page.shows("#quarantine-body .empty", "Nothing is set aside")
    page.shows("#plot-uploads .empty", "No upload was merged")
    page.search("anything")
    page.shows("#results", "Nothing matches")
    page.search(" ")
    page.shows("#results", "Type what to look for")
    page.close()
    serving.close()


def test_a_server_that_goes_away_and_comes_back(browser, node):
    machine = node("shaky")
    machine.run("store", "still here")
    serving = Serving(machine)
    port = serving.port
    page = Page(browser, serving.url)
    page.shows("#state-text", "up to date")
    before = page.text("#figures")
    serving.stop()
    page.shows("#state-text", "does not answer")
    assert page.page.evaluate("document.body.classList.contains('stale')")
    # What was shown stays.
    assert page.text("#figures").split("\n")[1] == before.split("\n")[1]
    again = Serving(machine, port)
    page.shows("#state-text", "up to date")
    assert not page.page.evaluate("document.body.classList.contains('stale')")
    page.close()
    again.close()
