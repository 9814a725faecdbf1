/** The page begins here. */

import "@fontsource-variable/inter/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import { render } from "preact";
import { App } from "./app";
import { arrive, keepAddress } from "./state/address";
import { watchExpiry } from "./state/expiry";
import { listen } from "./state/keys";

render(<App />, document.getElementById("page")!);
listen();
keepAddress();
watchExpiry();
void arrive();
