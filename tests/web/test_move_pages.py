"""Pages of moves, refunds and auto top-ups: what is shown before is what is done."""

import re

from tests.web.conftest import Clients, token
from tests.web.seed import PREPAID

ACCOUNT = f"/console/accounts/{PREPAID}/move"


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the form that does the move."""
    form = page[page.index('id="outcome"') :]
    form = form[: form.index("</form>")]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


def test_a_move_is_shown_then_done_and_its_statement_can_be_read(own_app):
    client = Clients(own_app)["operator"]
    key = re.search(r'name="key"[^>]*value="([0-9a-f]{32})"', client.get(ACCOUNT).text)
    assert key is not None
    asked = {"csrf_token": token(client), "key": key[1], "kind": "move_out", "rest": "refund"}

    shown = client.post(ACCOUNT, data=asked | {"on": "2023-01-14", "window_days": "3"})
    assert shown.status_code == 200
    assert client.get(f"/api/v1/accounts/{PREPAID}").get_json()["number"] == PREPAID
    assert client.get("/api/v1/moves").get_json() == []
    done = client.post(ACCOUNT, data=hidden(shown.text))

    assert done.status_code == 302
    (move,) = client.get("/api/v1/moves").get_json()
    assert move["final_statement"] == "F-2023-000001"
    (refund,) = client.get("/api/v1/refunds").get_json()
    paid = client.post(
        f"/console/refunds/{refund['id']}/pay",
        data={"csrf_token": token(client), "reference": "п/п 3"},
    )
    assert paid.status_code == 302
    assert client.get("/api/v1/refunds").get_json()[0]["state"] == "paid"
    pdf = client.get("/console/documents/F-2023-000001.pdf")
    assert pdf.data.startswith(b"%PDF")


def test_a_resident_asks_for_money_and_gives_it_up_again(own_app):
    client = Clients(own_app)["resident"]
    page = f"/account/{PREPAID}/refund"
    key = re.search(r'name="key" value="([0-9a-f]{32})"', client.get(page).text)
    assert key is not None
    asked = {"csrf_token": token(client), "key": key[1], "amount": "100", "to_whom": "Громова"}

    for _ in range(2):
        assert client.post(page, data=asked).status_code == 302
    (refund,) = client.get("/api/v1/refunds").get_json()
    client.post(f"{page}/{refund['id']}/drop", data={"csrf_token": token(client)})
    too_much = client.post(page, data=asked | {"amount": "99999", "key": "0" * 32})

    assert (refund["amount"], refund["state"]) == ("100.00", "asked")
    assert client.get("/api/v1/refunds").get_json()[0]["state"] == "dropped"
    assert too_much.status_code == 422


def test_a_resident_agrees_to_an_auto_top_up_and_turns_it_off(own_app):
    client = Clients(own_app)["resident"]
    page = f"/account/{PREPAID}/auto-top-up"
    rule = {
        "csrf_token": token(client),
        "trigger": "below",
        "threshold": "300",
        "size": "target",
        "amount": "1000",
        "most": "2000",
        "window_days": "3",
        "card": "demo-pays",
    }

    assert client.post(page, data=rule).status_code == 422  # without consent
    assert client.post(page, data=rule | {"agreed": "y"}).status_code == 302
    stands = client.get(f"/api/v1/accounts/{PREPAID}/auto-top-up").get_json()
    client.post(f"{page}/stop", data={"csrf_token": token(client)})

    assert (stands["below"], stands["target"], stands["card_hint"]) == ("300.00", "1000.00", "4242")
    assert "card_token" not in stands
    assert client.get(f"/api/v1/accounts/{PREPAID}/auto-top-up").status_code == 404
