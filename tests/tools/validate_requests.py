#!/usr/bin/env python3
"""Checks recorded requests against the vendors' OpenAPI documents.

    validate_requests.py SPECS RECORDING...

SPECS is a folder with the vendors' documents (`whapi*.yaml`, `meta*.yaml`); they are not part of this repository.
A RECORDING is what the simulator's `GET /_control/requests` answers, as `WABRIDGE_RECORD_REQUESTS=<folder>` makes
`tests/it/sending_conformance`, `group_conformance` and `list_conformance` keep it. Method, path, parameters of path and query and JSON body of each request are checked;
providers without a document are counted and passed over. Ends with 1 when a request does not fit.

Needs Debian's python3-yaml and python3-jsonschema.
"""

import json
import re
import sys
from pathlib import Path

import jsonschema
import yaml

# Meta documents these at other places than its OpenAPI document, which lacks them.
META_UNDOCUMENTED_FIELDS = ("biz_opaque_callback_data",)
# WHAPI's OpenAPI document lacks these at `POST /media`; its pages on messages name them (stickers are WebP).
WHAPI_UNDOCUMENTED_TYPES = ("image/webp", "image/gif")


def plain(schema, vendor):
    """A schema of OpenAPI 3.0 as JSON Schema reads it, without the quirks of the documents that would refuse everything."""
    if isinstance(schema, list):
        return [plain(one, vendor) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: plain(value, vendor) for name, value in schema.items()}
    if vendor == "meta":
        # In a part of `allOf` it would refuse what the other parts bring.
        for part in schema.get("allOf", []):
            part.pop("additionalProperties", None)
        # `^[2-6, 11-14]$` of a button's index is a slip of the pen: its own example (0) does not fit.
        if schema.get("pattern") == "^[2-6, 11-14]$":
            del schema["pattern"]
    if vendor == "whapi" and "oneOf" in schema:
        # Id, address and base64 of a file are all texts: each fits several of the choices.
        schema["anyOf"] = schema.pop("oneOf")
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(schema.get(bound), bool):
            del schema[bound]
    return schema


class Document:
    def __init__(self, path, vendor):
        self.vendor = vendor
        self.spec = plain(yaml.safe_load(path.read_text(encoding="utf-8")), vendor)

    def at(self, node):
        """The object behind a `$ref`."""
        while isinstance(node, dict) and "$ref" in node:
            target = self.spec
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def operations(self, method, path):
        """All operations that the path may be, those with the fewest parameters first, with their parameters' values."""
        found = []
        for template, item in self.spec["paths"].items():
            operation = self.at(item).get(method.lower())
            pattern = re.sub(r"\\{([^}]+)\\}", r"([^/]+)", re.escape(template))
            match = re.fullmatch(pattern, path)
            if operation and match:
                names = re.findall(r"\{([^}]+)\}", template)
                parameters = list(self.at(item).get("parameters", [])) + operation.get("parameters", [])
                found.append((len(names), template, operation, parameters, dict(zip(names, match.groups()))))
        return sorted(found, key=lambda one: one[0])

    def problems(self, request):
        """What is wrong with a request; empty where it fits one of the operations of its path."""
        wrong = []
        for _, template, operation, parameters, values in self.operations(request["method"], request["path"]):
            problems = [f"as {template}: {why}" for why in self.of_operation(operation, parameters, values, request)]
            if not problems:
                return []
            wrong.extend(problems)
        return wrong or ["no such operation"]

    def of_operation(self, operation, parameters, values, request):
        for parameter in map(self.at, parameters):
            schema = parameter.get("schema", {})
            if parameter["in"] == "path" and parameter["name"] in values:
                yield from self.of_value(schema, values[parameter["name"]], parameter["name"])
            elif parameter["in"] == "query" and parameter["name"] in request["query"]:
                value = of_query(request["query"][parameter["name"]], self.at(schema).get("type"))
                yield from self.of_value(schema, value, parameter["name"])
            elif parameter["in"] == "query" and parameter.get("required"):
                yield f"the query lacks {parameter['name']}"
        documented = {parameter["name"] for parameter in map(self.at, parameters) if parameter["in"] == "query"}
        for name in sorted(set(request["query"]) - documented):
            yield f"{name} is no documented parameter of the query"
        body = self.at(operation.get("requestBody"))
        kind = request["headers"].get("content-type", "").split(";")[0]
        if not body:
            if request["body"] is not None:
                yield "a body where none is documented"
            return
        contents = body.get("content", {})
        if request["body"] is None:
            if body.get("required"):
                yield "no body"
        elif self.vendor == "whapi" and "image/png" in contents and kind in WHAPI_UNDOCUMENTED_TYPES:
            return
        elif kind not in contents and "*/*" not in contents:
            yield f"a body of type {kind}; documented are {', '.join(contents)}"
        elif kind == "application/json":
            sent = request["body"]
            if self.vendor == "meta" and isinstance(sent, dict):
                sent = {name: value for name, value in sent.items() if name not in META_UNDOCUMENTED_FIELDS}
            yield from self.of_value(contents[kind].get("schema", {}), sent, "body")

    def of_value(self, schema, value, name):
        whole = {"components": self.spec.get("components", {}), "allOf": [schema]}
        validator = jsonschema.Draft4Validator(whole)
        for error in validator.iter_errors(value):
            deepest = jsonschema.exceptions.best_match([error])
            yield f"{name}{deepest.json_path.removeprefix('$')}: {deepest.message}"


def of_query(text, kind):
    """What the text of a query stands for; the text itself where it is none of its kind."""
    try:
        return {"integer": int, "number": float}.get(kind, str)(text)
    except ValueError:
        return text


def is_read_mark(request):
    """Meta documents marking as read, but its OpenAPI document lacks it."""
    body = request["body"]
    return isinstance(body, dict) and set(body) == {"messaging_product", "status", "message_id"}


def is_undocumented(request):
    """What Meta documents on its pages only: marking as read, and asking for the invitation link of a group."""
    asks_for_link = request["method"] == "GET" and request["path"].endswith("/invite_link")
    return is_read_mark(request) or asks_for_link


def main(folder, *recordings):
    documents = {}
    for vendor in ("whapi", "meta"):
        paths = sorted(Path(folder).glob(f"{vendor}*.y*ml"))
        if len(paths) != 1:
            sys.exit(f"{folder}: one document {vendor}*.yaml is needed, there are {len(paths)}")
        documents[vendor] = Document(paths[0], vendor)
    checked, passed_over, wrong = {}, 0, 0
    for recording in recordings:
        for request in json.loads(Path(recording).read_text(encoding="utf-8"))["requests"]:
            vendor = request["provider"]
            if vendor not in documents or (vendor == "meta" and is_undocumented(request)):
                passed_over += 1
                continue
            checked[vendor] = checked.get(vendor, 0) + 1
            problems = documents[vendor].problems(request)
            if problems:
                wrong += 1
                print(f"{vendor} {request['method']} {request['path']} (n {request['n']}):")
                for problem in problems:
                    print(f"    {problem}")
    counts = ", ".join(f"{count} of {vendor}" for vendor, count in sorted(checked.items()))
    print(f"{counts or 'none'} checked, {passed_over} passed over, {wrong} wrong")
    if wrong or not checked:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
