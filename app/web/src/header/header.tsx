/** The header: what session this is, what it minimizes and how, its state; what can be done with it as a whole. */

import type { VNode } from "preact";
import { count, plain } from "../numbers";
import { Icon } from "../parts/icon";
import { comparedWith, config, expired, looking, open, rowCount, session, shape, snapshot, training } from "../state/model";
import { theme } from "../state/settings";
import { called, dimensions } from "../state/shape";
import { trainOptions } from "../state/training";
import "./header.css";

type Sheet = NonNullable<typeof open.value>;

export function Header(): VNode {
  return (
    <header class="header">
      <h1 class="brand">
        <Mark />
        <span class="brand-word">gradstep</span>
      </h1>
      <SessionButton />
      <p class="header-about">{about()}</p>
      <Badge />
      <div class="header-actions">
        <Opens sheet="copy" class="wide-only">
          Copy as…
        </Opens>
        <Opens sheet="share" class="wide-only" label="Share">
          <Icon name="share" />
          <span class="share-word">Share</span>
        </Opens>
        <ThemeButton />
        <Opens sheet="keys" class="square" label="Keys and help">
          <b aria-hidden="true">?</b>
        </Opens>
        <Opens sheet="more" class="square narrow-only" label="More">
          <Icon name="more" />
        </Opens>
      </div>
    </header>
  );
}

function Mark(): VNode {
  return (
    <svg class="brand-mark" width="18" height="18" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4 6v12h6v-6h6v6h5" />
      <circle cx="4" cy="6" r="3" />
    </svg>
  );
}

function SessionButton(): VNode {
  const sizes = comparedWith.value ? "A ⇄ B" : shape.value ? dimensions(shape.value.sizes) : "";
  const name = config.value?.name ?? "session";
  return (
    <button type="button" class="session-button" aria-haspopup="dialog" aria-label={`Session ${name}, ${sizes}`} onClick={() => (open.value = "sessions")}>
      <b>{name}</b>
      <span class="session-sizes">{sizes}</span>
      <Icon name="down" size={14} />
    </button>
  );
}

/** "½ squared error · SGD, η 0.5 · batch 32" */
function about(): string {
  if (comparedWith.value) return "comparing two sessions";
  const now = shape.value;
  if (!now) return "";
  const rate = now.learningRate === null ? "" : `, η ${plain(now.learningRate)}`;
  const batch = trainOptions.value.batch_size ? `batch ${count(trainOptions.value.batch_size)}` : rowCount.value > 1 ? `${count(rowCount.value)} samples` : "";
  return [called(now.loss), `${called(now.optimizer)}${rate}`, batch].filter(Boolean).join(" · ");
}

function Badge(): VNode | null {
  if (expired.value) return <span class="badge bad">expired</span>;
  if (training.value) return <span class="badge going">training</span>;
  if (looking.value) return <span class="badge">looking back</span>;
  if (session.value?.forked_from && session.value.latest_revision === 0) return <span class="badge">fork</span>;
  if (snapshot.value && (!session.value || session.value.latest_revision === 0)) return <span class="badge fresh">not started</span>;
  return null;
}

const THEMES = ["system", "light", "dark"] as const;

function ThemeButton(): VNode {
  const says = `Theme: ${theme.value}`;
  return (
    <button
      type="button"
      class="button quiet square wide-only"
      aria-label={says}
      title={says}
      onClick={() => (theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!)}
    >
      <Icon name={theme.value === "system" ? "theme" : theme.value === "light" ? "sun" : "moon"} />
    </button>
  );
}

interface OpensProps {
  sheet: Sheet;
  class: string;
  label?: string;
  children: VNode | string | VNode[];
}

function Opens({ sheet, class: extra, label, children }: OpensProps): VNode {
  return (
    <button
      type="button"
      class={`button quiet ${extra}`}
      aria-haspopup="dialog"
      aria-label={label}
      title={label}
      onClick={() => (open.value = open.value === sheet ? null : sheet)}
    >
      {children}
    </button>
  );
}
