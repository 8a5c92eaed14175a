"""The page at /docs, for people. FastAPI's own page fetches its scripts from the internet; this one has none."""

from __future__ import annotations

import json
from typing import Any

import ragedu
from ragedu.showing import escape

CLIENT = """\
import os, httpx

headers = {"Authorization": f"Bearer {os.environ['RAGEDU_API_KEY']}"}
with httpx.Client(base_url="http://127.0.0.1:8000", headers=headers, timeout=60) as service:
    reply = service.post("/query", json={"question": "Who keeps the lighthouse?"})
    reply.raise_for_status()
    print(reply.json()["answer"])
    with service.stream("POST", "/stream", json={"question": "When does the ferry leave?"}) as lines:
        for line in lines.iter_lines():
            print(line)
"""


def page(schema: dict[str, Any]) -> str:
    """The application's OpenAPI schema as a page of HTML, with an example of a client."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>ragedu</title>"
        "<body style='font-family: sans-serif; max-width: 50em; margin: 2em auto'>"
        f"<h1>ragedu {ragedu.__version__}</h1><p>For programs: <a href='openapi.json'>openapi.json</a></p>"
        f"{routes(schema)}{schemas(schema)}"
        f"<h2>A client</h2><pre>{escape(CLIENT)}</pre></body></html>"
    )


def routes(schema: dict[str, Any]) -> str:
    """A heading and a sentence for each route."""
    parts = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            heading = f"<h2><code>{method.upper()} {path}</code></h2>"
            parts.append(f"{heading}<p>{escape(operation.get('description', ''))}</p>")
    return "".join(parts)


def schemas(schema: dict[str, Any]) -> str:
    """The schema of each message."""
    parts = []
    for name in ("Query", "Reply", "Source"):
        fields = json.dumps(schema["components"]["schemas"][name], indent=2)
        parts.append(f"<h2>{name}</h2><pre>{escape(fields)}</pre>")
    return "".join(parts)
