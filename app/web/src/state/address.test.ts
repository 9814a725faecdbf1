import { describe, expect, it } from "vitest";
import { read, write } from "./address";

describe("an address", () => {
  it("is read as it was written", () => {
    const address = { session: "a1", revision: 4, of: "hidden.bias.gradient[0]", panel: "watch", view: "maps", with: "b2" } as const;
    expect(write(address)).toBe("#session=a1&revision=4&of=hidden.bias.gradient[0]&panel=watch&view=maps&with=b2");
    expect(read(write(address))).toEqual(address);
  });

  it("leaves out what it cannot mean", () => {
    expect(read("#session=&revision=-1&panel=cake&view=&more=1")).toEqual({});
    expect(read("")).toEqual({});
    expect(write({})).toBe("");
  });

  it("keeps names with unusual letters", () => {
    const of = "a&b=c#%.z[0][1]";
    expect(read(write({ of })).of).toBe(of);
  });
});
