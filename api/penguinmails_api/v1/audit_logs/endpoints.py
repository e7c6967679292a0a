"""`/v1/audit_logs`: who changed what, when and from where. Read and export; nobody writes here."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from penguinmails_api.context import RequestContext
from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.audit_logs.export import Encode, csv_head, csv_lines, json_lines, stream
from penguinmails_api.v1.audit_logs.schemas import (
    AuditLog,
    AuditLogFilter,
    AuditLogIdInPath,
    AuditLogList,
    AuditLogListQuery,
)
from penguinmails_core.audit import service
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/audit_logs", tags=["audit_logs"])
READ = Scope.AUDIT_LOGS_READ
_TOTAL = {"Export-Total": {"description": "How many entries follow.", "schema": {"type": "integer"}, "required": True}}


class JsonLines(StreamingResponse):
    media_type = "application/jsonl"


class Csv(StreamingResponse):
    media_type = "text/csv"


@router.get("", summary="List the audit log", **operation("audit_logs_list", scope=READ, paginated=True))
async def list_entries(context: Context, query: Annotated[AuditLogListQuery, Query()]) -> AuditLogList:
    """The newest first. A credential that is bound to a workspace sees what was done there; one of test mode sees what
    test credentials did."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_entries(session, caller, query.to_filter(), **query.place())
    return AuditLogList.of(*page, backwards=query.backwards)


@router.get(
    "/export/jsonl",
    summary="Export the audit log as JSON lines",
    response_class=JsonLines,
    responses={200: {"description": "One entry a line, the oldest first.", "headers": _TOTAL}},
    **operation("audit_logs_export_jsonl", scope=READ),
)
async def export_json_lines(context: Context, query: Annotated[AuditLogFilter, Query()]) -> StreamingResponse:
    """Up to 100,000 entries as `GET /v1/audit_logs/{audit_log_id}` shows them, streamed. `Export-Total` says how many
    lines follow: fewer means that the connection broke."""
    return await _export(context, query, JsonLines, "jsonl", json_lines)


@router.get(
    "/export/csv",
    summary="Export the audit log as CSV",
    response_class=Csv,
    responses={200: {"description": "One entry a row below a row of names, the oldest first.", "headers": _TOTAL}},
    **operation("audit_logs_export_csv", scope=READ),
)
async def export_csv(context: Context, query: Annotated[AuditLogFilter, Query()]) -> StreamingResponse:
    """As the export in JSON lines, for spreadsheets (RFC 4180). A cell that a spreadsheet would take for a formula
    begins with an apostrophe."""
    return await _export(context, query, Csv, "csv", csv_lines, csv_head())


@router.get("/{audit_log_id}", summary="Get an entry of the audit log", **operation("audit_logs_get", scope=READ))
async def get_entry(context: Context, audit_log_id: AuditLogIdInPath) -> AuditLog:
    """One entry."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return AuditLog.of(await service.get_entry(session, context.caller, audit_log_id))


async def _export(
    context: RequestContext,
    query: AuditLogFilter,
    kind: type[StreamingResponse],
    ending: str,
    encode: Encode,
    head: bytes = b"",
) -> StreamingResponse:
    wanted = query.to_filter()
    async with context.services.database.tenant(context.caller.organization_id) as session:
        export = await service.begin_export(session, context.caller, wanted)
    headers = {
        "Export-Total": str(export.total),
        "Content-Disposition": f'attachment; filename="audit-log.{ending}"',
    }
    return kind(stream(context, wanted, export, encode, head), headers=headers)
