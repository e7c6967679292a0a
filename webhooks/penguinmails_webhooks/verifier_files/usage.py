# FastAPI. In Flask: verify_webhook(SECRET, request.headers, request.get_data())
import json
import os

from fastapi import FastAPI, Request, Response
from verify_webhook import WebhookError, verify_webhook

app = FastAPI()


@app.post("/hooks")
async def hooks(request: Request):
    body = await request.body()  # the bytes, before any parsing
    try:
        verify_webhook(os.environ["PENGUINMAILS_WEBHOOK_SECRET"], request.headers, body)
    except WebhookError as error:
        return Response(error.code, status_code=400)
    event = json.loads(body)
    print(event["id"], event["type"])  # remember the id: a repeat carries the same one
    return Response(status_code=204)
