"""The explorer in a real browser, in front of a real node whose builder lies."""

from browser_fixtures import Browser
from command_line import LINES
from node_fixtures import Site, to_line
from process_fixtures import run_liar, run_node, submit
from ticket_keys import Purse
from tickets import Fill
from waiting import wait_for


def read_receipts(browser):
    """What the live list says of each receipt, the newest first."""
    return browser.run("return [...document.querySelectorAll('.feed li[data-seq]')].map((li) => li.innerText)")


def test_a_lie_is_shown_while_it_happens(chromium, tmp_path):
    """A page that is open sees blocks settle while the builder is honest; then C2X with the field's name on every page,
    at the invalid block and not at the settled one; and after the next start nothing of it.
    """
    with run_liar(tmp_path / "data", "state_root", 2) as caller:
        browser = Browser(chromium, f"{caller.url}/")
        browser.open()
        browser.wait("return document.getElementById('connection').dataset.state === 'live'")
        submit(caller, LINES[:3])
        browser.wait("return document.querySelector(\"tr[data-height='1'] [data-level='C3B']\")")
        browser.wait("return document.querySelectorAll('.feed li[data-seq]').length === 3")
        types = [caller.call("getReceipt", seq=seq)["type"] for seq in (2, 1, 0)]
        assert set(types) <= {"Register", "Update"}
        for name, shown in zip(types, read_receipts(browser), strict=True):
            assert shown.startswith(f"{name} 0x")
        assert "" == browser.text("#banner")

        submit(caller, LINES[3:6])
        browser.wait("return document.querySelector(\"tr[data-height='2'] [data-level='C2X']\")")
        browser.wait_for_text("#banner", "Intake is stopped")
        assert "another stateRoot in block 2" in browser.text("#banner")
        divergence = caller.call("status")["divergence"]
        assert divergence["found"] == caller.call("getHeader", height=2)["stateRoot"] != divergence["expected"]
        assert 1 == browser.count("tr[data-height='1'] [data-level='C3B']")
        for address in ("#/state", "#/rollup", "#/block/2"):
            browser.go(address)
            browser.wait_for_text("[data-notice=stopped]", "takes no new actions")
        browser.wait("return document.querySelector(\"h1 + span [data-level='C2X']\")")
        browser.go("#/block/1")
        browser.wait("return document.querySelector(\"h1 + span [data-level='C3B']\")")

    with run_node(tmp_path / "data") as caller:
        wait_for(lambda: caller.call("height")["settled"] == 2)
        browser = Browser(chromium, f"{caller.url}/")
        browser.open()
        browser.wait("return document.querySelector(\"tr[data-height='2'] [data-level='C3B']\")")
        assert ("", 0) == (browser.text("#banner"), browser.count("[data-level='C2X']"))
        browser.go("#/block/2")
        browser.wait("return document.querySelector('.step-detail')")
        changed = [action["changes"] for action in caller.call("getBlock", height=2, withChanges=True)["actions"]]
        assert 3 == len(changed)
        assert all(changed)
        browser.wait("return document.querySelector('.change')")


def test_an_envelope_is_shown(chromium, tmp_path):
    """Its page says in which envelope it came and shows its bytes; neither there nor in its block has it a sender."""
    site, purse = Site(tmp_path, "tickets:app"), Purse()
    raw = purse.sign(7)
    with site.serve() as caller:
        caller.submit(to_line(site, site.signer.sign(Fill(purse.id, 9))))
        ack = caller.call("submitEnvelope", name="p256-ticket", raw=f"0x{raw.hex()}")
        wait_for(lambda: caller.call("height")["latest"] >= ack["height"])
        browser = Browser(chromium, f"{caller.url}/")
        browser.open(f"#/action/{ack['actionHash']}")
        browser.wait_for_text("main", "envelope p256-ticket")
        shown = browser.text("main")
        assert "Redeem" in shown
        assert f"0x{raw.hex()}" in shown
        assert "0x" + "00" * 20 not in shown
        browser.go(f"#/block/{ack['height']}?step=1")
        browser.wait_for_text(".step-detail", "envelope p256-ticket")
        assert "sender" not in browser.text(".step-detail")
        assert "signed" not in browser.text(".step-detail")
        browser.go("#/rollup")
        browser.wait_for_text("main", "Redeem in the envelope p256-ticket")
