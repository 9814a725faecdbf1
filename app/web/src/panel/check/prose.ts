/** Sentences of the API, in which tensors stand by their names. */

const NAME = /([A-Za-z_][\w-]*\.(?:z|a|da_dz|dL_da|dL_dz|weight|bias)(?:\.(?:gradient|next))?(?:\[\d+\])*)(?![\w.-]*\w)/;

/** A sentence as text and names by turns, the text first. Its minus signs are true ones. */
export function pieces(sentence: string): string[] {
  return sentence.split(NAME).map((piece, i) => (i % 2 ? piece : piece.replace(/(^|[\s(])-(?=[\d.])/g, "$1−")));
}
