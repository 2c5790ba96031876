"""httpx-sse, with the native API."""

import os
from collections.abc import Iterator
from uuid import uuid4

import httpx
from cells import QUESTION, run
from httpx_sse import ServerSentEvent, connect_sse

base = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
client = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}, timeout=60)


def told(events: Iterator[ServerSentEvent]) -> Iterator[ServerSentEvent]:
    """Leave out what has no data: this client makes an event of the line `retry` as well."""
    return (event for event in events if event.data)


def native_stream() -> None:
    message = {"client_message_id": str(uuid4()), "text": QUESTION, "stream": True}
    with connect_sse(client, "POST", "/v1/chat", json=message) as source:
        events = list(told(source.iter_sse()))
    text = "".join(event.json()["text"] for event in events if event.event == "delta")
    assert (events[0].event, events[-1].event, events[-1].json()["text"]) == ("start", "final", text)


def native_resume() -> None:
    message = {
        "client_message_id": str(uuid4()),
        "text": f"{QUESTION} [[simulate: tokens=60; tps=100]]",
        "stream": True,
    }
    with connect_sse(client, "POST", "/v1/chat", json=message) as source:
        events = told(source.iter_sse())
        answer = next(events).json()["assistant_message_id"]
        first = next(events)
    headers = {"Last-Event-ID": first.id}
    with connect_sse(client, "GET", f"/v1/chat/{answer}/events", headers=headers) as source:
        rest = list(told(source.iter_sse()))
    text = first.json()["text"] + "".join(event.json()["text"] for event in rest if event.event == "delta")
    assert text == rest[-1].json()["text"]
    end = client.get(f"/v1/chat/{answer}/events", headers={"Last-Event-ID": rest[-1].id})
    assert end.status_code == httpx.codes.NO_CONTENT


run(native_stream, native_resume)
