// What if: a slider beside each number that has a range, and the answer while values change.

const WAIT_MS = 400;

const slider = (input) => {
  const range = document.createElement("input");
  range.type = "range";
  range.className = "slider";
  const { low, high, step } = input.dataset;
  Object.assign(range, { min: low, max: high, step: step === "any" ? (high - low) / 200 : step, value: input.value || low });
  range.setAttribute("aria-label", `${input.labels[0]?.textContent.trim() ?? "Value"}, slider`);
  range.addEventListener("input", () => {
    input.value = step === "any" ? Number(Number(range.value).toPrecision(6)) : range.value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  input.addEventListener("input", () => { if (document.activeElement !== range) range.value = input.value; });
  input.after(range);
};

document.querySelectorAll("form[data-whatif]").forEach((form) => {
  form.querySelectorAll("input[data-low]").forEach(slider);
  const live = form.querySelector("[data-live-answer]");
  if (!live) return;
  live.closest("[data-whatif-switch]").hidden = false;
  // What is predicted while it changes is not lost by leaving.
  const guard = () => form.toggleAttribute("data-guard", !live.checked);
  live.addEventListener("change", guard);
  guard();
  let timer;
  const ask = () => { if (live.checked && form.checkValidity()) htmx.trigger(form, "whatif"); };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); });
});
