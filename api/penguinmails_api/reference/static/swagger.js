"use strict";
// `validatorUrl: null`: nothing is sent to anyone but this server.
window.ui = SwaggerUIBundle({
  url: new URLSearchParams(window.location.search).has("v2") ? "/openapi/v2.json" : "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: false,
});
