<?php

// Verifies PenguinMails webhooks (Standard Webhooks). PHP 8.0 or newer, no dependencies.

declare(strict_types=1);

/** Do not trust the request. The message says why, such as signature_mismatch. */
final class WebhookError extends Exception
{
}

/**
 * Returns when the request was signed with one of $secrets, at most $tolerance seconds ago or ahead.
 *
 * $secrets: the endpoint's whsec_... (or whpk_..., the public key of an Ed25519 endpoint), or an array of them.
 * $headers: such as getallheaders(), names in any case. $body: file_get_contents('php://input'), before any parsing.
 */
function verify_webhook($secrets, array $headers, string $body, int $tolerance = 300, ?float $now = null): void
{
    $found = array_change_key_case($headers, CASE_LOWER);
    $id = $found['webhook-id'] ?? '';
    $stamp = $found['webhook-timestamp'] ?? '';
    $given = $found['webhook-signature'] ?? '';
    if ($id === '' || $stamp === '' || $given === '') {
        throw new WebhookError('missing_header');
    }
    if (!preg_match('/^(0|[1-9][0-9]{0,11})$/D', $stamp)) {
        throw new WebhookError('invalid_timestamp');
    }
    $age = ($now ?? microtime(true)) - (int) $stamp;
    if ($age > $tolerance) {
        throw new WebhookError('timestamp_too_old');
    }
    if ($age < -$tolerance) {
        throw new WebhookError('timestamp_too_new');
    }
    $readable = '~^(v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==)$~D';
    $signatures = preg_grep($readable, explode(' ', $given));
    if (!$signatures) {
        throw new WebhookError('invalid_signature');
    }
    $good = false;
    foreach ((array) $secrets as $secret) {
        foreach ($signatures as $signature) {
            $good = webhook_signature_fits($secret, "$id.$stamp.$body", $signature) || $good;
        }
    }
    if (!$good) {
        throw new WebhookError('signature_mismatch');
    }
}

function webhook_signature_fits(string $secret, string $content, string $signature): bool
{
    [$version, $text] = explode(',', $signature);
    if (str_starts_with($secret, 'whpk_')) {
        $key = webhook_decode(substr($secret, 5), 32, 32);
        return $version === 'v1a' && sodium_crypto_sign_verify_detached(base64_decode($text), $content, $key);
    }
    $key = webhook_decode(str_starts_with($secret, 'whsec_') ? substr($secret, 6) : $secret, 24, 64);
    return hash_equals('v1,' . base64_encode(hash_hmac('sha256', $content, $key, true)), $signature);
}

function webhook_decode(string $text, int $least, int $most): string
{
    $key = base64_decode($text, true);
    if ($key === false || strlen($key) < $least || strlen($key) > $most) {
        throw new WebhookError('invalid_secret');
    }
    return $key;
}
