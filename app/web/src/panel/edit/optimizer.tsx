/** The optimizer and its options, with what the next step would do under them. */

import { signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { call, Refused, url } from "../../client";
import { inWords } from "../../names";
import { count, plural, withMinus, written } from "../../numbers";
import { Button, Refusal } from "../../parts/button";
import { Symbol } from "../../parts/math";
import { KindForm } from "../../start/schema-form";
import { editSession, path, when } from "../../state/actions";
import { catalog, config, revision, session, shape, snapshot, training } from "../../state/model";
import { typeOf } from "../../state/shape";
import { report } from "../../state/troubles";
import type { Preview, Problem, Spec } from "../../types";
import { locked } from "./editing";
import { largest, patchOf, type Change } from "./merge";

const WAIT_MS = 150;
const SHOWN = 6;
/** Beyond so many parameters, a preview is too long to be read while somebody types. */
const MOST_PARAMETERS = 5000;

/** What was typed and is not applied yet, and for which session. */
const draft = signal<{ session: string | undefined; spec: Spec } | null>(null);

export function Optimizer(): VNode {
  const now = config.value!.optimizer;
  const typed = draft.value?.session === session.value?.id ? draft.value : null;
  const spec = typed?.spec ?? now;
  const patch = typed ? patchOf(now, spec) : null;
  const { preview, problem } = usePreview(patch);
  const change = (to: Spec | null) => {
    if (locked.value || to === null) return;
    // A kind is chosen by its name: the one that there is keeps its options.
    const isSame = typeof to === "string" && to === typeOf(now);
    draft.value = isSame ? null : { session: session.value?.id, spec: to };
  };
  const apply = async () => {
    if (patch !== null && (await editSession({ optimizer: patch }, "edit-optimizer"))) draft.value = null;
  };
  return (
    <section aria-label="Optimizer">
      <h2>Optimizer</h2>
      <form
        class="edit-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!locked.value) void apply();
        }}
      >
        <fieldset disabled={locked.value !== null} aria-label="Optimizer">
          <KindForm
            label="Type"
            kinds={catalog.value?.optimizers ?? []}
            value={spec}
            onChange={change}
            errors={problem?.errors ?? []}
            pointer="/optimizer"
          />
        </fieldset>
        <div class="edit-actions">
          <Button
            control="edit-optimizer"
            missing={locked.value ?? (typed ? null : "Nothing has been changed yet.")}
            onPress={() => void apply()}
          >
            Apply
          </Button>
          {typed && (
            <Button class="quiet" onPress={() => (draft.value = null)}>
              As it was
            </Button>
          )}
        </div>
      </form>
      <Refusal of="edit-optimizer" />
      <Effect preview={preview} isDraft={typed !== null} />
    </section>
  );
}

/** What a step would do under the session's optimizer with a patch; asked when typing has paused. */
function usePreview(patch: Spec | null): { preview: Preview | null; problem: Problem | null } {
  const found = useSignal<{ preview: Preview | null; problem: Problem | null }>({ preview: null, problem: null });
  const isPossible = session.value !== null && (snapshot.value?.allowed.includes("step") ?? false) && !training.value && shape.value!.parameters <= MOST_PARAMETERS;
  const body = JSON.stringify(patch === null ? {} : { optimizer: patch });
  useEffect(() => {
    if (!isPossible) {
      found.value = { preview: null, problem: null };
      return undefined;
    }
    const stop = new AbortController();
    const ask = async () => {
      try {
        const place = url(path("/preview"), when());
        const preview = await call<Preview>("POST", place, { body: JSON.parse(body) as unknown, signal: stop.signal });
        found.value = { preview, problem: null };
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error instanceof Refused && error.problem.status === 422) found.value = { preview: null, problem: error.problem };
        else if (!(error instanceof Refused && error.problem.status === 409)) report(error, null);
      }
    };
    const timer = setTimeout(() => void ask(), WAIT_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [isPossible, body, revision.value, session.value?.id]);
  return found.value;
}

function Effect({ preview, isDraft }: { preview: Preview | null; isDraft: boolean }): VNode {
  if (!preview) return <p class="edit-hint">Once there are gradients, this shows what the next step would do.</p>;
  const all = largest(preview.parameters, Infinity);
  const some = all.slice(0, SHOWN);
  return (
    <div class="edit-scroll">
      <table class="edit-table edit-preview">
        <caption>
          {isDraft ? "With these options the" : "The"} next step would change {plural(all.length, "parameter")}
          {all.length > SHOWN ? `; the ${count(SHOWN)} that move most:` : ":"}
        </caption>
        <thead>
          <tr>
            <td />
            <th scope="col">now</th>
            <th scope="col">update</th>
            <th scope="col">then</th>
          </tr>
        </thead>
        <tbody>
          {some.map((one) => (
            <Moved key={one.name} {...one} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Moved({ name, before, after, update }: Change): VNode {
  return (
    <tr>
      <th scope="row">
        <Symbol of={name} label={inWords(name)} />
      </th>
      <td>{written(before)}</td>
      <td class={update < 0 ? "minus" : "plus"}>
        {update >= 0 && "+"}
        {withMinus(written(update))}
      </td>
      <td>{written(after)}</td>
    </tr>
  );
}
