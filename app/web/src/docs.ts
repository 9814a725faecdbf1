/** The API's documentation at `/docs/`: Swagger UI over the server's own OpenAPI document, in the page's theme. */

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import { theme } from "./state/settings";

const dark = theme.value === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : theme.value === "dark";
document.documentElement.classList.toggle("dark-mode", dark);

SwaggerUI({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null, // it would be asked for on another host
});
