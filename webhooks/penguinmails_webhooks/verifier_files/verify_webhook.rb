# frozen_string_literal: true

# Verifies PenguinMails webhooks (Standard Webhooks). Ruby 2.7 or newer, no gems but those that come with it.
require "openssl"

# Do not trust the request. The message says why, such as signature_mismatch.
class WebhookError < StandardError; end

module PenguinMailsWebhook
  READABLE = %r{\A(?:v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==)\z}
  ED25519 = ["302a300506032b6570032100"].pack("H*").freeze # RFC 8410: what stands before a public key

  module_function

  # Returns when the request was signed with one of `secrets`, at most `tolerance` seconds ago or ahead.
  #
  # secrets: the endpoint's whsec_... (or whpk_..., the public key of an Ed25519 endpoint), or an array of them.
  # headers: a hash, names in any case. body: the string as received (request.raw_post), before any parsing.
  def verify(secrets, headers, body, tolerance: 300, now: Time.now.to_f)
    found = headers.transform_keys { |name| name.to_s.downcase }
    id, stamp, given = %w[id timestamp signature].map { |part| found["webhook-#{part}"].to_s }
    raise WebhookError, "missing_header" if [id, stamp, given].any?(&:empty?)
    raise WebhookError, "invalid_timestamp" unless stamp.match?(/\A(?:0|[1-9][0-9]{0,11})\z/)

    age = now - stamp.to_i
    raise WebhookError, "timestamp_too_old" if age > tolerance
    raise WebhookError, "timestamp_too_new" if age < -tolerance

    signatures = given.split(" ").select { |part| part.match?(READABLE) }
    raise WebhookError, "invalid_signature" if signatures.empty?

    content = "#{id}.#{stamp}.".b + body.b
    good = Array(secrets).product(signatures).map { |secret, signature| fits?(secret, content, signature) }
    raise WebhookError, "signature_mismatch" unless good.any?
  end

  def fits?(secret, content, signature)
    version, text = signature.split(",")
    if secret.start_with?("whpk_")
      key = decode(secret.delete_prefix("whpk_"), 32..32)
      return version == "v1a" && OpenSSL::PKey.read(ED25519 + key).verify(nil, text.unpack1("m0"), content)
    end
    key = decode(secret.delete_prefix("whsec_"), 24..64)
    OpenSSL.secure_compare("v1,#{[OpenSSL::HMAC.digest('SHA256', key, content)].pack('m0')}", signature)
  end

  def decode(text, sizes)
    key = text.unpack1("m0")
    sizes.cover?(key.bytesize) ? key : raise(ArgumentError)
  rescue ArgumentError
    raise WebhookError, "invalid_secret"
  end
end
