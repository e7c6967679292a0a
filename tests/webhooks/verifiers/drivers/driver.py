"""Reads requests as JSON on standard input, prints what the verifier beside it says of each."""

import base64
import json
import sys

sys.path.insert(0, sys.argv[1])

from verify_webhook import WebhookError, verify_webhook  # type: ignore[import-not-found]

said = []
for request in json.load(sys.stdin):
    try:
        body = base64.b64decode(request["body"])
        verify_webhook(request["secrets"], request["headers"], body, now=request["now"])
        said.append("ok")
    except WebhookError as error:
        said.append(error.code)
json.dump(said, sys.stdout)
