// A control that goes through numbered steps: buttons, and a slider that arrow keys move.

import { h, makeId, replace } from "./dom.js";

/** `{element, set}`; `onchange(step)` hears of each step from 0 to `count` - 1, `describe(step)` gives its words. */
export function makeStepper({ label, count, describe, onchange }) {
  const id = makeId("step");
  const output = h("output", { for: id });
  const slider = h("input", { type: "range", id, min: 0, max: count - 1, value: 0, disabled: count < 2 });
  const back = h("button", { type: "button", onclick: () => set(step - 1) }, "‹ Back");
  const forward = h("button", { type: "button", onclick: () => set(step + 1) }, "Next ›");
  let step = 0;

  function show() {
    slider.value = step;
    slider.setAttribute("aria-valuetext", describe(step));
    back.disabled = step === 0;
    forward.disabled = step === count - 1;
    replace(output, describe(step));
  }

  function set(wanted) {
    step = Math.max(0, Math.min(count - 1, wanted));
    const focused = document.activeElement;
    show();
    if (focused === back && back.disabled) forward.focus();
    if (focused === forward && forward.disabled) back.focus();
    onchange(step);
  }

  slider.addEventListener("input", () => set(Number(slider.value)));
  const row = h("div", { class: "stepper-row" }, back, slider, forward);
  const element = h(
    "div",
    { class: "stepper", role: "group", "aria-label": label },
    h("label", { for: id }, label),
    row,
    output,
  );
  show();
  return { element, set };
}
