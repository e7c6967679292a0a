// Package webhook verifies PenguinMails webhooks (Standard Webhooks). Go 1.18 or newer, no dependencies.
package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Reasons not to trust a request.
var (
	ErrMissingHeader     = errors.New("missing_header")
	ErrInvalidTimestamp  = errors.New("invalid_timestamp")
	ErrTimestampTooOld   = errors.New("timestamp_too_old")
	ErrTimestampTooNew   = errors.New("timestamp_too_new")
	ErrInvalidSignature  = errors.New("invalid_signature")
	ErrSignatureMismatch = errors.New("signature_mismatch")
	ErrInvalidSecret     = errors.New("invalid_secret")
)

var (
	digits   = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)
	readable = regexp.MustCompile(`^(v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==)$`)
)

// Verify returns nil when the request was signed with one of secrets, at most tolerance before or after now.
//
// A secret is the endpoint's whsec_..., or whpk_..., the public key of an Ed25519 endpoint. Body is what was received,
// before any parsing.
func Verify(secrets []string, headers http.Header, body []byte, tolerance time.Duration, now time.Time) error {
	id, stamp, given := headers.Get("webhook-id"), headers.Get("webhook-timestamp"), headers.Get("webhook-signature")
	if id == "" || stamp == "" || given == "" {
		return ErrMissingHeader
	}
	if !digits.MatchString(stamp) {
		return ErrInvalidTimestamp
	}
	seconds, _ := strconv.ParseInt(stamp, 10, 64)
	age := now.Sub(time.Unix(seconds, 0))
	if age > tolerance {
		return ErrTimestampTooOld
	}
	if age < -tolerance {
		return ErrTimestampTooNew
	}
	content := append([]byte(id+"."+stamp+"."), body...)
	found, good := false, false
	for _, signature := range strings.Split(given, " ") {
		if !readable.MatchString(signature) {
			continue
		}
		found = true
		for _, secret := range secrets {
			fit, err := fits(secret, content, signature)
			if err != nil {
				return err
			}
			good = good || fit
		}
	}
	if !found {
		return ErrInvalidSignature
	}
	if !good {
		return ErrSignatureMismatch
	}
	return nil
}

func fits(secret string, content []byte, signature string) (bool, error) {
	version, text, _ := strings.Cut(signature, ",")
	if strings.HasPrefix(secret, "whpk_") {
		key, err := decode(strings.TrimPrefix(secret, "whpk_"), 32, 32)
		if err != nil || version != "v1a" {
			return false, err
		}
		given, err := base64.StdEncoding.DecodeString(text)
		return err == nil && ed25519.Verify(ed25519.PublicKey(key), content, given), nil
	}
	key, err := decode(strings.TrimPrefix(secret, "whsec_"), 24, 64)
	if err != nil {
		return false, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(expected), []byte(signature)), nil
}

func decode(text string, least, most int) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < least || len(key) > most {
		return nil, ErrInvalidSecret
	}
	return key, nil
}
