"""From the text of a document to its answer: one function, so that another executor can take its place.

`prepare` parses, validates and measures; nothing has run then, and the caller can still take the cost from a budget.
`run` executes. Parsed documents are kept: parsing and validating cost a hundred times what most queries do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from inspect import isawaitable
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    execute,
    parse,
    validate,
)
from strawberry import Schema

from penguinmails_graphql.context import GraphContext
from penguinmails_graphql.errors import formatted
from penguinmails_graphql.limits import MAX_TOKENS, Size, measure, refuse_nul

_MAX_CACHED_BYTES = 4 * 1024 * 1024  # of document text; a parsed document takes about twenty times its text


@dataclass(frozen=True, slots=True)
class GraphRequest:
    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(slots=True)
class Prepared:
    """A request that may run. `mutates` tells queries from mutations."""

    request: GraphRequest
    document: DocumentNode
    size: Size
    mutates: bool


@dataclass(slots=True)
class Refused:
    """A request that did not run: all its errors, each a `GraphQLError` with a code."""

    errors: Sequence[GraphQLError]

    def body(self, request_id: str) -> dict[str, Any]:
        return {"errors": [formatted(error, request_id) for error in self.errors]}


class Executor:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._documents: OrderedDict[bytes, tuple[int, DocumentNode]] = OrderedDict()
        self._bytes = 0

    def prepare(self, request: GraphRequest) -> Prepared | Refused:
        try:
            refuse_nul(request.query, request.variables)
            document = self._document(request.query)
            if isinstance(document, Refused):
                return document
            operation = _operation(document, request.operation_name)
            fragments = {
                node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
            }
            size = measure(operation, fragments, request.variables)
        except GraphQLError as error:
            return Refused([error])
        return Prepared(request, document, size, mutates=operation.operation.value == "mutation")

    async def run(self, prepared: Prepared, context: GraphContext) -> dict[str, Any]:
        """The answer: `data`, `errors` and `extensions`. Never raises for what a resolver did."""
        request = prepared.request
        pending = execute(
            self._schema._schema,
            prepared.document,
            variable_values=dict(request.variables),
            context_value=context,
            operation_name=request.operation_name,
        )
        result = await pending if isawaitable(pending) else pending
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [formatted(error, context.request_id) for error in result.errors]
        size = prepared.size
        answer["extensions"] = {"cost": {"requested": size.cost, "nodes": size.nodes, "depth": size.depth}}
        return answer

    def _document(self, text: str) -> DocumentNode | Refused:
        mark = sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._documents.get(mark)
        if known is not None:
            self._documents.move_to_end(mark)
            return known[1]
        document = parse(text, max_tokens=MAX_TOKENS)
        errors = validate(self._schema._schema, document, max_errors=20)
        if errors:
            return Refused(errors)
        self._documents[mark] = (len(text), document)
        self._bytes += len(text)
        while self._bytes > _MAX_CACHED_BYTES and len(self._documents) > 1:
            _, (size, _) = self._documents.popitem(last=False)
            self._bytes -= size
        return document


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Raises `GraphQLError` when it is not clear which operation is meant."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    named = [node for node in operations if name is None or (node.name is not None and node.name.value == name)]
    if len(named) == 1:
        return named[0]
    if not operations:
        detail = "The document holds no operation."
    elif name is None:
        detail = f"The document holds {len(operations)} operations. Say which in `operationName`."
    else:
        detail = f"There is no operation {name[:100]!r} in the document."
    raise GraphQLError(detail, extensions={"code": "unknown_operation", "status": 400})


__all__ = ["Executor", "GraphRequest", "Prepared", "Refused"]
