# frozen_string_literal: true

# Reads requests as JSON on standard input, prints what the verifier in the named folder says of each.
require "json"
require "#{ARGV[0]}/verify_webhook"

said = JSON.parse($stdin.read).map do |request|
  PenguinMailsWebhook.verify(request["secrets"], request["headers"], request["body"].unpack1("m0"), now: request["now"])
  "ok"
rescue WebhookError => e
  e.message
end
puts JSON.generate(said)
