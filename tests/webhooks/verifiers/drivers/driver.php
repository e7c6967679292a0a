<?php

// Reads requests as JSON on standard input, prints what the verifier in the named folder says of each.

declare(strict_types=1);

require $argv[1] . '/verify_webhook.php';

$said = [];
foreach (json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR) as $request) {
    try {
        $body = base64_decode($request['body'], true);
        verify_webhook($request['secrets'], $request['headers'], $body, now: (float) $request['now']);
        $said[] = 'ok';
    } catch (WebhookError $error) {
        $said[] = $error->getMessage();
    }
}
echo json_encode($said), "\n";
