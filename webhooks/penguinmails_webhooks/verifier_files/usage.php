<?php

// Plain PHP. In Laravel: verify_webhook($secret, getallheaders(), $request->getContent())
require __DIR__ . '/verify_webhook.php';

$body = file_get_contents('php://input'); // the bytes, before any parsing
try {
    verify_webhook(getenv('PENGUINMAILS_WEBHOOK_SECRET'), getallheaders(), $body);
} catch (WebhookError $error) {
    http_response_code(400);
    exit($error->getMessage());
}
$event = json_decode($body, true);
error_log($event['id'] . ' ' . $event['type']); // remember the id: a repeat carries the same one
http_response_code(204);
