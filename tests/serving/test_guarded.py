"""The guard before MLflow's server: limits, and errors of the client that are told as such."""

import asyncio
import json

import pytest

from scaling_ood.serving.guarded import Guarded


async def echo(scope, receive, send):
    """Answers with the length of what it is given; breaks as MLflow's server does."""
    body = (await receive())["body"]
    if body == b"broken":
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"Internal Server Error"})
        raise RecursionError("too deep")
    if body == b"raises":
        raise RecursionError("too deep")
    status, kind = (500, b"application/json") if body == b"model" else (200, b"text/plain")
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def ask(*parts, stated=None, app=echo, most=10):
    """Status and content of the answer to a body that comes in parts, and how many of these were read."""
    left, sent = [*parts], []
    headers = [] if stated is None else [(b"content-length", stated)]

    async def receive():
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    asyncio.run(Guarded(app, most)({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent), len(parts) - len(left)


def test_what_fits_is_handed_on_whole():
    assert ask(b"1234", b"567", b"890") == (200, b"10", 3)
    assert ask(b"") == (200, b"0", 1)


@pytest.mark.parametrize("stated", [None, b"11", b"nonsense"])
def test_what_is_too_large_is_read_to_its_end_and_refused(stated):
    status, content, read = ask(b"1234", b"5678", b"901", stated=stated)
    assert (status, read) == (413, 3)
    assert "at most 1e-05 MB" in json.loads(content)["message"]


def test_what_states_that_it_is_too_large_is_refused_whatever_comes():
    assert ask(b"1", stated=b"11")[0] == 413


def test_nobody_listens_for_ever():
    status, _, read = ask(*[b"x" * 20] * 50)
    assert (status, read) == (413, 6)


def test_what_breaks_before_the_model_is_the_clients_error_and_the_models_own_stays():
    status, content, _ = ask(b"broken")
    assert status == 400
    assert json.loads(content)["message"] == "the request could not be read"
    assert ask(b"model") == (500, b"5", 1)


def test_of_an_error_only_the_reason_is_told():
    async def refusing(scope, receive, send):
        told = "Failed to predict data ' image\n0 http://a/Error: x'. \nError: Failed to enforce. Error: row 0 is empty"
        content = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": told}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": content[:9], "more_body": True})
        await send({"type": "http.response.body", "body": content[9:]})

    status, content, _ = ask(b"1", app=refusing)
    assert status == 400
    assert json.loads(content) == {"error_code": "INVALID_PARAMETER_VALUE", "message": "row 0 is empty"}


@pytest.mark.parametrize("content", [b'["no message"]', b"no json", b'{"detail": "x"}'])
def test_other_errors_are_passed_on(content):
    async def refusing(scope, receive, send):
        await send({"type": "http.response.start", "status": 415, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": content})

    assert ask(b"1", app=refusing)[:2] == (415, content)


def test_an_error_without_any_answer_is_not_hidden():
    with pytest.raises(RecursionError):
        ask(b"raises")
