"""How `/graphql` is documented. The gateway answers it itself (`endpoint.py`), so this function never runs."""

from typing import Any, NoReturn

from fastapi import APIRouter
from pydantic import BaseModel, Field

from penguinmails_api.routing import operation

_MEDIA_TYPE = "application/graphql-response+json"
_SCHEMAS = "#/components/schemas/"
_ANSWER = {"schema": {"$ref": _SCHEMAS + "GraphqlAnswer"}}

router = APIRouter(prefix="/graphql", tags=["graphql"])


# Written here and not as a model: `operationName` is the protocol's word, and models of this API speak snake_case.
_REQUEST: dict[str, Any] = {
    "type": "object",
    "title": "GraphqlRequest",
    "required": ["query"],
    "additionalProperties": False,
    "properties": {
        "query": {"type": "string", "minLength": 1, "maxLength": 200_000, "description": "A GraphQL document."},
        "variables": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "Values of the operation's variables.",
        },
        "operationName": {
            "type": ["string", "null"],
            "maxLength": 200,
            "description": "Which operation of the document to run, when it holds several.",
        },
        "extensions": {"type": ["object", "null"], "additionalProperties": True, "description": "Not used."},
    },
}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": _REQUEST, "example": {"query": "{ viewer { mode scopes } }"}}},
}


class GraphqlAnswer(BaseModel):
    """`errors` is there when something failed: each has a `message`, `path` and `extensions` with the `code`, `status`
    and `errors` of a problem document. `extensions.cost` says what the request took from the budget."""

    data: dict[str, Any] | None = Field(
        None, description="Null, or left out, when nothing could run.", examples=[{"viewer": {"mode": "live"}}]
    )
    errors: list[dict[str, Any]] = Field(default_factory=list, max_length=1000)
    extensions: dict[str, Any] = Field(default_factory=dict)


@router.post(
    "",
    summary="Run a GraphQL operation",
    response_model=GraphqlAnswer,
    responses={
        200: {"content": {_MEDIA_TYPE: _ANSWER}},
        400: {
            "description": "The request could not be read (a problem), or the document cannot run (`errors`).",
            "content": {_MEDIA_TYPE: _ANSWER, "application/problem+json": {"schema": {"$ref": _SCHEMAS + "Problem"}}},
        },
    },
    **operation("graphql_execute", errors=(413, 415), extra={"x-sdk-internal": True, "requestBody": _BODY}),
)
async def execute() -> NoReturn:
    """Queries and mutations over the same data, keys, scopes and limits as REST. The schema is served by
    introspection and kept in `graphql/schema.graphql`."""
    raise NotImplementedError("the gateway answers this")
