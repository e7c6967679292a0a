"""Code samples, made from the examples of the specification: curl and the Python SDK."""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

Document = dict[str, Any]
_ID = re.compile(r"^\^([a-z]+)_")


def curl(method: str, path: str, parameters: list[Document], body: Any, *, public: bool) -> str:
    """For a POSIX shell; the address and the key come from the environment, as for the SDK."""
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", _sample(parameter))
    lines = [f'curl "$PENGUINMAILS_BASE_URL{path}"']
    if method != "get":
        lines[0] = f'curl -X {method.upper()} "$PENGUINMAILS_BASE_URL{path}"'
    if not public:
        lines.append('-H "Authorization: Bearer $PENGUINMAILS_API_KEY"')
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if body is not None:
        text = json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{text}'"]
    return " \\\n  ".join(lines)


def _sample(parameter: Document) -> str:
    schema = parameter.get("schema", {})
    for value in (parameter.get("example"), schema.get("example"), *schema.get("examples", [])):
        if value is not None:
            return str(value)
    found = _ID.match(schema.get("pattern", ""))
    return f"{found[1]}_01kaz6yzwhe1xrqm3c8s4q3m8r" if found else parameter["name"]


def python(tag: str, name: str, path: str, operation: Document, body: Any) -> str:
    """Empty for operations that the SDK leaves out."""
    if operation.get("x-sdk-internal"):
        return ""
    method = operation.get("x-sdk-name", {}).get("python", name.removeprefix(tag + "_"))
    arguments = [f'"{_by_name(operation, each)}"' for each in re.findall(r"\{(\w+)\}", path)]
    if isinstance(body, dict):
        arguments += [f"{_word(field)}={_literal(value)}" for field, value in body.items()]
    inline = ", ".join(arguments)
    call = f"client.{tag}.{_word(method)}({inline})"
    if len(call) > 80 and arguments:
        inner = ",\n        ".join(arguments)
        call = f"client.{tag}.{_word(method)}(\n        {inner},\n    )"
    if operation.get("x-sdk-paginate"):
        what = f"for item in {call}:\n        print(item)"
    elif "204" in operation["responses"]:
        what = call
    else:
        what = f"result = {call}\n    print(result)"
    return f"from penguinmails import PenguinMails\n\nwith PenguinMails() as client:\n    {what}"


def _by_name(operation: Document, name: str) -> str:
    for parameter in operation.get("parameters", []):
        if parameter.get("name") == name:
            return _sample(parameter)
    return name


def _word(name: str) -> str:
    return name + "_" if keyword.iskeyword(name) else name


def _literal(value: Any) -> str:
    """JSON as Python: the same but for three words."""
    text = repr(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else text.replace("'", '"')
