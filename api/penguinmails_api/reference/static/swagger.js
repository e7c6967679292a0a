"use strict";
// `validatorUrl: null`: nothing is sent to anyone but this server.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: false,
});
