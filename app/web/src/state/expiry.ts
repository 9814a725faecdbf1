/** A session that is left alone expires. The page asks when it is time, and says so before anything is pressed. */

import { call } from "../client";
import type { Session } from "../types";
import { path } from "./actions";
import { expired, session, trouble } from "./model";
import { report } from "./troubles";

const EVERY_MS = 60_000;

/** Look now and then whether the session has expired; answers what ends that. */
export function watchExpiry(): () => void {
  const timer = setInterval(() => look().catch((error: unknown) => report(error, null)), EVERY_MS);
  return () => clearInterval(timer);
}

/** Changes put the end off, but do not say to when: it is read once the old one has passed. */
async function look(): Promise<void> {
  const here = session.value;
  if (!here || expired.value || trouble.value?.kind === "lost" || Date.now() < Date.parse(here.expires_at)) return;
  const { expires_at } = await call<Session>("GET", path());
  if (session.value?.id === here.id) session.value = { ...session.value, expires_at };
}
