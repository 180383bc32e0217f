"""`/docs`: an OpenAPI document as one page of HTML, without scripts and without anything from elsewhere."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --get: #2563eb; --post: #15803d; --put: #b45309;
  --delete: #b91c1c; --options: #6b7280; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; text-transform: capitalize; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: 0 .7rem; }
summary { cursor: pointer; padding: .45rem 0; display: flex; flex-wrap: wrap; gap: .2rem .7rem; align-items: baseline; }
summary code { font-weight: 600; overflow-wrap: anywhere; } summary span { flex: 1 1 20rem; }
.method { flex: 0 0 4.6rem; text-align: center; color: #fff; background: var(--options); border-radius: .25rem;
  font: 600 .78rem/1.6 ui-monospace, monospace; }
.get { background: var(--get); } .post { background: var(--post); } .put { background: var(--put); }
.delete { background: var(--delete); }
.who { flex: 0 0 auto; font-size: .8rem; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); }
@media (max-width: 40rem) { table { display: block; overflow-x: auto; font-size: .84rem; }
  th, td { padding-right: .5rem; } }
th { font-weight: 600; } code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; border-radius: .3rem; }
:focus-visible { outline: 2px solid var(--get); outline-offset: 2px; }
""".strip()

WHO = {"admin": "admin", "token": "viewer"}
"""What is said of who may ask, by the security scheme."""
_TICKS = re.compile(r"`([^`]+)`")


def page(document: dict[str, Any]) -> tuple[bytes, str]:
    """The page in UTF-8, and the Content-Security-Policy under which it is whole."""
    info = document["info"]
    tags = document["tags"]
    links = "".join(f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>' for tag in tags)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>fastrelay API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f'<p>{_prose(info["description"])} For programs: <a href="/openapi.json">openapi.json</a>. '
        'For people: <a href="/">the dashboard</a>.</p>'
        f'<nav aria-label="Sections">{links}<a href="#schemas">schemas</a></nav><main>'
        + "".join(_section(document, tag) for tag in tags)
        + '<h2 id="schemas">Schemas</h2>'
        + "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
        + "</main></body></html>"
    )
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text.encode(), policy


def _section(document: dict[str, Any], tag: dict[str, str]) -> str:
    parts = [f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2><p>{_prose(tag["description"])}</p>']
    for path, methods in document["paths"].items():
        parts += [
            _operation(method, path, operation)
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    schemes = [name for scheme in operation["security"] for name in scheme]
    who = next((f'<span class="who">{said}</span>' for name, said in WHO.items() if schemes[:1] == [name]), "")
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary><b class="method {method}">{method.upper()}</b>'
        f"<code>{escape(path)}</code>{who}<span>{_prose(operation['summary'])}</span></summary>"
    ]
    if operation["parameters"]:
        rows = (
            (parameter["name"], parameter["in"], _type(parameter["schema"]), parameter.get("description", ""))
            for parameter in operation["parameters"]
        )
        parts.append(_table(("parameter", "in", "type", ""), rows))
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]
        parts.append(_table(("body", ""), ((kind, _shape(content)) for kind, content in body.items())))
    answers = (
        (status, answer["description"], ", ".join(answer.get("content", ())), _shapes(answer.get("content", {})))
        for status, answer in operation["responses"].items()
    )
    parts.append(_table(("status", "", "type", ""), answers))
    return "".join((*parts, "</details>"))


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = (
        (field, _type(inner), "" if field in schema["required"] else "optional", inner.get("description", ""))
        for field, inner in schema["properties"].items()
    )
    example = f"<pre>{escape(json.dumps(schema['example'], indent=2))}</pre>" if "example" in schema else ""
    return (
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_table(('field', 'type', '', ''), rows)}{example}</details>"
    )


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """The first cell of a row is code."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f"<tr><td><code>{escape(first)}</code></td>{''.join(f'<td>{_prose(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{schema['$ref'].rpartition('/')[2]}]"
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [f"list of {_type(schema['items'])}" if kind == "array" else str(kind) for kind in kinds]
    return " or ".join(words) + (f", default {schema['default']}" if "default" in schema else "")


def _shape(content: dict[str, Any]) -> str:
    return _type(content["schema"]) if "schema" in content else ""


def _shapes(contents: dict[str, Any]) -> str:
    return ", ".join(filter(None, map(_shape, contents.values())))


def _prose(text: str) -> str:
    """Escaped; `code`, and [Name] of a schema as a link to it."""
    safe = _TICKS.sub(r"<code>\1</code>", escape(text))
    return re.sub(r"\[([A-Z]\w+)\]", r'<a href="#schema-\1">\1</a>', safe)
