import * as fc from "fast-check";
import { expect, test } from "vitest";
import { override } from "../src/override.ts";

type Greet = (name: string) => string;

interface Greeter {
  greet: Greet;
}

/** With the method on its prototype. */
function newGreeter(): Greeter {
  return Object.create({ greet: (name: string) => `hello ${name}` }) as Greeter;
}

const around =
  (mark: string) =>
  (original: Greet): Greet =>
  (name) =>
    `${mark}(${original(name)})`;

test("layers come off in any order, and leave the object as it was", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), fc.boolean(), (order, own) => {
      const greeter = newGreeter();
      if (own) greeter.greet = () => "own";
      const before = Object.getOwnPropertyDescriptor(greeter, "greet");
      const on = new Set([0, 1, 2, 3]);
      const restores = [...on].map((mark) => override<Greet>(greeter, "greet", around(`${mark}`)));
      for (const mark of order) {
        restores[mark]?.();
        restores[mark]?.();
        on.delete(mark);
        let expected = own ? "own" : "hello you";
        for (const left of on) expected = `${left}(${expected})`;
        expect(greeter.greet("you")).toBe(expected);
      }
      expect(Object.getOwnPropertyDescriptor(greeter, "greet")).toEqual(before);
    }),
  );
});

test("what others put over it stays, and what comes over that comes off alone", () => {
  const greeter = newGreeter();
  const lower = override<Greet>(greeter, "greet", around("a"));
  const beneath = greeter.greet;
  const foreign: Greet = (name) => `foreign(${beneath(name)})`;
  greeter.greet = foreign;
  lower();
  expect(greeter.greet).toBe(foreign);
  const upper = override<Greet>(greeter, "greet", around("b"));
  expect(greeter.greet("you")).toBe("b(foreign(a(hello you)))");
  upper();
  expect(greeter.greet).toBe(foreign);
});
