/** What comes in faster than it can be watched, shown one a frame. */

/** How many frames a film may lag behind: four seconds at 60 a second. */
export const FRAMES = 240;

export class Film<T> {
  /** What was shown last. */
  last: T | null = null;
  private waiting: T[] = [];
  private running = false;
  private done: (() => void) | null = null;

  /** `show` gets what one frame shows, `isCut` says that nothing more is to be shown, and `atOnce` that nothing is to wait. */
  constructor(
    private readonly show: (items: T[]) => void,
    private readonly isCut: () => boolean,
    private readonly atOnce: () => boolean = () => false,
  ) {}

  add(item: T): void {
    this.waiting.push(item);
    if (this.running) return;
    this.running = true;
    requestAnimationFrame(this.frame);
  }

  /** Resolves when everything that was added is shown, or the film is cut. */
  shown(): Promise<void> {
    return this.running ? new Promise((resolve) => (this.done = resolve)) : Promise.resolve();
  }

  private readonly frame = (): void => {
    if (this.isCut()) this.waiting = [];
    // One a frame; more where they come faster than they can be shown.
    const many = this.atOnce() ? this.waiting.length : Math.max(1, this.waiting.length - FRAMES);
    const items = this.waiting.splice(0, many);
    if (items.length) {
      this.last = items.at(-1)!;
      this.show(items);
    }
    this.running = this.waiting.length > 0;
    if (this.running) requestAnimationFrame(this.frame);
    else this.done?.();
  };
}
