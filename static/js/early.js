// Runs before the page is drawn, and alone: the other files come after it. A press on a button that asks in the dialog
// waits for the script that opens it; where that script does not arrive, the button works as without JavaScript.
(() => {
  "use strict";
  const root = document.documentElement;
  // What scripts bring has its place before they arrive, so that nothing moves then.
  root.classList.add("awaited");
  // The webmail's look, in its frame: values that the server let through, each for one property.
  const {accent, size} = root.dataset;
  if (accent) root.style.setProperty("--accent", accent);
  if (size) root.style.fontSize = `${size}px`;

  let pressed = null;

  function hold(event) {
    const button = event.target.closest("button[data-dialog]");
    if (!button) return;
    event.preventDefault();
    pressed = button;
    pressed.ariaDisabled = true;
  }

  document.addEventListener("click", hold);
  // Comes after the deferred script, whether that arrived or failed.
  document.addEventListener("DOMContentLoaded", () => {
    document.removeEventListener("click", hold);
    // Where they did not arrive, no dialog will say what a press ends: the page does.
    root.classList.remove("awaited");
    if (!pressed) return;
    pressed.ariaDisabled = null;
    pressed.click();
  });
})();
