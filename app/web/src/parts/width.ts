/** How wide an element is now, for what must know more than CSS can say. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** A ref for the element, and its width in px; 0 before it is laid out. */
export function useWidth<T extends HTMLElement>(): [{ current: T | null }, number] {
  const element = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, []);
  return [element, width];
}
