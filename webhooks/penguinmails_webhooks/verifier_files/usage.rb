# Rack. In Rails: request.headers["webhook-id"] and so on, and request.raw_post
require "json"
require_relative "verify_webhook"

App = lambda do |env|
  body = env["rack.input"].read # the bytes, before any parsing
  headers = env.select { |name, _| name.start_with?("HTTP_") }
               .transform_keys { |name| name.delete_prefix("HTTP_").tr("_", "-") }
  PenguinMailsWebhook.verify(ENV.fetch("PENGUINMAILS_WEBHOOK_SECRET"), headers, body)
  event = JSON.parse(body)
  warn "#{event['id']} #{event['type']}" # remember the id: a repeat carries the same one
  [204, {}, []]
rescue WebhookError => e
  [400, {}, [e.message]]
end
